#!/usr/bin/env bash
# Sets up, builds and runs every test; the last line is `N passed, N failed, N skipped`, counted over
# test cases. Succeeds only if something ran and nothing failed.
#
#   tests/run.sh [--quick] [--ci] [--sanitize=address|thread] [TEST...]
#
#   TEST       a test's name or a suite's, or a glob
#   --quick    builds only what the tests need, and runs without TEST the quick ones: base, model files,
#              engine, elements on the fake engine, the tree's own
#   --ci       a skip that tests/expected_skips.txt does not list is a failure
#   --sanitize for people: some libraries need the suppressions beside this file, and it takes long
#
# The build stays in build/ (build-address/, build-thread/), so that a second run is quick.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

quick_tests=(kernels_base models_files models_hub models_torch engine elements tree)

build=build quick=false expected=()
options=(-Dtests=enabled)
test_options=()
sanitize() {
  build=build-$1
  options+=(-Db_sanitize="$2" -Db_lundef=false -Db_pch=false -Dbuildtype=debugoptimized)
  test_options+=(--timeout-multiplier 20)
  # GStreamer's own scanner is built without the sanitizer and could not load the plugin.
  export GST_REGISTRY_FORK=no
}
while (($#)); do
  case $1 in
    --sanitize=address)
      sanitize address address,undefined
      # What GLib and GStreamer keep until the process ends is theirs.
      export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:abort_on_error=0}
      export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
      ;;
    --sanitize=thread)
      sanitize thread thread
      export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:history_size=7:suppressions=$PWD/tests/tsan.supp}
      ;;
    --quick) quick=true ;;
    --ci) expected=(tests/expected_skips.txt) ;;
    -h | --help)
      sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    --*)
      echo "tests/run.sh: no option $1 (there are --quick, --ci, --sanitize=address and --sanitize=thread)" >&2
      exit 2
      ;;
    *) break ;;
  esac
  shift
done

./pipelines/setup.sh

# Configures anew only where an option differs: that alone takes ten seconds.
configured() {
  python3 - "$build/meson-info/intro-buildoptions.json" "${options[@]#-D}" <<'PYTHON'
import json, sys
with open(sys.argv[1], encoding="utf-8") as f:
    values = {option["name"]: str(option["value"]) for option in json.load(f)}
sys.exit(any(values.get(name, "").lower() != value for name, value in (word.split("=", 1) for word in sys.argv[2:])))
PYTHON
}
if [[ -f $build/build.ninja ]]; then
  configured || meson configure "$build" "${options[@]}"
else
  rm -rf "$build"
  meson setup "$build" "${options[@]}"
fi
if $quick; then
  (($#)) || set -- "${quick_tests[@]}"
  ninja -C "$build" build.ninja # made anew where a meson.build has changed
  rebuild=()
else
  meson compile -C "$build"
  rebuild=(--no-rebuild)
fi

# Debian 12's meson matches no globs, and no meson takes a suite for a name.
selected=()
if (($#)); then
  known=$(meson test -C "$build" --no-rebuild --list)
  for pattern; do
    names=$(
      while IFS= read -r line; do # PROJECT:SUITE / NAME
        name=${line##* / } suite=${line%% / *}
        if [[ $line == *" / "* && ($name == $pattern || ${suite#*:} == $pattern) ]]; then
          echo "$name"
        fi
      done <<<"$known"
    )
    if [[ -z $names ]]; then
      echo "tests/run.sh: no test and no suite matches $pattern" \
        "(meson test -C $build --list shows them all)" >&2
      exit 2
    fi
    selected+=("$names")
  done
  mapfile -t selected < <(printf '%s\n' "${selected[@]}" | sort -u)
fi

# A result of an earlier run must never be counted.
results=$PWD/$build/meson-logs/cases
rm -rf "$results" "$build"/meson-logs/testlog*
mkdir -p "$results"

code=0
GTEST_OUTPUT="xml:$results/" meson test -C "$build" "${rebuild[@]}" --print-errorlogs \
  "${test_options[@]}" "${selected[@]}" || code=$?

# Says which case failed and how to repeat it, which was skipped and why, then the counts.
count=0
python3 tests/count_cases.py "$build" "${expected[@]}" || count=$?
((code == 0)) || exit "$code"
exit "$count"
