"""Compare the weights that an option file names with its networks, which are built without memory."""

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from converse_basicsr.errors import UserError
from converse_basicsr.options.check.network_difference import ABSENT, differing_arguments
from converse_basicsr.options.check.problem import Findings, Problem
from converse_basicsr.options.check.sections import section
from converse_basicsr.values import shown

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


def network_findings(options: Mapping[str, Any], keys: Iterable[str], *, build: bool) -> Findings:
    """Look for networks that cannot be built, weights that do not fit them, and weights made for others.

    Args:
        options: Options of the file.
        keys: The networks, e.g. ``network_g``, whose names and arguments have been checked.
        build: Build the networks. Without it, only those are built whose weights were made by a network with other
            arguments.
    """
    findings = Findings()
    for key in keys:
        _look_at(options, key, build, findings)
    return findings


def _look_at(options: Mapping[str, Any], key: str, build: bool, findings: Findings) -> None:
    """Look at one network and its weights; record what is found."""
    from converse_basicsr.checkpoints import files

    name = key.removeprefix('network_')
    paths = section(options, 'path')
    path, place = paths.get(f'pretrain_network_{name}'), ('path', f'pretrain_network_{name}')
    weights, others = None, None
    if isinstance(path, str) and Path(os.path.expanduser(path)).is_file():
        file = os.path.expanduser(path)
        try:
            checkpoint = files.read(file)
            weights, _ = files.choose_parameters(checkpoint, paths.get(f'param_key_{name}'), file)
            others = files.network_of(checkpoint, key)
        except UserError as error:
            findings.problems.append(Problem(place, str(error)))
    different = differing_arguments(options[key], others) if others is not None else {}
    if not build and not different:
        return
    try:
        network = _build(options[key])
    except Exception as error:  # whatever the constructor of a registered class raises
        findings.problems.append(Problem((key,), f'{options[key]["type"]} cannot be built: {one_line(error)}'))
        return
    reason = _difference(network, weights) if weights is not None else ''
    if reason and paths.get(f'strict_load_{name}', True):
        findings.problems.append(Problem(place, f'{path} does not fit {options[key]["type"]}: {reason}'))
    elif not reason:
        for argument, values in different.items():
            here, there = (shown(None if value is ABSENT else value) for value in values)
            text = f'is {here} here, but {there} in the network that {path} is of; its weights fit both'
            findings.notes.append(Problem((key, argument), text))


def one_line(error: Exception) -> str:
    """Return what an exception says, on one line."""
    return ' '.join(str(error).split()) or type(error).__name__


def _build(options: Mapping[str, Any]) -> Any:
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
    """Silence the logs, prints and warnings of BasicSR during a check."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(before)


def _shape(value: Any) -> tuple[int, ...] | str:
    return tuple(value.shape) if hasattr(value, 'shape') else 'no tensor'


def _difference(network: Any, given: Mapping[str, Any]) -> str:
    """Say how a state dict differs from that of a network; empty where it does not."""
    # Old checkpoints lack BatchNorm's counters, which PyTorch supplies.
    wanted = {name: value for name, value in network.state_dict().items() if not name.endswith('num_batches_tracked')}
    given = {name.removeprefix('module.'): value for name, value in given.items()}
    others = [
        f'{name} is {_shape(given[name])} there, {_shape(value)} here'
        for name, value in wanted.items()
        if name in given and _shape(given[name]) != _shape(value)
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
