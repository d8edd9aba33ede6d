"""Training states: what they hold besides BasicSR's part, which one is resumed, and which are kept."""

import logging
import os
import random
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed

from converse_basicsr.checkpoints import files
from converse_basicsr.checkpoints.course import Courses
from converse_basicsr.errors import UserError
from converse_basicsr.files import atomic, inside
from converse_basicsr.messages import tell

NEEDED = frozenset({'iter', 'epoch', 'optimizers', 'schedulers'})
"""Keys that every training state has, also one written by BasicSR itself."""

_CHECKPOINT = re.compile(rf'(net_\w+_)?([0-9]+|latest)({"|".join(map(re.escape, (".state", *files.SUFFIXES)))})')
"""Names of the files that a run writes."""


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


def keep_newest(count: int, saved: Collection[int], labels: Collection[str], states: Path, models: Path) -> list[int]:
    """Delete the states and networks of all iterations but the newest ``count``.

    A state is deleted before its networks, so an interrupted deletion leaves networks without a state, which the next
    call deletes. Links and folders of such names, which no run makes, stay.

    Args:
        count: Number of iterations to keep, at least 1.
        saved: Those that the run has saved. Files of others belong to somebody else.
        labels: What the networks' files begin with: ``net_g`` for ``net_g_5000.pth``.
        states: The run's ``training_states`` folder.
        models: The run's ``models`` folder.

    Returns:
        The iterations of ``saved`` whose files are still there.
    """
    ordered = sorted(saved)
    kept = ordered[-count:]
    for number in ordered[:-count]:
        networks = [f'{label}_{number}{suffix}' for label in labels for suffix in files.SUFFIXES]
        for folder, name in [(states, f'{number}.state'), *((models, name) for name in networks)]:
            path = folder / name
            try:
                if path.is_file() and not path.is_symlink():
                    inside.remove(folder, name)
            except OSError as error:
                logging.getLogger('basicsr').warning(f'keep_last: {path} cannot be deleted: {error.strerror}')
                kept.append(number)
                break
    return sorted(kept)


def remove_unfinished(folders: Iterable[Path]) -> None:
    """Delete the temporary files of checkpoints that interrupted writes left in these folders."""
    for folder in folders:
        for path, final in atomic.unfinished(folder):
            if _CHECKPOINT.fullmatch(final):
                inside.remove(folder, path.name)


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
    """Find the newest training state of the folder's course that is whole and whose networks are whole and without NaN.

    Args:
        folder: The run's ``training_states`` folder.
        networks: Labels of the run's networks: ``g`` for ``net_g_5000.pth``.

    Returns:
        Its path, or ``None`` if there is none. States that cannot be used are named on standard error.
    """
    folder = Path(folder)
    for number in reversed(Courses.read(folder).candidates):
        path = folder / f'{number}.state'
        try:
            files.require_intact(path)
            saved_after = require_state(files.read(path), path)['iter']
            if saved_after != number:
                raise UserError(f'{path} was saved after iteration {saved_after}: it is a copy of another state')
            for label in networks:
                network = network_file(folder.parent / 'models', label, number)
                files.require_intact(network)
                _require_numbers(network)
        except UserError as error:
            tell(f'auto_resume: skipping {path.name}: {error}')
        else:
            return path
    return None


def require_state(content: Any, path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a file holds if it is a training state.

    Raises:
        UserError: If it is not.
    """
    if not isinstance(content, dict) or not set(content) >= NEEDED:
        is_network = isinstance(content, dict) and not set(content).isdisjoint(files.PARAMETER_KEYS)
        what = 'holds the weights of a network: name it as path:pretrain_network_g' if is_network else 'holds no state'
        raise UserError(f'{path} is not a training state (training_states/N.state of a run), it {what}')
    numbers = [content[key] for key in ('iter', 'epoch')]
    lists = [content[key] for key in ('optimizers', 'schedulers')]
    if not all(type(number) is int and number >= 0 for number in numbers) or not all(
        isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries) for entries in lists
    ):
        raise UserError(f'{path} is not a training state: what it says of iter, epoch, optimizers or schedulers is odd')
    return content


def _require_numbers(path: Path) -> None:
    """Refuse the file of a network that has diverged, from which nothing can go on."""
    for parameters in files.read(path).values():
        for name, value in parameters.items() if isinstance(parameters, dict) else ():
            if isinstance(value, torch.Tensor) and value.is_floating_point() and value.isnan().any():
                raise UserError(f'{path} holds NaN ({name})')
