#!/usr/bin/env bash
# Passes all checks and tests; arguments go to pytest (bash run_tests.sh -k rle).
# Those of report.html need a browser: apt-get install chromium, or CHROMIUM=/path/to/chrome.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/tools/environment.sh"
use_environment requirements-dev.txt

cd "$here"
"$python" -m ruff format --check .
"$python" -m ruff check .
"$python" -m mypy .
# A process a core, of one thread each; tests of one file share what they have trained.
export OMP_NUM_THREADS=1
"$python" -m pytest -n auto --dist loadfile --no-loadscope-reorder "$@"
