#!/usr/bin/env bash
# Videos of an archive, faster than they play: every n-th frame of each, with its own tags.
#
#   pipelines/archive.sh FILE...
#
#   CLIPTAG_MODEL=tinyclip pipelines/archive.sh holiday/*.mp4
#
# Appends tags to FILE.tags.jsonl beside each FILE (or in CLIPTAG_OUT), one JSON object a line for each inference and
# event, and goes on with the next when one cannot be read. Decoding limits it, then the model: `cliptag bench
# --stage all` shows what the model can do.
#
#   CLIPTAG_MODEL, CLIPTAG_PROMPTS and more   see pipelines/recipe.sh. The starter knows no real footage:
#                              cliptag models pull wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M --name tinyclip
#   CLIPTAG_INTERVAL=10        infer every 10th frame
#   CLIPTAG_OUT=DIR            where the tags go

source "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/recipe.sh"

case ${1:---help} in -h | --help)
  usage
  exit 0
  ;;
esac
note_model "$@"
settings_of 1
failed=0
for file; do
  shown=$(public "$file")
  tags=${CLIPTAG_OUT:-$(dirname -- "$shown")}/$(basename -- "$shown").tags.jsonl
  if [[ $file == test ]]; then
    source=(videotestsrc "num-buffers=${CLIPTAG_TEST_FRAMES:-100}" pattern=ball !
      "video/x-raw,width=320,height=240")
  elif [[ $file != *://* && ! -f $file ]]; then
    say "there is no file $shown"
    failed=$((failed + 1))
    continue
  elif [[ -f $file && ! -s $file ]]; then
    # gst-launch, interrupted while it starts, sometimes waits for ever.
    say "$shown is empty"
    failed=$((failed + 1))
    continue
  else
    source_of "$file"
  fi
  if ! "$here/print_tags.py" --json "$tags" --check; then
    failed=$((failed + 1))
    continue
  fi
  begun=$SECONDS code=0 log=$(mktemp)
  looks=$("${launch[@]}" -m "${source[@]}" ! videoconvert ! cliptag "${settings[@]}" mode=exact \
    "interval=${CLIPTAG_INTERVAL:-10}" ! fakesink sync=false 2>"$log" |
    "$here/print_tags.py" --json "$tags" --count) || code=$?
  if ((code)) || ((looks == 0)); then
    why=$(sed -nE 's/^(ERROR: from element [^ ]+|WARNING: erroneous pipeline): //p' "$log" | head -n 1)
    say "$shown: $(public "${why:-not all of its tags are kept}")"
    [[ -s $tags ]] || rm -f "$tags"
    failed=$((failed + 1))
  else
    say "$shown: $looks looks in $((SECONDS - begun)) s, in $tags"
  fi
  rm -f "$log"
done
((failed == 0)) || die "$failed of $# could not be tagged"
