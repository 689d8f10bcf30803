#!/usr/bin/env bash
# Cameras split over processes and machines.
#
#   pipelines/split.sh local SOURCE...            here, a process for each socket or GPU of this machine
#   pipelines/split.sh receive PORT [TAGS.jsonl]  on the machine that looks: tags of one sender
#   pipelines/split.sh send HOST:PORT SOURCE      on the machine at the camera: sends it there
#
# SOURCE is rtsp://..., another URI, /dev/video0, a file, or `test`.
#
# local: the sources are dealt out in turn; each process keeps to the cores of its socket and writes
# tags-1.jsonl, tags-2.jsonl, ... A process has one model however many of the sources it gets, and one that
# dies takes no other with it.
#
# send and receive: CLIP sees a few hundred pixels, so a few small JPEG pictures a second are all that
# travels: RTP over one TCP connection, about 50 kB/s. The receiver waits for a sender, ends with it, and
# begins anew.
#
#   CLIPTAG_MODEL, CLIPTAG_PROMPTS   see pipelines/recipe.sh
#   CLIPTAG_RATE=2/1                 looks (and pictures sent) a second
#   CLIPTAG_GPUS=N                   local: a process for each of N GPUs, rather than for each socket
#   CLIPTAG_TRIES=0                  receive: senders that are served; 0 = no end

source "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/recipe.sh"

case ${1:---help} in -h | --help)
  usage
  exit 0
  ;;
esac
rate=${CLIPTAG_RATE:-2/1}
children=() printers=()
stop() {
  trap '' INT TERM
  ((${#children[@]} == 0)) || kill -INT "${children[@]}" 2>/dev/null || true
  finish
  exit 0
}
# Until the last tags are written.
finish() {
  local process
  for process in "${children[@]}"; do wait "$process" || true; done
  exec 3>&-
  for process in "${printers[@]}"; do wait "$process" || true; done
}
trap stop INT TERM

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
  local processes=${CLIPTAG_GPUS:-${#cores[@]}} p i
  ((processes <= $#)) || processes=$#
  for ((p = 0; p < processes; ++p)); do
    local -a pipeline=() where=() device=()
    if [[ -n ${CLIPTAG_GPUS:-} ]]; then
      device=(backend=cuda "device=$p")
    else
      where=(taskset -c "${cores[p]}")
    fi
    for ((i = p; i < $#; i += processes)); do
      source_of "${*:i+1:1}"
      pipeline+=("${source[@]}" ! videoconvert ! queue leaky=downstream max-size-buffers=2 !
        cliptag "name=source$((i + 1))" "${settings[@]}" "${device[@]}" "max-rate=$rate" !
        fakesink sync=false)
    done
    exec 3> >("$here/print_tags.py" --json "tags-$((p + 1)).jsonl")
    printers+=($!)
    "${where[@]}" "${launch[@]}" -m "${pipeline[@]}" >&3 3>&- &
    children+=($!)
  done
  say "$processes processes, tags in tags-1.jsonl and on"
  local code=0 child
  for child in "${children[@]}"; do wait "$child" || code=1; done
  children=()
  finish
  return $code
}

send() {
  (($# == 2)) || die "send: HOST:PORT and a SOURCE"
  [[ $1 =~ ^.+:[0-9]+$ ]] || die "send: $1 is not HOST:PORT"
  source_of "$2"
  exec "${launch[@]}" "${source[@]}" ! videoconvert ! videorate drop-only=true ! \
    "video/x-raw,framerate=$rate" ! videoscale ! \
    "video/x-raw,format=I420,width=640,height=360,pixel-aspect-ratio=1/1" ! jpegenc ! rtpjpegpay ! \
    rtpstreampay ! tcpclientsink "host=${1%:*}" "port=${1##*:}"
}

receive() {
  (($# == 1 || $# == 2)) || die "receive: a PORT, and perhaps a file for the tags"
  [[ $1 =~ ^[0-9]+$ ]] || die "receive: $1 is no port"
  local -a json=()
  (($# < 2)) || json=(--json "$2")
  exec 3> >("$here/print_tags.py" "${json[@]}")
  printers=($!)
  local served=0
  while true; do
    "${launch[@]}" -m tcpserversrc host=0.0.0.0 "port=$1" ! \
      "application/x-rtp-stream,media=video,clock-rate=90000,encoding-name=JPEG,payload=26" ! \
      rtpstreamdepay ! rtpjitterbuffer ! rtpjpegdepay ! jpegdec ! videoconvert ! \
      cliptag "${settings[@]}" ! fakesink sync=false >&3 3>&- &
    children=($!)
    wait "${children[0]}" || sleep 1
    children=()
    served=$((served + 1))
    if ((${CLIPTAG_TRIES:-0} > 0 && served >= CLIPTAG_TRIES)); then break; fi
    say "the sender has gone; waiting for the next"
  done
  finish
}

command=$1
shift
case $command in
  local) local_ "$@" ;;
  send) send "$@" ;;
  receive) receive "$@" ;;
  *) die "there is no $command: local, send or receive" ;;
esac
