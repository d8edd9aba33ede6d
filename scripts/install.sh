#!/usr/bin/env bash
# Make a virtual environment with BasicSR and this package.
#   bash scripts/install.sh [FOLDER] [EXTRAS]      (default: .venv, no extras)
# PYTHON=python3.11 chooses the interpreter, TORCH=2.4 the version of PyTorch (default: the newest).
set -euo pipefail
venv=${1:-.venv}
case $venv in
    /* | [A-Za-z]:*) ;;
    *) venv=$PWD/$venv ;;
esac
extras=${2:-}
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))'; then
    echo "install.sh: BasicSR's source package builds on Python 3.10 to 3.12, and $python is $("$python" -V 2>&1);" \
        "set PYTHON=python3.11, say" >&2
    exit 2
fi
[ -x "$venv/bin/python" ] || [ -x "$venv/Scripts/python.exe" ] || "$python" -m venv "$venv"
programs=$venv/bin
[ -d "$programs" ] || programs=$venv/Scripts # Windows
pip=("$programs/python" -m pip --disable-pip-version-check install --quiet)

"${pip[@]}" "torch${TORCH:+==$TORCH.*}" torchvision
# BasicSR asks for torch while it is built: in an isolated build environment pip would download it a second time.
"${pip[@]}" setuptools wheel cython numpy
"${pip[@]}" --no-build-isolation 'basicsr>=1.4.2'
"${pip[@]}" --no-build-isolation --editable ".${extras:+[$extras]}"
