#!/usr/bin/env bash
# What the recipes beside this file share; they read it, nobody calls it.
#
#   source_of SOURCE   sets the array `source` to the elements that give SOURCE's frames as raw video:
#                      rtsp://..., another URI, a file, a device (/dev/video0), or the word `test` for
#                      a picture that moves (CLIPTAG_TEST_FRAMES of them, for good without)
#   settings           an array: what every cliptag is told, from
#                        CLIPTAG_MODEL      a name or a directory, see "Models" in README.md (starter)
#                        CLIPTAG_PROMPTS    what to look for; else pipelines/street-prompts.json, or
#                                           demo-prompts.json for the starter model
#   launch             an array: gst-launch-1.0, with the plugin that was built here if none is installed
set -euo pipefail
here=$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")
name=$(basename "$0")

die() {
  printf '%s: %s\n' "$name" "$*" >&2
  exit 1
}
say() { printf '%s: %s\n' "$name" "$*" >&2; }
usage() { sed -n '2,/^[^#]/{/^[^#]/d;s/^# \{0,1\}//;p}' "$0"; }

source_of() {
  case $1 in
    test)
      source=(videotestsrc is-live=true pattern=ball "num-buffers=${CLIPTAG_TEST_FRAMES:--1}" !
        "video/x-raw,width=320,height=240,framerate=25/1")
      ;;
    rtsp://* | rtsps://*)
      # Over TCP nothing is lost on the way. Of a camera with a microphone the video alone is taken.
      source=(rtspsrc "location=$1" protocols=tcp tcp-timeout=10000000 latency=200 !
        "application/x-rtp,media=video" ! decodebin)
      ;;
    *://*) source=(uridecodebin "uri=$1") ;;
    /dev/video*) source=(v4l2src "device=$1" ! decodebin) ;;
    *)
      [[ -f $1 ]] || die "there is no file $1 (and it is no URI)"
      source=(filesrc "location=$1" ! decodebin)
      ;;
  esac
}

settings=("model=${CLIPTAG_MODEL:-starter}")
if [[ -n ${CLIPTAG_PROMPTS:-} ]]; then
  settings+=("prompts=$CLIPTAG_PROMPTS")
elif [[ ${CLIPTAG_MODEL:-starter} == starter ]]; then
  settings+=("prompts-file=$here/demo-prompts.json")
else
  settings+=("prompts-file=$here/street-prompts.json")
fi

launch=(gst-launch-1.0)
command -v gst-launch-1.0 >/dev/null ||
  die "there is no gst-launch-1.0: call pipelines/setup.sh first"
# Without a version it asks for GStreamer's own, which a plugin of another house does not have.
if ! gst-inspect-1.0 --exists --atleast-version=0.1 cliptag; then
  [[ -f $here/../build/plugin/elements/libgstcliptag.so ]] ||
    die "GStreamer does not find cliptag: build it (README.md says how), or set GST_PLUGIN_PATH"
  export GST_PLUGIN_PATH=$here/../build/plugin/elements${GST_PLUGIN_PATH:+:$GST_PLUGIN_PATH}
  export CLIPTAG_MODEL_PATH=$here/../models${CLIPTAG_MODEL_PATH:+:$CLIPTAG_MODEL_PATH}
fi
