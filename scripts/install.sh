#!/usr/bin/env bash
# Make a virtual environment with this package, in place, and BasicSR; quick where that has been done.
#   bash scripts/install.sh [FOLDER] [EXTRAS]      (default: .venv, no extras)
# PYTHON=python3.12   the interpreter; else the first suitable one that is found (3.10 to 3.14)
# TORCH=2.4           the version of PyTorch; else the newest
# TORCH_INDEX=URL     the index that PyTorch is taken from: that of the CPU builds, say, which are far smaller
# UV=0                pip, even where there is uv
set -euo pipefail
case ${1:-} in
    -h | --help)
        sed -n '2,/^set /{/^# /s/^# //p}' "$0"
        exit
        ;;
    -*)
        echo "install.sh: the first argument names a folder: $1 is an option, and there is only --help" >&2
        exit 2
        ;;
esac
venv=${1:-.venv}
case $venv in
    /* | [A-Za-z]:*) ;;
    *) venv=$PWD/$venv ;;
esac
extras=${2:-}
cd "$(dirname "$0")/.."

tell() { echo "install.sh: $*" >&2; }

fail() {
    tell "$*"
    exit 2
}

uses_uv() { [ "${UV:-1}" != 0 ] && command -v uv > /dev/null; }

version() { "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])'; }

# Version and place of an interpreter, or of the one that an environment was made from.
describe() { "$1" -c 'import sys; print("Python %d.%d.%d of" % sys.version_info[:3], sys.base_prefix)'; }

# Debian's python3 has no ensurepip until python3-venv is installed; uv does without.
is_suitable() {
    local needs=ensurepip
    if uses_uv; then needs=sys; fi
    "$1" -c "import sys, $needs; sys.exit(not (3, 10) <= sys.version_info < (3, 15))" > /dev/null 2>&1
}

# Print the first suitable interpreter: on the PATH, then of pyenv, then of uv.
find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python3.10 python3.14 python \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[0-4]*/bin/python; do
        if is_suitable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    if uses_uv; then
        # uv fetches one where there is none.
        uv python find --quiet '>=3.10,<3.15' 2> /dev/null || echo 3.13
        return
    fi
    return 1
}

make_venv() {
    local python
    if [ -n "${PYTHON:-}" ]; then
        python=$PYTHON
        is_suitable "$python" || fail "Python 3.10 to 3.14 with venv is needed, and PYTHON=$python is" \
            "$("$python" -V 2>&1 || true); choose another, PYTHON=python3.12 say"
    else
        python=$(find_python) || fail 'found no Python 3.10 to 3.14 with venv (Debian: apt install python3-venv):' \
            'install one or uv, or name one by PYTHON=/path/to/python'
    fi
    if uses_uv; then
        uv venv --quiet --seed --python "$python" "$venv"
    else
        "$python" -m venv "$venv"
    fi
}

# Set `programs` to the folder of the environment's programs, which Windows calls otherwise.
find_programs() {
    programs=$venv/bin
    if [ ! -d "$programs" ] && [ -d "$venv/Scripts" ]; then programs=$venv/Scripts; fi
    [ -x "$programs/python" ] || [ -x "$programs/python.exe" ]
}

sees_gpu() { nvidia-smi -L > /dev/null 2>&1 || [ -e /dev/kfd ]; }

# A line for each thing that a repeated run must find as it was.
wanted() {
    echo "$PWD" "$extras" "${TORCH:-newest}" "${TORCH_INDEX:-}"
    cksum setup.py pyproject.toml converse_basicsr/version.py
}

is_installed() {
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(wanted)" ] && "$programs/python" -I -c '
import importlib.util, sys
sys.exit(not all(map(importlib.util.find_spec, ("torch", "basicsr", "converse_basicsr"))))' 2> /dev/null
}

install_torch() {
    local packages=("torch${TORCH:+==$TORCH.*}" torchvision)
    if [ -n "${TORCH_INDEX:-}" ]; then
        install --index-url "$TORCH_INDEX" "${packages[@]}"
        return
    fi
    if uses_uv && uv pip install --help | grep -q -e --torch-backend; then
        # The build for the GPU that is there, or for none, from PyTorch's own index.
        if install --torch-backend=auto "${packages[@]}"; then return; fi
        tell "uv did not get PyTorch from PyTorch's own index: trying the usual one"
    elif [ "$(uname)" = Linux ] && ! sees_gpu; then
        tell 'no GPU is seen: TORCH_INDEX=URL, with the address that pytorch.org gives for CPU, takes a smaller PyTorch'
    fi
    install "${packages[@]}"
}

if ! find_programs; then
    make_venv
    find_programs || fail "$venv holds no Python: remove it, or name another folder"
fi
"$programs/python" -c '' 2> /dev/null || fail "the Python of $venv does not start any more: remove that folder"
if [ -n "${PYTHON:-}" ] && [ "$(version "$PYTHON")" != "$(version "$programs/python")" ]; then
    fail "$venv is of Python $(version "$programs/python"), and PYTHON=$PYTHON is $(version "$PYTHON"):" \
        'remove that folder, or name another'
fi
stamp=$venv/converse_basicsr.installed
if is_installed; then
    tell "$venv is installed ($(describe "$programs/python"))"
    exit
fi
rm -f "$stamp"

if uses_uv; then
    tell "$(describe "$programs/python"), in $venv by $(uv --version)"
    install() { uv pip install --quiet --python "$venv" "$@"; }
else
    tell "$(describe "$programs/python"), in $venv by pip"
    install() { "$programs/python" -m pip --disable-pip-version-check install --quiet "$@"; }
fi
# PyTorch comes first: all that follows takes the build that is there.
install_torch
install --editable ".${extras:+[$extras]}"
"$programs/python" -m converse_basicsr.cli setup
wanted > "$stamp"
