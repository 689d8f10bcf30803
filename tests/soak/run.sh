#!/usr/bin/env bash
# The soak by hand: 1,000 starts and stops, then half an hour of 16 streams faster than real time. Leaves
# soak-cycles.csv and soak-streams.csv here, a line a second, and prints both curves; the exit code says
# whether memory at the end was that of the beginning.
#
#   tests/soak/run.sh [MINUTES [CYCLES]]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
case ${1:-} in -h | --help)
  sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
  exit 0
  ;;
esac
minutes=${1:-30} cycles=${2:-1000}
test=$root/build/tests/soak/soak_test
if [[ ! -x $test ]]; then
  echo "tests/soak/run.sh: there is no $test: build with -Dtests=enabled" >&2
  exit 1
fi
export CLIPTAG_SOAK_MINUTES=$minutes CLIPTAG_SOAK_CYCLES=$cycles CLIPTAG_SOAK_CSV=$PWD/soak
exec nice -n 19 meson devenv -C "$root/build" -w "$PWD" "$test" --gtest_filter='Soak.*'
