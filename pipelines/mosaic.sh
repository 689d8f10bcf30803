#!/usr/bin/env bash
# Four cameras in a mosaic, each with its own tags drawn in.
#
#   pipelines/mosaic.sh SOURCE SOURCE SOURCE SOURCE
#
#   CLIPTAG_MODEL=tinyclip pipelines/mosaic.sh rtsp://cam1/stream rtsp://cam2/stream /dev/video0 test
#
# SOURCE is rtsp://..., another URI, /dev/video0, a file, or `test`. One model in one process tags all four,
# each in a pipeline of its own: a camera that cannot be reached, breaks off or stalls is reported and tried again; its
# quarter is black, the others go on. --print shows the pipelines and runs nothing.
#
#   CLIPTAG_MODEL, CLIPTAG_PROMPTS, CLIPTAG_PROMPTS_2 and more   see pipelines/recipe.sh. The starter knows
#                                    no real footage:
#                                    cliptag models pull wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M --name tinyclip
#   CLIPTAG_RATE=2/1                 inferences a second of each
#   CLIPTAG_RETRY="1 60"             first and longest pause, in seconds
#   CLIPTAG_TRIES=0                  tries of each source; 0 = no limit
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
mosaic=(compositor name=mosaic background=black)
for i in 0 1 2 3; do
  mosaic+=("sink_$i::xpos=$((i % 2 * width))" "sink_$i::ypos=$((i / 2 * height))")
done
mosaic+=(! "video/x-raw,width=$((2 * width)),height=$((2 * height))" ! videoconvert ! "${sink[@]}")
cameras=()
picture="video/x-raw,format=I420,width=$width,height=$height,pixel-aspect-ratio=1/1,framerate=25/1"
for i in 0 1 2 3; do
  source_of "${*:i+1:1}"
  settings_of $((i + 1))
  # From one pipeline to the other; black where nothing comes.
  mosaic+=(intervideosrc "channel=camera$((i + 1))" ! "$picture" ! queue max-size-buffers=2 ! "mosaic.sink_$i")
  # Leaky: frames that cannot be taken in time are dropped, not piled up.
  cameras+=(--camera "camera$((i + 1))" "$address" "${source[@]}" ! videoconvert ! videoscale ! videorate !
    "$picture" ! queue leaky=downstream max-size-buffers=2 !
    cliptag "name=camera$((i + 1))" "max-rate=${CLIPTAG_RATE:-2/1}" "${settings[@]}" !
    cliptagoverlay "title=camera$((i + 1))" ! intervideosink "channel=camera$((i + 1))")
done
if $print; then
  public "$(printf '%q ' watch.py --mosaic "${mosaic[@]}" "${cameras[@]}")"
  exit 0
fi
note_model "$@"
guard "${watch[@]}" --quiet --mosaic "${mosaic[@]}" "${cameras[@]}"
