#!/usr/bin/env bash
# Train on several GPUs of this machine.
#   bash scripts/dist_train.sh NUMBER_OF_GPUS OPTION_FILE [FURTHER ARGUMENTS]
set -euo pipefail
if [ $# -lt 2 ]; then
    echo 'usage: bash scripts/dist_train.sh NUMBER_OF_GPUS OPTION_FILE [FURTHER ARGUMENTS]' >&2
    exit 2
fi
gpus=$1 options=$2
shift 2
exec torchrun --standalone --nproc_per_node="$gpus" -m converse_basicsr.cli train -opt "$options" --launcher pytorch "$@"
