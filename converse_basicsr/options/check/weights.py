"""Compare the weights that an option file names with its networks, which are built without memory."""

import os
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from converse_basicsr.errors import UserError
from converse_basicsr.options.check import building
from converse_basicsr.options.check.attempt import one_line
from converse_basicsr.options.check.network_difference import ABSENT, differing_arguments
from converse_basicsr.options.check.offline import DownloadNeeded
from converse_basicsr.options.check.problem import Findings, Problem
from converse_basicsr.options.check.sections import section
from converse_basicsr.values import shown

if TYPE_CHECKING:
    from torch import nn

_COMPILED = {
    'basicsr.ops.dcn.deform_conv': 'deform_conv_ext',
    'basicsr.ops.fused_act.fused_act': 'fused_act_ext',
    'basicsr.ops.upfirdn2d.upfirdn2d': 'upfirdn2d_ext',
}
"""Modules of BasicSR whose layers call compiled code, and its name there."""

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
        if not os.path.isfile(os.path.expanduser(value))
    ]
    state = given.get('resume_state')
    if is_train and state is not None and not problems:
        from converse_basicsr.checkpoints import files, training_state

        try:
            training_state.require_state(files.read(os.path.expanduser(state)), state)
        except UserError as error:
            problems.append(Problem(('path', 'resume_state'), str(error)))
    if not is_train and not any(paths.get(key) for key in paths if key.startswith('pretrain_network')):
        problems.append(
            Problem(
                ('path', 'pretrain_network_g'),
                'testing needs weights; without them it would score a network of random numbers',
            )
        )
    return problems


def network_findings(
    options: Mapping[str, Any], keys: Iterable[str], *, build: bool
) -> tuple[Findings, dict[str, 'nn.Module']]:
    """Look for networks that cannot be built, weights that do not fit them, and weights made for others.

    Args:
        options: Options of the file.
        keys: The networks, e.g. ``network_g``, whose names and arguments have been checked.
        build: Build the networks. Without it, only those are built whose weights were made by a network with other
            arguments.

    Returns:
        What is found, and the networks that were built and can be trained, by key.
    """
    findings = Findings()
    networks = {key: network for key in keys if (network := _look_at(options, key, build, findings)) is not None}
    return findings, networks


def _look_at(options: Mapping[str, Any], key: str, build: bool, findings: Findings) -> 'nn.Module | None':
    """Look at one network and its weights; record what is found; return the network if it is built and sound."""
    from converse_basicsr.checkpoints import files

    name = key.removeprefix('network_')
    paths = section(options, 'path')
    path, place = paths.get(f'pretrain_network_{name}'), ('path', f'pretrain_network_{name}')
    weights, others = None, None
    if isinstance(path, str) and os.path.isfile(os.path.expanduser(path)):
        file = os.path.expanduser(path)
        try:
            checkpoint = files.read(file)
            weights, _ = files.choose_parameters(checkpoint, paths.get(f'param_key_{name}'), file)
            others = files.network_of(checkpoint, key)
        except UserError as error:
            findings.problems.append(Problem(place, str(error)))
    different = differing_arguments(options[key], others) if others is not None else {}
    if not build and not different:
        return None
    try:
        network: nn.Module = building.build(options[key])
    except DownloadNeeded as error:
        findings.notes.append(Problem((key,), f'{options[key]["type"]} is not checked: building it downloads {error}'))
        return None
    except Exception as error:  # whatever the constructor of a registered class raises
        findings.problems.append(Problem((key,), f'{options[key]["type"]} cannot be built: {one_line(error)}'))
        return None
    if problem := _emptiness(options[key], key, network) or _missing_operator(options[key], key, network):
        findings.problems.append(problem)
        return None
    reason = difference(network, weights) if weights is not None else ''
    if reason and paths.get(f'strict_load_{name}', True):
        findings.problems.append(Problem(place, f'{path} does not fit {options[key]["type"]}: {reason}'))
    elif not reason:
        for argument, values in different.items():
            here, there = (shown(None if value is ABSENT else value) for value in values)
            text = f'is {here} here, but {there} in the network that {path} is of; its weights fit both'
            findings.notes.append(Problem((key, argument), text))
    return network


def _missing_operator(arguments: Mapping[str, Any], key: str, network: 'nn.Module') -> Problem | None:
    """Say so if a network has layers that need a compiled part of BasicSR which this installation lacks."""
    for module in {type(layer).__module__ for layer in network.modules()}:
        operator = _COMPILED.get(module)
        if operator and not hasattr(sys.modules[module], operator):
            text = (
                f'{arguments["type"]} needs {operator}, which is compiled for GPUs and which this BasicSR lacks: '
                'install it with BASICSR_EXT=True'
            )
            return Problem((key, 'type'), text)
    return None


def _emptiness(arguments: Mapping[str, Any], key: str, network: 'nn.Module') -> Problem | None:
    """Say so if an argument of 0 makes parameters without a single number, as ``num_feat: 0`` does."""
    empty = [(name, tuple(value.shape)) for name, value in network.named_parameters() if value.numel() == 0]
    zeros = [name for name, value in arguments.items() if type(value) is int and value == 0]
    if not empty or not zeros:  # some networks have a layer without parameters and train nevertheless
        return None
    place = (key, zeros[0]) if len(zeros) == 1 else (key,)
    return Problem(place, f'makes a network whose {empty[0][0]} has the shape {empty[0][1]}: it would learn nothing')


def _shape(value: Any) -> tuple[int, ...] | str:
    return tuple(value.shape) if hasattr(value, 'shape') else 'no tensor'


def difference(network: Any, given: Mapping[str, Any]) -> str:
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
