#!/usr/bin/env bash
# Breaks the CUDA kernels on purpose, one mistake at a time, in a copy of the tree, and runs the tests that
# should notice: what a survivor shows is a hole in the tests. Run on demand; takes some ten minutes.
#
#   tests/mutate_kernels.sh [--list] [--keep DIR] [WORD...]     WORD: only mutants whose description has it
#
# The last line is `N mutants, N killed`; succeeds if both are the same.
set -euo pipefail
exec python3 "$(dirname "${BASH_SOURCE[0]}")/cuda/mutate.py" "$@"
