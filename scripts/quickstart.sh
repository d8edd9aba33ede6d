#!/usr/bin/env bash
# Install into .venv, prepare the demo data, train a small Converse-SRResNet x4 for some minutes, and show what it learned.
#   bash scripts/quickstart.sh
# Takes the variables of scripts/install.sh.
set -euo pipefail
if [ $# -gt 0 ]; then
    sed -n '2,/^set /{/^# /s/^# //p}' "$0" >&2
    [ "$*" = --help ] || [ "$*" = -h ] || exit 2
    exit
fi
cd "$(dirname "$0")/.."
options=options/demo/converse_srresnet_x4.yml

echo '== 1/4 installing into .venv (some minutes, mostly PyTorch) =='
bash scripts/install.sh .venv
basicsr=$PWD/.venv/bin/basicsr
[ -x "$basicsr" ] || basicsr=$PWD/.venv/Scripts/basicsr.exe # Windows

echo '== 2/4 preparing the demo data: photographs of scikit-image, as LMDB =='
"$basicsr" prepare demo --output datasets/demo

echo '== 3/4 training (about three minutes on two cores; the whole log is in experiments/) =='
# The network's printout is long: show the progress only.
# One thread: for so small a network, several wait for each other more than they help.
OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} "$basicsr" train -opt "$options" 2>&1 | grep --line-buffered -E 'iter: +[0-9,]+, lr|# psnr|rror'

echo '== 4/4 the trained network beside bicubic interpolation, on images it never saw =='
"$basicsr" report -opt "$options" 2>&1 | grep -E '^demo|^ +metric|rror|figures'
