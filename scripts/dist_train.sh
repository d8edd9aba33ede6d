#!/usr/bin/env bash
# Train on several GPUs, of this machine or, with NNODES, of several.
#   bash scripts/dist_train.sh NUMBER_OF_GPUS OPTION_FILE [FURTHER ARGUMENTS]
# On each of NNODES machines, with NODE_RANK 0, 1, ... and the same MASTER_ADDR (the machine of rank 0) and MASTER_PORT:
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=HOST bash scripts/dist_train.sh 8 OPTION_FILE --auto_resume
set -euo pipefail
if [ $# -lt 2 ]; then
    echo 'usage: [NNODES=N NODE_RANK=N MASTER_ADDR=HOST] bash scripts/dist_train.sh NUMBER_OF_GPUS OPTION_FILE [...]' >&2
    exit 2
fi
gpus=$1 options=$2
shift 2
nodes=(--standalone)
if [ "${NNODES:-1}" -gt 1 ]; then
    : "${NODE_RANK:?must be set with NNODES}" "${MASTER_ADDR:?must be set with NNODES}"
    nodes=(--nnodes="$NNODES" --node_rank="$NODE_RANK" --master_addr="$MASTER_ADDR" --master_port="${MASTER_PORT:-29500}")
fi
exec torchrun "${nodes[@]}" --nproc_per_node="$gpus" --no-python basicsr train -opt "$options" --launcher pytorch "$@"
