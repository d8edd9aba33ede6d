#!/usr/bin/env bash
# Install into .venv-test, then check style, layers and types, and test.
#   bash scripts/test.sh [PYTEST ARGUMENTS]        (-m 'not slow' leaves out the long tests; -n 0: one after another)
# JOBS=2   tests at a time; else one per core, four at most. Takes the variables of scripts/install.sh.
# Tests on the public test images and released weights run where CONVERSE_BASICSR_DATA names their folder.
set -euo pipefail
cd "$(dirname "$0")/.."

bash scripts/install.sh .venv-test dev,export,mmcv-lite,spandrel
programs=$PWD/.venv-test/bin
[ -d "$programs" ] || programs=$PWD/.venv-test/Scripts # Windows
export PATH=$programs:$PATH

ruff check .
ruff format --check .
lint-imports
mypy
# The suite runs many tiny networks: one thread each is faster than several that wait for each other.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
python -m pytest -n "${JOBS:-auto}" --maxprocesses 4 --dist worksteal "$@"
