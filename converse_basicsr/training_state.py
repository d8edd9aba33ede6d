"""What a training state holds beside BasicSR's part, where its run stood in the data, and which states are kept."""

import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed


def data_position(progress: Mapping[str, int], epoch: int, current_iter: int) -> int:
    """Number of samples (of all processes) of ``epoch`` that a run has used up after iteration ``current_iter``.

    Args:
        progress: ``epoch``, ``iter`` and ``position`` from which the run started, ``epoch_size`` and ``batch_size`` in
            samples of all processes.
        epoch: The epoch the run is in.
        current_iter: The iteration that it has just ended.
    """
    size, batch = progress['epoch_size'], progress['batch_size']
    batches, position = current_iter - progress['iter'], progress['position']
    if epoch > progress['epoch']:
        batches -= (size - position) // batch + (epoch - progress['epoch'] - 1) * (size // batch)
        position = 0
    return position + batches * batch


def epoch_of(progress: Mapping[str, int], current_iter: int) -> int:
    """The epoch to which iteration ``current_iter`` belongs.

    Args:
        progress: As for :func:`data_position`.
        current_iter: An iteration from the run's start on.
    """
    size, batch = progress['epoch_size'], progress['batch_size']
    batches = current_iter - progress['iter'] - (size - progress['position']) // batch
    return progress['epoch'] + max(0, -(-batches // (size // batch)))


def generator_states() -> list[dict[str, Any]]:
    """The states of the random generators of every process, by rank. All processes must call it.

    Only plain values and tensors, which load without running code.
    """
    name, keys, *rest = np.random.get_state()  # noqa: NPY002  (what BasicSR's code draws from)
    own = {
        'python': random.getstate(),
        'numpy': (name, torch.from_numpy(keys.astype(np.int64)), *rest),
        'torch': torch.get_rng_state(),
    }
    if torch.cuda.is_initialized():
        own['cuda'] = torch.cuda.get_rng_state()
    if not torch.distributed.is_initialized():
        return [own]
    states: list[dict[str, Any]] = [{}] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(states, own)
    return states


def set_generator_states(states: list[dict[str, Any]]) -> bool:
    """Put the random generators of this process into what :func:`generator_states` has saved for its rank.

    Returns:
        Whether there was something saved for it: a run that goes on with more processes has ranks of which nothing is
        known. Theirs are left as they are.
    """
    rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
    if rank >= len(states):
        return False
    own = states[rank]
    random.setstate(own['python'])
    name, keys, *rest = own['numpy']
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(own['torch'])
    if 'cuda' in own and torch.cuda.is_available():
        torch.cuda.set_rng_state(own['cuda'])
    return True


def plain_results(results: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """BasicSR's ``best_metric_results`` in plain values: metrics return NumPy's numbers, which need code to load."""
    return {
        dataset: {
            metric: {'better': record['better'], 'val': float(record['val']), 'iter': int(record['iter'])}
            for metric, record in metrics.items()
        }
        for dataset, metrics in results.items()
    }


def iteration(path: Path) -> int | None:
    """The iteration in the name of a training state or network, ``None`` where there is none (``net_g_latest.pth``)."""
    number = path.stem.rpartition('_')[2]
    return int(number) if number.isdecimal() else None


def saved_iterations(folder: Path) -> list[int]:
    """The iterations of the training states in a folder, ascending."""
    return sorted(number for path in folder.glob('*.state') if (number := iteration(path)) is not None)


def keep_newest(count: int, current_iter: int, states: Path, models: Path) -> None:
    """Delete all training states but the newest ``count`` up to an iteration, and all networks that are older.

    A state goes before its networks: what is left of an interrupted deletion is networks without a state, which the
    next one finds.

    Args:
        count: Number of states to keep, at least 1.
        current_iter: The iteration that was just saved. What is newer is of an earlier course of the run: it may be
            damaged, so it does not count, and it is left alone.
        states: The run's ``training_states`` folder.
        models: The run's ``models`` folder.
    """
    oldest = [number for number in saved_iterations(states) if number <= current_iter][-count:][0]
    for path in [*states.glob('*.state'), *models.glob('net_*.pth')]:
        number = iteration(path)
        if number is not None and number < oldest:
            path.unlink(missing_ok=True)


def remove_unfinished(folders: Iterable[Path]) -> None:
    """Delete what writes that were cut short have left in these folders."""
    for folder in folders:
        for path in folder.glob('.*.tmp'):
            path.unlink(missing_ok=True)
