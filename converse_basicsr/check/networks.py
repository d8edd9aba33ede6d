"""Build the networks of an option file without memory, and hold the weights it names against them."""

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from converse_basicsr.check.keys import section
from converse_basicsr.check.problem import Problem
from converse_basicsr.errors import UserError

_SHOWN = 3
"""Parameters that a message names as examples."""


def path_problems(options: Mapping[str, Any], *, is_train: bool) -> list[Problem]:
    """Name weights and states that are not where the file says, and a test without weights."""
    paths = section(options, 'path')
    given = {
        key: value
        for key, value in paths.items()
        if key.startswith(('pretrain_network', 'resume_state')) and isinstance(value, str) and value
    }
    problems = [
        Problem(('path', key), f'{value} does not exist')
        for key, value in given.items()
        if not Path(os.path.expanduser(value)).is_file()
    ]
    if not is_train and not any(paths.get(key) for key in paths if key.startswith('pretrain_network')):
        problems.append(
            Problem(
                ('path', 'pretrain_network_g'),
                'testing needs weights; without them it would score a network of random numbers',
            )
        )
    return problems


def network_problems(options: Mapping[str, Any], keys: Iterable[str]) -> list[Problem]:
    """Name networks that cannot be built, and weights that do not fit them.

    Args:
        options: The file's.
        keys: The networks, e.g. ``network_g``, whose names and arguments have been checked.
    """
    return [problem for key in keys for problem in _problems_of(options, key)]


def _problems_of(options: Mapping[str, Any], key: str) -> Iterator[Problem]:
    try:
        network = _build(options[key])
    except Exception as error:  # whatever the constructor of a registered class raises
        yield Problem((key,), f'{options[key]["type"]} cannot be built: {one_line(error)}')
        return
    name = key.removeprefix('network_')
    path = section(options, 'path').get(f'pretrain_network_{name}')
    if not isinstance(path, str) or not Path(os.path.expanduser(path)).is_file():
        return
    place = ('path', f'pretrain_network_{name}')
    from converse_basicsr.compat import choose_parameters, read_checkpoint

    try:
        file = os.path.expanduser(path)
        given, _ = choose_parameters(read_checkpoint(file), section(options, 'path').get(f'param_key_{name}'), file)
    except UserError as error:
        yield Problem(place, str(error))
        return
    is_strict = section(options, 'path').get(f'strict_load_{name}', True)
    if is_strict and (reason := _difference(network, given)):
        yield Problem(place, f'{path} does not fit {options[key]["type"]}: {reason}')


def one_line(error: Exception) -> str:
    """Return what an exception says, on one line."""
    return ' '.join(str(error).split()) or type(error).__name__


def _build(options: dict[str, Any]) -> Any:
    """Build a network whose layers have no memory, or, if it cannot be built so, as it is."""
    import torch
    from basicsr.archs import build_network
    from torch.overrides import TorchFunctionMode

    class LayersOnMeta(TorchFunctionMode):
        """Layers take their parameters from ``torch.empty``; what networks compute while building stays on the CPU."""

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = dict(kwargs or {})
            if func is torch.empty and kwargs.get('device') is None:
                kwargs['device'] = 'meta'
            return func(*args, **kwargs)

    with quiet(), torch.random.fork_rng(devices=[]):
        try:
            with LayersOnMeta():
                return build_network(options)
        except Exception:  # such as weights that are read back while building
            return build_network(options)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep BasicSR from logging, printing and warning of what is only looked at."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(before)


def _difference(network: Any, given: dict[str, Any]) -> str:
    """Say in what a state dict differs from that of a network; nothing where it does not."""
    # Old checkpoints lack BatchNorm's counters, which PyTorch supplies.
    wanted = {name: value for name, value in network.state_dict().items() if not name.endswith('num_batches_tracked')}
    given = {name.removeprefix('module.'): value for name, value in given.items()}
    others = [
        f'{name} is {tuple(given[name].shape)} there, {tuple(value.shape)} here'
        for name, value in wanted.items()
        if name in given and given[name].shape != value.shape
    ]
    missing = [name for name in wanted if name not in given]
    unknown = [name for name in given if name not in wanted and not name.endswith('num_batches_tracked')]
    parts = [
        (others, 'of another shape'),
        (missing, 'missing in the file'),
        (unknown, 'unknown to the network'),
    ]
    return ', '.join(
        f'{len(names)} {word} ({", ".join(names[:_SHOWN])}{", ..." if len(names) > _SHOWN else ""})'
        for names, word in parts
        if names
    )
