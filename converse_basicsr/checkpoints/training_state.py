"""Training states: what they hold besides BasicSR's part, which one is resumed, and which are kept."""

import os
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed

from converse_basicsr.checkpoints import files
from converse_basicsr.errors import UserError
from converse_basicsr.files import atomic
from converse_basicsr.messages import tell

NEEDED = frozenset({'iter', 'epoch', 'optimizers', 'schedulers'})
"""Keys that every training state has, also one written by BasicSR itself."""


def generator_states() -> list[dict[str, Any]]:
    """Return the states of the random generators of every process, by rank. All processes must call this.

    They are plain values and tensors, which load without running code.
    """
    state: Any = np.random.get_state()  # noqa: NPY002  (what BasicSR's code draws from)
    name, keys, *rest = state
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
    """Set the random generators of this process to the states that :func:`generator_states` has saved for its rank.

    Returns:
        Whether there is one. A run resumed with more processes has ranks without a saved state; their generators are
        left unchanged.
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
    """Return BasicSR's ``best_metric_results`` in plain values: NumPy's numbers would need code to load."""
    return {
        dataset: {
            metric: {'better': record['better'], 'val': float(record['val']), 'iter': int(record['iter'])}
            for metric, record in metrics.items()
        }
        for dataset, metrics in results.items()
    }


def iteration(path: Path) -> int | None:
    """Return the iteration in the name of a state or network, ``None`` where it has none (``net_g_latest.pth``)."""
    number = path.stem.rpartition('_')[2]
    return int(number) if number.isdecimal() else None


def saved_iterations(folder: Path) -> list[int]:
    """Return the iterations of the training states in a folder, ascending."""
    return sorted(number for path in folder.glob('*.state') if (number := iteration(path)) is not None)


def keep_newest(count: int, current_iter: int, states: Path, models: Path) -> None:
    """Delete all training states but the newest ``count`` up to an iteration, and all networks that are older.

    A state is deleted before its networks, so an interrupted deletion leaves networks without a state, which the next
    call deletes.

    Args:
        count: Number of states to keep, at least 1.
        current_iter: The iteration that was just saved. Newer states are from before the run was resumed; they may be
            damaged, so they do not count, and they stay.
        states: The run's ``training_states`` folder.
        models: The run's ``models`` folder.
    """
    kept = [number for number in saved_iterations(states) if number <= current_iter][-count:]
    if not kept:  # a model of a plugin may save no states
        return
    networks = [path for suffix in files.SUFFIXES for path in models.glob(f'net_*{suffix}')]
    for path in [*states.glob('*.state'), *networks]:
        number = iteration(path)
        if number is not None and number < kept[0]:
            path.unlink(missing_ok=True)


def remove_unfinished(folders: Iterable[Path]) -> None:
    """Delete the temporary files that interrupted writes left in these folders."""
    for folder in folders:
        for path, final in atomic.unfinished(folder):
            if iteration(Path(final)) is not None or final.startswith('net_'):
                path.unlink(missing_ok=True)


def network_file(models: Path, label: str, iteration: int | str) -> Path:
    """Return the file of a network of a run, in the format that exists; ``.pth`` where none does.

    Args:
        models: The run's ``models`` folder.
        label: ``g`` for ``net_g_5000.pth``.
        iteration: Its number, or ``latest``.
    """
    paths = [models / f'net_{label}_{iteration}{suffix}' for suffix in files.SUFFIXES]
    present = [path for path in paths if path.is_file()]
    # A run whose save_format was changed has both of net_g_latest.
    return max(present, key=lambda path: path.stat().st_mtime_ns, default=paths[0])


def newest_intact(folder: str | os.PathLike[str], networks: Iterable[str] = ('g',)) -> Path | None:
    """Find the training state with the highest iteration that is whole and whose networks are whole as well.

    Args:
        folder: The run's ``training_states`` folder.
        networks: Labels of the run's networks: ``g`` for ``net_g_5000.pth``.

    Returns:
        Its path, or ``None`` if there is none. States that cannot be used are named on standard error.
    """
    folder = Path(folder)
    for number in reversed(saved_iterations(folder)):
        path = folder / f'{number}.state'
        try:
            files.require_intact(path)
            state = files.read(path)
            if not isinstance(state, dict) or not set(state) >= NEEDED:
                raise UserError(f'{path} is not a training state')
            for label in networks:
                files.require_intact(network_file(folder.parent / 'models', label, number))
        except UserError as error:
            tell(f'auto_resume: skipping {path.name}: {error}')
        else:
            return path
    return None
