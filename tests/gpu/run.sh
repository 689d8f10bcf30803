#!/usr/bin/env bash
# What only a machine with a GPU can do: builds the CUDA backend there, runs its tests, compute-sanitizer
# and the benchmarks. Needs nvcc, a C++ compiler and Python with meson and ninja; the rest comes along
# in .gpu/ (tests/gpu/collect.sh makes it, where ./pipelines/setup.sh has been).
#
#   tests/gpu/run.sh [STAGE...]     all of them, some 25 minutes, unless told:
#     build      kernels, models, tests and benchmark for this card, in build-gpu/, kept between calls
#     test       every operation against the oracle, attention at all sizes, large frames, golden models
#     sanitize   the operations under compute-sanitizer: memcheck, racecheck, synccheck, small cases
#     bench      ours: the card's limits, every kernel, attention, preprocessing, five encoders
#     torch      PyTorch (and ONNX Runtime, if it has CUDA) on the same, until $GPU_RUN_SECONDS are over
#     report     tests/gpu/results/DATE-GPU.json and .md
#
# Where a command may take ten minutes at most, three do: `build test sanitize`, `bench`, `torch report`.
# Stages after `build` take what is built. Every stage leaves its results in build-gpu/results, from which
# `report` makes what it can; with $OUT set they are copied there at the end, whatever happened.
# $GPU_RUN_SECONDS: how long all stages may take together (unset: as long as they want). What is cut off by
# it, or by a limit of its own, has failed; only `torch` goes on where it stopped when it is called again.
# Exit status: 0, 1 if a test or a stage failed, 77 without a GPU (`build` and `report` work without).
# shellcheck disable=SC2317 # stages are called by name
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
root=$PWD
work=$root/build-gpu
build=$work/build
programs=$build/tests/gpu/device
deps=$work/deps
results=$work/results
seconds=${GPU_RUN_SECONDS:-0}
stages=("$@")
((${#stages[@]})) || stages=(build test sanitize bench torch report)
for stage in "${stages[@]}"; do
  case $stage in
    build | test | sanitize | bench | torch | report) ;;
    *)
      sed -n '2,/^set/{/^set/d;/shellcheck/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
      [[ $stage == -h || $stage == --help ]] && exit 0 || exit 2
      ;;
  esac
done
mkdir -p "$results"
# Without this PyTorch keeps its compiled kernels in /tmp, which is as good until the next call.
export TORCHINDUCTOR_CACHE_DIR=$work/inductor PYTHONUNBUFFERED=1
# What a Python environment installed lies beside it.
PATH=$(dirname "$(python3 -c 'import sys; print(sys.executable)')"):$PATH:/usr/local/nvidia/bin

say() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }
failed=()
summary=()

# note NAME STATUS [DETAIL]: one outcome, for the summary and the report.
note() {
  summary+=("$(printf '%-28s %s %s' "$1" "$2" "${3:-}")")
  printf '{"kind": "check", "name": "%s", "status": "%s", "detail": "%s"}\n' "$1" "$2" "${3:-}" \
    >>"$results/checks.jsonl"
  [[ $2 == passed || $2 == skipped ]] || failed+=("$1")
}

# at_most SECONDS COMMAND...: or less, where less is left of all.
at_most() {
  local limit=$1 left=$((seconds - SECONDS - 10))
  shift
  ((seconds == 0 || left >= limit)) || limit=$((left > 0 ? left : 1))
  timeout "$limit" "$@"
}

finish() {
  if [[ -n ${OUT:-} ]]; then
    cp "$results"/*.jsonl "$results"/log.txt "$OUT" 2>/dev/null
    for file in ${report_files[@]+"${report_files[@]}"}; do cp "$file" "$OUT"; done
  fi
  say "summary"
  ((${#summary[@]})) && printf '%s\n' "${summary[@]}"
  if ((${#failed[@]})); then
    echo "failed: ${failed[*]}"
    exit 1
  fi
  echo "nothing failed"
  exit "${1:-0}"
}

gpu_name() { nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -1; }

# --- build ---------------------------------------------------------------------------------------

unpack_deps() {
  [[ -f .gpu/deps.tar.xz ]] || tests/gpu/collect.sh || return 1
  [[ $deps/stamp -nt .gpu/deps.tar.xz ]] && return 0
  rm -rf "$deps"
  python3 - .gpu/deps.tar.xz "$work" <<'PYTHON' || tar -C "$work" -xf .gpu/deps.tar.xz || return 1
import sys
import tarfile
with tarfile.open(sys.argv[1]) as archive:
    archive.extractall(sys.argv[2])
PYTHON
  cp -r tests/data "$deps/data" # with the decoded pictures beside
  python3 tests/gpu/decode_pictures.py "$deps/data/photos" "$deps/data/goldens" 2>/dev/null ||
    /usr/bin/python3 tests/gpu/decode_pictures.py "$deps/data/photos" "$deps/data/goldens" || {
    echo "no pictures can be decoded here: python3 needs OpenCV or Pillow"
    return 1
  }
  touch "$deps/stamp"
}

# nvcc, or one whose toolkit has been completed with what Python packages bring: some images have a
# toolkit without cuBLASLt.
find_nvcc() {
  local nvcc
  nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null) || return 1
  python3 tests/gpu/complete_toolkit.py "$(readlink -f "$nvcc")" "$work/toolkit"
}

architecture() {
  local capability
  capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -1 | tr -d .)
  [[ $capability =~ ^[0-9]+$ ]] || capability=90
  [[ $capability == 90 ]] && capability=90a
  echo "$capability"
}

meson_command() {
  if command -v meson >/dev/null; then meson "$@"; else python3 -m mesonbuild.mesonmain "$@"; fi
}

build_all() {
  local nvcc options
  unpack_deps || return 1
  nvcc=$(find_nvcc) || {
    echo "There is no nvcc here."
    return 1
  }
  options=(-Dcpu=disabled -Dcuda=enabled -Dplugin=disabled -Dtests=disabled "-Dgpu_tests=$deps"
    "-Dgpu_architectures=$(architecture)")
  PATH=$(dirname "$nvcc"):$PATH
  if [[ -f $build/build.ninja ]]; then
    meson_command configure "$build" "${options[@]}" || return 1
  else
    rm -rf "$build"
    meson_command setup "$build" "${options[@]}" || return 1
  fi
  meson_command compile -C "$build"
}

stage_build() {
  if build_all; then note build passed; else
    note build failed
    finish
  fi
}

# --- tests ---------------------------------------------------------------------------------------

# run_test NAME COMMAND...: counts its cases; a GPU that is here but cannot be opened is a failure.
run_test() {
  local name=$1 code=0 log=$results/$1.log
  shift
  "$@" >"$log" 2>&1 || code=$?
  cat "$log" >>"$results/log.txt"
  grep -E '^\[  (PASSED|FAILED) |^\[  SKIPPED |FAILURE|Failure|skipped:|ERROR SUMMARY|RACECHECK SUMMARY' "$log" |
    head -40
  local count
  count=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) tests\?.*/\1/p' "$log" | tail -1)
  if ((code == 0)) && [[ ${count:-0} -gt 0 ]]; then
    note "$name" passed "$count cases"
  elif grep -q 'Device not supported' "$log"; then  # compute-sanitizer, on a virtual GPU
    note "$name" skipped "the tool cannot work on this machine"
  else
    tail -30 "$log"
    note "$name" failed "exit status $code"
  fi
}

# cuDNN, which the backend opens when it needs it, may be a Python package's alone.
with_environment() {
  local cudnn
  cudnn=$(python3 -c 'import nvidia.cudnn as m; print(m.__path__[0] + "/lib")' 2>/dev/null)
  (
    export LD_LIBRARY_PATH="$deps/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}${cudnn:+:$cudnn}"
    export CLIPTAG_DATA="$deps/data" CLIPTAG_SOURCE_ROOT="$root"
    export CLIPTAG_CUDA_MODULE="${CLIPTAG_CUDA_MODULE:-$build/kernels/cuda/libcliptag_cuda.so}"
    "$@"
  )
}

stage_test() {
  run_test operations with_environment at_most 400 "$programs/gpu_backend_test"
  run_test goldens with_environment at_most 200 "$programs/gpu_goldens_test"
}

# --- compute-sanitizer -----------------------------------------------------------------------------

# Of our kernels alone, whose mangled names have the namespace in them: cuBLASLt's are not ours to mend, and
# many. The option's name changed over the years; its keys did not.
kernel_filter() {
  local help
  help=$("$1" --help 2>&1)
  if grep -q -- '--kernel-name' <<<"$help"; then
    echo "--kernel-name kernel_substring=cliptag"
  elif grep -q -- '--kernel-regex' <<<"$help"; then
    echo "--kernel-regex kns=cliptag"
  elif grep -q -- '--filter' <<<"$help"; then
    echo "--filter kernel_substring=cliptag"
  fi
}

stage_sanitize() {
  local tool filter sanitizer cases
  local -x CLIPTAG_TEST_SMALL=1
  sanitizer=$(PATH=$PATH:/usr/local/cuda/bin:/usr/local/cuda/compute-sanitizer command -v compute-sanitizer)
  if [[ -z $sanitizer ]]; then
    note sanitize skipped "no compute-sanitizer here"
    return
  fi
  for tool in memcheck racecheck synccheck; do
    filter='' cases='*'
    # Products and convolutions are the libraries' alone, and some of their kernels break racecheck ("failed
    # to handle a hardware exception" on an H200).
    [[ $tool == memcheck ]] || filter=$(kernel_filter "$sanitizer") cases='-*Gemm*:*Convolution*'
    # shellcheck disable=SC2086 # two words, or none
    run_test "$tool" with_environment at_most 180 "$sanitizer" --tool "$tool" $filter --error-exitcode 1 \
      "$programs/gpu_backend_test" "--gtest_filter=$cases"
  done
}

# --- benchmarks ------------------------------------------------------------------------------------

stage_bench() {
  local code=0
  with_environment at_most 400 "$programs/gpu_bench" >"$results/cliptag.jsonl" 2>"$results/bench.log" || code=$?
  # What users get when they do not ask: for comparison, the encoders alone.
  with_environment at_most 200 "$programs/gpu_bench" --part models --precision fp16 --batch 1 --batch 64 \
    >>"$results/cliptag.jsonl" 2>>"$results/bench.log" || code=$?
  cat "$results/bench.log" >>"$results/log.txt"
  if ((code == 0)); then note bench passed "$(wc -l <"$results/cliptag.jsonl") results"; else
    cat "$results/bench.log"
    note bench failed "exit status $code"
  fi
}

stage_torch() {
  local code=0 left=100000
  if ! python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
    note torch skipped "no PyTorch with CUDA here"
    return
  fi
  ((seconds == 0)) || left=$((seconds - SECONDS - 20))
  timeout $((left > 0 ? left + 10 : 1)) python3 tests/gpu/bench_torch.py --seconds "$left" \
    --results "$results/torch.jsonl" 2>"$results/torch.log" || code=$?
  tail -c 20000 "$results/torch.log" >>"$results/log.txt"
  # 124: stopped by the clock, with what it has on disk.
  if ((code == 0 || code == 124)); then note torch passed "$(wc -l <"$results/torch.jsonl") results"; else
    tail -20 "$results/torch.log"
    note torch failed "exit status $code"
  fi
}

report_files=()
stage_report() {
  local name
  [[ -s $results/machine.jsonl ]] || {
    note report skipped "nothing was measured"
    return
  }
  if name=$(python3 tests/gpu/report.py --directory tests/gpu/results "$results"/*.jsonl); then
    report_files=("tests/gpu/results/$name.json" "tests/gpu/results/$name.md")
    cat "tests/gpu/results/$name.md"
    note report passed "tests/gpu/results/$name.json"
  else
    note report failed
  fi
}

# ---------------------------------------------------------------------------------------------------

gpu=$(gpu_name)
for stage in "${stages[@]}"; do
  say "$stage"
  if [[ $stage == test || $stage == sanitize || $stage == bench || $stage == torch ]]; then
    if [[ -z $gpu ]]; then
      echo "This machine has no NVIDIA GPU: nothing to $stage on."
      finish 77
    fi
    printf '{"kind": "machine", "gpu": "%s", "driver": "%s", "nvcc": "%s", "commit": "%s", "date": "%s"}\n' "$gpu" \
      "$(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -1)" \
      "$("$(find_nvcc)" --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\).*/\1/p')" \
      "$(git describe --always --abbrev=12 --dirty --exclude='*' 2>/dev/null || cat .gpu/commit 2>/dev/null)" \
      "$(date +%F)" \
      >"$results/machine.jsonl"
    [[ $stage == torch || -x $programs/gpu_bench ]] || stage_build
  fi
  "stage_$stage"
done
finish
