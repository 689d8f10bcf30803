#!/usr/bin/env bash
# Four cameras in a mosaic, each with its own tags drawn in.
#
#   pipelines/mosaic.sh SOURCE SOURCE SOURCE SOURCE
#
#   pipelines/mosaic.sh rtsp://cam1/stream rtsp://cam2/stream /dev/video0 test
#
# SOURCE is rtsp://..., another URI, /dev/video0, a file, or `test`. All four are looked at by one model in
# one process; a camera that stalls leaves its quarter black and the others alone. --print shows the
# pipeline and runs nothing.
#
#   CLIPTAG_MODEL, CLIPTAG_PROMPTS   see pipelines/recipe.sh
#   CLIPTAG_RATE=2/1                 looks a second at each
#   CLIPTAG_SINK="autovideosink"     where the picture goes, e.g. "vp8enc deadline=1 ! webmmux !
#                                    filesink location=mosaic.webm"

source "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/recipe.sh"

print=false
if [[ ${1:-} == --print ]]; then
  print=true
  shift
fi
case ${1:---help} in -h | --help)
  usage
  exit 0
  ;;
esac
(($# == 4)) || die "four sources, not $#; \`test\` is one"

width=640 height=360
read -ra sink <<<"${CLIPTAG_SINK:-autovideosink}"
pipeline=(compositor name=mosaic background=black)
for i in 0 1 2 3; do
  pipeline+=("sink_$i::xpos=$((i % 2 * width))" "sink_$i::ypos=$((i / 2 * height))")
done
pipeline+=(! "video/x-raw,width=$((2 * width)),height=$((2 * height))" ! videoconvert ! "${sink[@]}")
for i in 0 1 2 3; do
  source_of "${*:i+1:1}"
  # Leaky: frames that cannot be taken in time are dropped, not piled up.
  pipeline+=("${source[@]}" ! videoconvert ! videoscale ! videorate !
    "video/x-raw,width=$width,height=$height,pixel-aspect-ratio=1/1,framerate=25/1" !
    queue leaky=downstream max-size-buffers=2 !
    cliptag "name=camera$((i + 1))" "${settings[@]}" "max-rate=${CLIPTAG_RATE:-2/1}" !
    cliptagoverlay ! queue max-size-buffers=2 ! "mosaic.sink_$i")
done
if $print; then
  printf '%q ' "${launch[@]}" -e "${pipeline[@]}"
  echo
  exit 0
fi
exec "${launch[@]}" -e "${pipeline[@]}"
