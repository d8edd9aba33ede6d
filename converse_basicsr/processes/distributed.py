"""Join the processes of a distributed run, on GPUs (NCCL) or CPUs (gloo), as torchrun or Slurm has started them."""

import gc
import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from converse_basicsr.errors import UserError
from converse_basicsr.messages import tell

Answer = TypeVar('Answer')

DEFAULT_PORT = 29500  # torch.distributed's

_excepthook: Any = None
"""The hook for uncaught exceptions before torch.distributed put one before it, which it never takes back."""


def start(launcher: str, *, on_gpus: bool, port: int | None = None, backend: str | None = None) -> None:
    """Join this process to the others of its run; choose its GPU by its number on the machine (``LOCAL_RANK``).

    Args:
        launcher: ``pytorch`` (torchrun, and ``--nproc``) or ``slurm``.
        on_gpus: Whether every process has a GPU.
        port: Port at which rank 0 listens, for Slurm, unless ``MASTER_PORT`` is set.
        backend: What the option file asks for; see :func:`choose_backend`.

    Raises:
        UserError: If the launcher has not set the environment of the processes, or there is no GPU for this one.
    """
    import torch

    if launcher == 'slurm':
        take_over_slurm_environment(port)
    absent = [name for name in ('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT') if name not in os.environ]
    if absent:
        raise UserError(
            f'--launcher {launcher}: {", ".join(absent)} not set in the environment; start the processes with '
            'torchrun, or use --nproc N instead of --launcher'
        )
    whole_numbers('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_PORT')
    if on_gpus:
        torch.cuda.set_device(local_gpu(torch.cuda.device_count()))
    if torch.multiprocessing.get_start_method(allow_none=True) is None:
        # A forked loader worker would inherit the threads and sockets of the communication.
        torch.multiprocessing.set_start_method('spawn')
    chosen = choose_backend(backend, on_gpus=on_gpus)
    if backend not in (None, chosen) and os.environ['RANK'] == '0':
        tell(f'note: dist_params:backend {backend} needs GPUs; {chosen} takes its place')
    global _excepthook
    _excepthook = sys.excepthook
    try:
        torch.distributed.init_process_group(chosen)
    except (RuntimeError, ValueError) as error:  # torch's DistError is a RuntimeError
        address = f'{os.environ["MASTER_ADDR"]}:{os.environ["MASTER_PORT"]}'
        if re.search('EADDRINUSE|address already in use', str(error), re.IGNORECASE):
            raise UserError(
                f'port {os.environ["MASTER_PORT"]} is in use, perhaps by another run: set MASTER_PORT (under Slurm, or '
                'dist_params:port) to a free one'
            ) from error
        reason = str(error).strip().partition('\n')[0]
        raise UserError(
            f'rank {os.environ["RANK"]} cannot join the other processes at {address} ({reason}): see whether '
            'rank 0 runs there, and MASTER_ADDR, MASTER_PORT, RANK and WORLD_SIZE'
        ) from error


def whole_numbers(*names: str) -> None:
    """Refuse environment variables of a launcher, where they are set, that are no whole numbers.

    Raises:
        UserError: If one is none.
    """
    for name in names:
        value = os.environ.get(name)
        if value is not None and not re.fullmatch('[0-9]{1,9}', value):
            raise UserError(f'the environment variable {name} must be a whole number, got {value!r}: see the launcher')


def choose_backend(asked: str | None, *, on_gpus: bool) -> str:
    """Choose how processes communicate, from ``dist_params: backend``.

    Args:
        asked: ``nccl``, ``gloo``, ``mpi``, or ``None`` for what suits the device.
        on_gpus: Whether every process has a GPU.

    Returns:
        The backend. NCCL connects GPUs only, so where it is asked for on CPUs, as in BasicSR's own option files, gloo
        takes its place.

    Raises:
        UserError: If PyTorch was built without it.
    """
    import torch

    backend = asked or ('nccl' if on_gpus else 'gloo')
    if backend == 'nccl' and not on_gpus:
        backend = 'gloo'
    known = torch.distributed.Backend.backend_list
    if backend not in known:
        raise UserError(f'dist_params:backend must be one of {", ".join(sorted(known))}, got {backend}')
    if not torch.distributed.is_backend_available(backend):
        raise UserError(f'dist_params:backend: this PyTorch was built without {backend}; leave it out')
    return backend


def from_rank_0(function: Callable[[], Answer]) -> Answer:
    """Return, in every process, what ``function`` returns on rank 0, because other ranks might get another answer.

    Raises:
        UserError: In every process, if ``function`` does.
    """
    import torch

    if not torch.distributed.is_initialized():
        return function()
    answer: list[Answer | UserError | None] = [None]
    if torch.distributed.get_rank() == 0:
        try:
            answer = [function()]
        except UserError as error:
            answer = [error]
    torch.distributed.broadcast_object_list(answer, src=0)
    if isinstance(answer[0], UserError):
        raise UserError(*answer[0].lines)
    return answer[0]  # type: ignore[return-value]


def leave() -> None:
    """End the communication with the other processes, if there is any."""
    torch = sys.modules.get('torch')
    if torch is not None and torch.distributed.is_initialized():
        # A DistributedDataParallel that outlives the communication can hang in its destructor (PyTorch 2.4, gloo).
        gc.collect()
        torch.distributed.destroy_process_group()
    if _excepthook is not None and sys.excepthook.__module__.startswith('torch.'):
        sys.excepthook = _excepthook


def lost_connection(error: RuntimeError) -> bool:
    """Say whether an error of the communication means that another process is gone."""
    torch = sys.modules.get('torch')
    if torch is None or not torch.distributed.is_initialized():
        return False
    return (
        isinstance(error, torch.distributed.DistError)
        or re.search('gloo.*(closed|reset|[Tt]imed out)', str(error)) is not None
    )


def local_gpu(count: int) -> int:
    """Return the number of the GPU for this process.

    Args:
        count: Number of GPUs that are visible.

    Raises:
        UserError: If the machine has more processes than GPUs.
    """
    local_rank = int(os.environ.get('LOCAL_RANK', os.environ['RANK']))
    if local_rank >= count:
        raise UserError(
            f'rank {os.environ["RANK"]} is process {local_rank + 1} of this machine, which shows {count} GPU(s): start '
            'one process per GPU (--nproc, --nproc_per_node, --ntasks-per-node), or set num_gpu: 0 for the CPU'
        )
    return local_rank


def take_over_slurm_environment(port: int | None) -> None:
    """Set the environment variables that torch.distributed reads, from those of ``srun``.

    Raises:
        UserError: If this process was not started by ``srun``, or its list of machines cannot be read.
    """
    names = {'RANK': 'SLURM_PROCID', 'WORLD_SIZE': 'SLURM_NTASKS', 'LOCAL_RANK': 'SLURM_LOCALID'}
    absent = [name for name in (*names.values(), 'SLURM_NODELIST') if name not in os.environ]
    if absent:
        raise UserError(f'--launcher slurm: {", ".join(absent)} not set in the environment; start with srun')
    os.environ.update({name: os.environ[source] for name, source in names.items()})
    if 'MASTER_ADDR' not in os.environ:
        command = ['scontrol', 'show', 'hostnames', os.environ['SLURM_NODELIST']]
        try:
            hosts = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            os.environ['MASTER_ADDR'] = hosts[0]
        except (OSError, subprocess.CalledProcessError, IndexError) as error:
            raise UserError(
                f'--launcher slurm: {" ".join(command)} failed ({error}); set MASTER_ADDR to the machine of rank 0'
            ) from error
    os.environ.setdefault('MASTER_PORT', str(port or DEFAULT_PORT))
