#!/usr/bin/env bash
# Train under Slurm, one process per GPU:
#   sbatch --nodes=8 --ntasks-per-node=8 --gpus-per-node=8 scripts/slurm_train.sh OPTION_FILE [FURTHER ARGUMENTS]
# Two minutes before its time is over the job is told to save; it is then queued again and goes on from there.
#SBATCH --job-name=basicsr
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail
if [ $# -lt 1 ]; then
    echo 'usage: sbatch [SBATCH OPTIONS] scripts/slurm_train.sh OPTION_FILE [FURTHER ARGUMENTS]' >&2
    exit 2
fi
options=$1
shift
# Jobs that share a machine must not share a port.
export MASTER_PORT=$((20000 + SLURM_JOB_ID % 10000))
status=0
srun --kill-on-bad-exit=1 basicsr train -opt "$options" --launcher slurm --auto_resume "$@" ||
    status=$?
if [ "$status" -eq 143 ]; then # 128 + SIGTERM: saved, and not finished
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
