#!/usr/bin/env bash
# What the recipes beside this file share; they source it.
#
#   source_of SOURCE   sets the array `source` to the elements that give SOURCE's frames as raw video:
#                      rtsp://..., another URI, a file, a device (/dev/video0), or the word `test` for
#                      a picture that moves (CLIPTAG_TEST_FRAMES of them, for good without); and `address`
#                      to SOURCE, with "once:" before what has an end
#   settings_of N  sets the array `settings`: properties of camera N's cliptag, from
#                        CLIPTAG_MODEL         a name or a directory, see models/README.md (starter)
#                        CLIPTAG_PROMPTS       what to look for, "car; dog", or
#                        CLIPTAG_PROMPTS_FILE  a prompts file; else pipelines/street-prompts.json, or
#                                              demo-prompts.json for the starter model
#                        CLIPTAG_THRESHOLD     score from which a tag is active
#                        CLIPTAG_METRICS       a file for Prometheus
#                        CLIPTAG_SETTINGS      any other properties: "smoothing=2000000000 fit=tiles"
#                      Of these CLIPTAG_PROMPTS_2, CLIPTAG_PROMPTS_FILE_2, CLIPTAG_THRESHOLD_2 and
#                      CLIPTAG_SETTINGS_2 are of the second camera alone.
#   public TEXT        TEXT without the passwords in addresses
#   launch             an array: gst-launch-1.0, with the plugin that was built here if none is installed
#   watch              an array: watch.py likewise, with pauses and numbers of tries
#   rotation           an array: its options for a file of tags, from CLIPTAG_ROTATE="100M 10", the size at
#                      which it becomes FILE.1 and how many such are kept
#   guard COMMAND...   runs it until it ends by itself or by a signal to us; restarts it after a crash
set -euo pipefail
here=$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")
name=$(basename "$0")

die() {
  printf '%s: %s\n' "$name" "$*" >&2
  exit 1
}
say() { printf '%s: %s\n' "$name" "$*" >&2; }
public() {
  sed -E -e 's#([[:alpha:]][[:alnum:]+.-]*://)[^[:space:]"]*@#\1***@#g' \
    -e 's#((pass(word|wd|phrase)?|pwd?|token|secret|auth|key)=)[^&[:space:]"]*#\1***#Ig' <<<"$1"
}
usage() { sed -n '2,/^[^#]/{/^[^#]/d;s/^# \{0,1\}//;p}' "$0"; }

source_of() {
  address=$1
  case $1 in
    test)
      address=once:$1
      source=(videotestsrc is-live=true pattern=ball "num-buffers=${CLIPTAG_TEST_FRAMES:--1}" !
        "video/x-raw,width=320,height=240,framerate=25/1")
      ;;
    rtsp://* | rtsps://*)
      # Over TCP no packet is lost. Only the video of a camera with a microphone is used.
      source=(rtspsrc "location=$1" protocols=tcp tcp-timeout=10000000 latency=200 !
        "application/x-rtp,media=video" ! decodebin)
      ;;
    *://*) source=(uridecodebin "uri=$1") ;;
    /dev/video*) source=(v4l2src "device=$1" ! decodebin) ;;
    *)
      [[ -f $1 ]] || die "there is no file $(public "$1") (and it is no URI)"
      address=once:$1
      source=(filesrc "location=$1" ! decodebin)
      ;;
  esac
}

settings_of() {
  # Of a camera alone, else of all.
  of() {
    local own=CLIPTAG_$1_$2 all=CLIPTAG_$1
    printf '%s' "${!own:-${!all:-}}"
  }
  local prompts file own_prompts=CLIPTAG_PROMPTS_$1 own_file=CLIPTAG_PROMPTS_FILE_$1
  settings=("model=$model")
  prompts=$(of PROMPTS "$1") file=$(of PROMPTS_FILE "$1")
  # The settings of this camera go before those of all.
  [[ -z ${!own_prompts:-} ]] || file=${!own_file:-}
  [[ -z $file ]] || [[ -f $file ]] || die "there is no prompts file $file"
  if [[ -n $file ]]; then
    settings+=("prompts-file=$file")
  elif [[ -n $prompts ]]; then
    settings+=("prompts=$prompts")
  elif [[ $model == starter ]]; then
    settings+=("prompts-file=$here/demo-prompts.json")
  else
    settings+=("prompts-file=$here/street-prompts.json")
  fi
  [[ -z $(of THRESHOLD "$1") ]] || settings+=("threshold=$(of THRESHOLD "$1")")
  [[ -z ${CLIPTAG_METRICS:-} ]] || settings+=("metrics-file=$CLIPTAG_METRICS")
  local -a more=()
  read -ra more <<<"$(of SETTINGS "$1")"
  settings+=("${more[@]}")
}

# Said once: the starter would tag a street, too.
note_model() {
  local source
  [[ $model == starter ]] || return 0
  for source; do
    [[ $source != test ]] || continue
    say "note: the starter model knows emoji, clip art and small centred photos; of a camera or a film its" \
      "answers mean nothing. Take a published CLIP: cliptag models pull $published --name tinyclip, then" \
      "CLIPTAG_MODEL=tinyclip"
    return 0
  done
}

model=${CLIPTAG_MODEL:-starter}
published=wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M # MIT, 94 MB
# The recipes speak English, and read what gst-launch says.
export LANGUAGE=en

launch=(gst-launch-1.0)
command -v gst-launch-1.0 >/dev/null ||
  die "there is no gst-launch-1.0: call pipelines/setup.sh first"
# Without a version it asks for GStreamer's own, which other plugins do not have.
if ! gst-inspect-1.0 --exists --atleast-version=0.1 cliptag; then
  [[ -f $here/../build/plugin/elements/libgstcliptag.so ]] ||
    die "GStreamer does not find cliptag: build it (README.md says how), or set GST_PLUGIN_PATH"
  export GST_PLUGIN_PATH=$here/../build/plugin/elements${GST_PLUGIN_PATH:+:$GST_PLUGIN_PATH}
  export CLIPTAG_MODULE_PATH=$here/../build/kernels/cuda
  export CLIPTAG_MODEL_PATH=$here/../models${CLIPTAG_MODEL_PATH:+:$CLIPTAG_MODEL_PATH}
fi

# Debian's own Python has the packages that setup.sh installs; another one first in PATH may not.
python=python3
"$python" -c 'import gi, os; os._exit(0)' 2>/dev/null || python=/usr/bin/python3
watch=("$python" "$here/watch.py" "--name=$name" --retry "${CLIPTAG_RETRY:-1 60}" --tries "${CLIPTAG_TRIES:-0}"
  --silence "${CLIPTAG_SILENCE:-10000}")
read -r rotate keep <<<"${CLIPTAG_ROTATE:-100M 10}"
rotation=(--rotate "$rotate" --keep "${keep:-10}")

guard() {
  local code child stopping=''
  "$python" -c 'import gi, os; os._exit(0)' 2>/dev/null ||
    die "Python has no GObject bindings: call pipelines/setup.sh first"
  trap 'stopping=1; kill -TERM "$child" 2>/dev/null || true' INT TERM
  while true; do
    "$@" &
    child=$! code=0
    wait "$child" || code=$?
    # A signal to us ends the wait alone.
    while kill -0 "$child" 2>/dev/null; do
      code=0
      wait "$child" || code=$?
    done
    [[ -z $stopping ]] || return 0
    ((code > 128)) || return "$code"
    say "signal $((code - 128)) ended it, as a crash in a decoder does; again in 1 s"
    sleep 1
    [[ -z $stopping ]] || return 0
  done
}
