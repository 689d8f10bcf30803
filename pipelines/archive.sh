#!/usr/bin/env bash
# Videos of an archive, faster than they play: every n-th frame of each, with its own tags.
#
#   pipelines/archive.sh FILE...
#
# Leaves FILE.tags.jsonl beside each FILE (or in CLIPTAG_OUT), one JSON object a line and look, and goes on
# with the next when one cannot be read. What limits it is decoding, then the model: larger intervals, and
# `cliptag bench --stage all` for what the model can do.
#
#   CLIPTAG_MODEL, CLIPTAG_PROMPTS   see pipelines/recipe.sh
#   CLIPTAG_INTERVAL=10              look at every 10th frame
#   CLIPTAG_OUT=DIR                  where the tags go

source "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/recipe.sh"

case ${1:---help} in -h | --help)
  usage
  exit 0
  ;;
esac
failed=0
for file; do
  tags=${CLIPTAG_OUT:-$(dirname -- "$file")}/$(basename -- "$file").tags.jsonl
  if [[ $file == test ]]; then
    source=(videotestsrc "num-buffers=${CLIPTAG_TEST_FRAMES:-100}" pattern=ball !
      "video/x-raw,width=320,height=240")
  elif [[ $file != *://* && ! -f $file ]]; then
    say "there is no file $file"
    failed=$((failed + 1))
    continue
  else
    source_of "$file"
  fi
  begun=$SECONDS code=0 log=$(mktemp)
  "${launch[@]}" -m "${source[@]}" ! videoconvert ! cliptag "${settings[@]}" \
    "interval=${CLIPTAG_INTERVAL:-10}" ! fakesink sync=false 2>"$log" |
    "$here/print_tags.py" --json "$tags" >/dev/null || code=$?
  if ((code)) || [[ ! -s $tags ]]; then
    say "$file: $(sed -nE 's/^ERROR: from element [^ ]+: //p' "$log" | head -n 1)"
    rm -f "$tags"
    failed=$((failed + 1))
  else
    say "$file: $(wc -l <"$tags") looks in $((SECONDS - begun)) s, in $tags"
  fi
  rm -f "$log"
done
((failed == 0)) || die "$failed of $# could not be tagged"
