#!/usr/bin/env bash
# Many synthetic cameras in one process and one model: whether a machine keeps up.
#
#   pipelines/many.sh [N]       64 unless said; --print shows the gst-launch line and runs nothing
#
# Prints the tags of all of them. Drawing the pictures costs more than tagging them: to measure, use
# `cliptag bench --streams N`, whose pictures are drawn beforehand.
#
#   CLIPTAG_MODEL, CLIPTAG_PROMPTS and more   see pipelines/recipe.sh
#   CLIPTAG_RATE=1/1                 inferences a second of each
#   CLIPTAG_SIZE=320x240             of the pictures, 25 a second
#   CLIPTAG_TEST_FRAMES=N            ends after so many of each

source "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/recipe.sh"

print=false
if [[ ${1:-} == --print ]]; then
  print=true
  shift
fi
case ${1:-} in -h | --help)
  usage
  exit 0
  ;;
esac
count=${1:-64}
[[ $count =~ ^[1-9][0-9]{0,3}$ ]] || die "$count is no number of cameras"
size=${CLIPTAG_SIZE:-320x240}
[[ $size =~ ^[1-9][0-9]*x[1-9][0-9]*$ ]] || die "CLIPTAG_SIZE is to be like 1280x720, not $size"

patterns=(ball smpte snow circular blink gamut)
pipeline=()
for ((i = 0; i < count; ++i)); do
  settings_of $((i + 1))
  pipeline+=(videotestsrc is-live=true "pattern=${patterns[i % ${#patterns[@]}]}"
    "num-buffers=${CLIPTAG_TEST_FRAMES:--1}" !
    "video/x-raw,format=NV12,width=${size%x*},height=${size#*x},framerate=25/1" !
    cliptag "name=camera$((i + 1))" "${settings[@]}" "max-rate=${CLIPTAG_RATE:-1/1}" !
    fakesink sync=false)
done
if $print; then
  printf '%q ' "${launch[@]}" -m "${pipeline[@]}"
  echo
  exit 0
fi
"${launch[@]}" -m "${pipeline[@]}" | "$here/print_tags.py"
