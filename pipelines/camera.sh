#!/usr/bin/env bash
# One camera, watched without end: prints its tags, and restarts whenever it breaks off.
#
#   pipelines/camera.sh SOURCE [TAGS.jsonl]
#
#   CLIPTAG_MODEL=tinyclip pipelines/camera.sh rtsp://user:password@camera.local/stream tags.jsonl
#
# SOURCE is rtsp://..., another URI, /dev/video0, a file, or `test`. With TAGS.jsonl each inference and each
# event is appended to it as JSON, one object a line, with wall-clock `time`. An error, the end of the stream, or ten
# seconds without a frame end the pipeline; the next try is after 1 s, then 2 s, 4 s, ... up to 60 s, and after
# 1 s again when it had run for a minute. Ctrl-C ends it all.
#
#   CLIPTAG_MODEL, CLIPTAG_PROMPTS and more   see pipelines/recipe.sh. The starter knows no real footage:
#                                cliptag models pull wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M --name tinyclip
#   CLIPTAG_RATE=2/1             inferences a second
#   CLIPTAG_NAME=camera          `stream` of its tags
#   CLIPTAG_ROTATE="100M 10"     TAGS.jsonl becomes TAGS.jsonl.1 at this size; so many are kept
#   CLIPTAG_SILENCE=10000        ms without a frame after which it restarts
#   CLIPTAG_RETRY="1 60"         first and longest pause, in seconds
#   CLIPTAG_TRIES=0              most starts; 0 = no limit

source "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/recipe.sh"

case ${1:---help} in -h | --help)
  usage
  exit 0
  ;;
esac
(($# <= 2)) || die "a SOURCE and a file for the tags, no more; quote names with spaces"
source_of "$1"
settings_of 1
note_model "$1"
kept=()
(($# < 2)) || kept=(--json "$2" "${rotation[@]}")
guard "${watch[@]}" "${kept[@]}" --camera "${CLIPTAG_NAME:-camera}" "$1" "${source[@]}" ! videoconvert ! \
  queue leaky=downstream max-size-buffers=2 ! cliptag "max-rate=${CLIPTAG_RATE:-2/1}" "${settings[@]}" ! \
  fakesink sync=false
