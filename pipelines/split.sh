#!/usr/bin/env bash
# Cameras split over processes and machines.
#
#   pipelines/split.sh local SOURCE...            here, a process for each socket or GPU of this machine
#   pipelines/split.sh receive PORT [TAGS.jsonl]  on the machine that infers: tags of one sender
#   pipelines/split.sh send HOST:PORT SOURCE      on the machine at the camera: sends it there
#
# SOURCE is rtsp://..., another URI, /dev/video0, a file, or `test`.
#
# local: the sources are dealt out in turn; each process keeps to the cores of its socket and appends tags to
# tags-1.jsonl, tags-2.jsonl, ... A process has one model, however many sources it gets. A source that cannot be
# reached or breaks off is reported and tried again; the others go on.
#
# send and receive: CLIP sees a few hundred pixels, so only a few small JPEG pictures a second are sent:
# RTP over one TCP connection, about 50 kB/s. The receiver waits for a sender, ends with it, and waits again; a
# sender whose camera or receiver is gone restarts.
#
#   CLIPTAG_MODEL, CLIPTAG_PROMPTS, CLIPTAG_PROMPTS_2 and more   see pipelines/recipe.sh. The starter knows
#                              no real footage:
#                              cliptag models pull wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M --name tinyclip
#   CLIPTAG_RATE=2/1           inferences (and pictures sent) a second
#   CLIPTAG_GPUS=N             local: a process for each of N GPUs, rather than for each socket
#   CLIPTAG_ROTATE="100M 10"   a file of tags becomes FILE.1 at this size; so many are kept
#   CLIPTAG_RETRY="1 60"       first and longest pause, in seconds
#   CLIPTAG_TRIES=0            tries of each source, or senders that are served; 0 = no limit

source "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/recipe.sh"

case ${1:---help} in -h | --help)
  usage
  exit 0
  ;;
esac
rate=${CLIPTAG_RATE:-2/1}
children=()
stop() {
  trap '' INT TERM
  ((${#children[@]} == 0)) || kill -TERM "${children[@]}" 2>/dev/null || true
  finish || true
  exit 0
}
# Until the last tags are written.
finish() {
  local process code=0
  for process in "${children[@]}"; do wait "$process" || code=1; done
  return $code
}

# Lists of cores, one a socket; where the machine does not tell (a container without /sys), one of all.
sockets() {
  local lists
  lists=$(lscpu -p=CPU,SOCKET 2>/dev/null |
    awk -F, '!/^#/ { list[$2] = list[$2] (list[$2] == "" ? "" : ",") $1 }
      END { for (s in list) print list[s] }' | sort -V) || true
  printf '%s\n' "${lists:-0-$(($(nproc --all) - 1))}"
}

local_() {
  (($#)) || die "local: name a SOURCE or more"
  local -a cores=()
  mapfile -t cores < <(sockets)
  local processes=${CLIPTAG_GPUS:-${#cores[@]}} p i metrics=${CLIPTAG_METRICS:-}
  ((processes <= $#)) || processes=$#
  note_model "$@"
  trap stop INT TERM
  for ((p = 0; p < processes; ++p)); do
    local -a cameras=() where=() device=()
    if [[ -n ${CLIPTAG_GPUS:-} ]]; then
      device=(backend=cuda "device=$p")
    else
      where=(taskset -c "${cores[p]}")
    fi
    # A file of metrics has one process.
    [[ -z $metrics ]] || ((processes == 1)) || CLIPTAG_METRICS=${metrics%.prom}-$((p + 1)).prom
    for ((i = p; i < $#; i += processes)); do
      source_of "${*:i+1:1}"
      settings_of $((i + 1))
      cameras+=(--camera "source$((i + 1))" "$address" "${source[@]}" ! videoconvert !
        queue leaky=downstream max-size-buffers=2 !
        cliptag "name=source$((i + 1))" "max-rate=$rate" "${settings[@]}" "${device[@]}" !
        fakesink sync=false)
    done
    guard "${where[@]}" "${watch[@]}" --json "tags-$((p + 1)).jsonl" "${rotation[@]}" "${cameras[@]}" &
    children+=($!)
  done
  say "$processes processes, tags in tags-1.jsonl and on"
  finish
}

send() {
  (($# == 2)) || die "send: HOST:PORT and a SOURCE"
  [[ $1 =~ ^.+:[0-9]+$ ]] || die "send: $1 is not HOST:PORT"
  source_of "$2"
  guard "${watch[@]}" --camera sender "$address" "${source[@]}" ! watchdog "timeout=${CLIPTAG_SILENCE:-10000}" ! \
    videoconvert ! videorate drop-only=true ! "video/x-raw,framerate=$rate" ! videoscale ! \
    "video/x-raw,format=I420,width=640,height=360,pixel-aspect-ratio=1/1" ! jpegenc ! rtpjpegpay ! \
    rtpstreampay ! tcpclientsink "host=${1%:*}" "port=${1##*:}"
}

receive() {
  (($# == 1 || $# == 2)) || die "receive: a PORT, and perhaps a file for the tags"
  [[ $1 =~ ^[0-9]+$ ]] || die "receive: $1 is no port"
  local -a kept=()
  (($# < 2)) || kept=(--json "$2" "${rotation[@]}")
  settings_of 1
  note_model sender
  # It waits without a limit, and again at once.
  guard "${watch[@]}" "${kept[@]}" --silence 0 --retry "${CLIPTAG_RETRY:-0.1 1}" --camera sender "the sender" \
    tcpserversrc host=0.0.0.0 "port=$1" ! \
    "application/x-rtp-stream,media=video,clock-rate=90000,encoding-name=JPEG,payload=26" ! \
    rtpstreamdepay ! rtpjitterbuffer ! rtpjpegdepay ! jpegdec ! videoconvert ! \
    cliptag "${settings[@]}" ! fakesink sync=false
}

command=$1
shift
case $command in
  local) local_ "$@" ;;
  send) send "$@" ;;
  receive) receive "$@" ;;
  *) die "there is no $command: local, send or receive" ;;
esac
