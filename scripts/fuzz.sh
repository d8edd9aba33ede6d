#!/usr/bin/env bash
# Search for bytes that a reader fails on: bash scripts/fuzz.sh TARGET [MINUTES]
# Targets: checkpoints, lmdb, options, pictures, records. Needs: pip install atheris (Linux, Python 3.11 to 3.13).
# New inputs and faults come below .fuzz; the tests replay those in tests/fuzz/corpus.
set -euo pipefail
cd "$(dirname "$0")/.."
python tests/support/fuzz.py "${1:?name a target}" --minutes "${2:-10}"
