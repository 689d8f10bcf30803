#!/usr/bin/env bash
# What a first result costs: CPU seconds (user and system, children included) of pipelines/demo.sh from a fresh clone,
# without ccache and with setup.sh's packages installed; then those of a second call, which builds nothing.
#
#   tests/bench/demo_cost.sh [COMMIT]     HEAD unless given
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
commit=$(git rev-parse --verify --short "${1:-HEAD}^{commit}")

clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT
git clone --quiet --no-checkout . "$clone/cliptag"
cd "$clone/cliptag"
git checkout --quiet "$commit"
export CCACHE_DISABLE=1 CLIPTAG_DEMO_PULL=0 TIMEFORMAT='%U %S %R'
measure() { # NAME
  local user sys real
  read -r user sys real < <({ time ./pipelines/demo.sh >demo.log 2>&1 </dev/null; } 2>&1 | tail -n 1)
  [[ -s demo-out/tagged.webm ]] || {
    tail -n 20 demo.log >&2
    exit 1
  }
  awk -v name="$1" -v u="$user" -v s="$sys" -v r="$real" -v commit="$commit" \
    'BEGIN { printf "%s %-12s %.0f s of CPU (user %.0f, system %.0f) in %.0f s\n", commit, name, u + s, u, s, r }'
}
measure first
measure again
