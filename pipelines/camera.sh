#!/usr/bin/env bash
# One camera, watched for good: prints its tags, and begins anew whenever it breaks off.
#
#   pipelines/camera.sh SOURCE [TAGS.jsonl]
#
#   pipelines/camera.sh rtsp://user:password@camera.local/stream tags.jsonl
#
# SOURCE is rtsp://..., another URI, /dev/video0, a file, or `test`. With TAGS.jsonl each look is written
# there as JSON, one object a line. An error, the end of the stream, or ten seconds without a frame (the
# element watchdog) end the pipeline; the next try is after 1 s, then 2 s, 4 s, ... up to 60 s, and after
# 1 s again when it had run for a minute. Ctrl-C ends it all.
#
#   CLIPTAG_MODEL, CLIPTAG_PROMPTS   see pipelines/recipe.sh
#   CLIPTAG_RATE=2/1                 looks a second
#   CLIPTAG_SILENCE=10000            ms without a frame that are too long
#   CLIPTAG_RETRY="1 60"             first and longest pause, in seconds
#   CLIPTAG_TRIES=0                  pipelines that are begun at most; 0 = no end

source "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/recipe.sh"

case ${1:---help} in -h | --help)
  usage
  exit 0
  ;;
esac
(($# <= 2)) || die "a SOURCE and a file for the tags, no more; quote names with spaces"
source_of "$1"
json=()
(($# < 2)) || json=(--json "$2")
read -r first longest <<<"${CLIPTAG_RETRY:-1 60}"

# One printer for all tries.
exec 3> >("$here/print_tags.py" "${json[@]}")
printer=$!
pid=''
stop() {
  trap '' INT TERM
  [[ -z $pid ]] || kill -INT "$pid" 2>/dev/null || true
  [[ -z $pid ]] || wait "$pid" || true
  exec 3>&-
  wait "$printer" || true
  exit 0
}
trap stop INT TERM

watch() {
  local pause=$first tries=0 begun ran
  while true; do
    begun=$SECONDS
    # In the background, so that a signal is taken while it runs.
    "${launch[@]}" -m "${source[@]}" ! watchdog "timeout=${CLIPTAG_SILENCE:-10000}" ! videoconvert ! \
      queue leaky=downstream max-size-buffers=2 ! cliptag "${settings[@]}" \
      "max-rate=${CLIPTAG_RATE:-2/1}" ! fakesink sync=false >&3 3>&- &
    pid=$!
    wait "$pid" || true
    pid=''
    ran=$((SECONDS - begun)) tries=$((tries + 1))
    ((ran < 60)) || pause=$first
    if ((${CLIPTAG_TRIES:-0} > 0 && tries >= CLIPTAG_TRIES)); then break; fi
    say "$1 broke off after $ran s; again in $pause s"
    sleep "$pause" 3>&- &
    wait $! || true
    pause=$(awk -v a="$pause" -v b="$longest" 'BEGIN { a *= 2; print (a < b ? a : b) }')
  done
}
watch "$1"
stop
