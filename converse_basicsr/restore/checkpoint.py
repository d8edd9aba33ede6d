"""Build the network of a checkpoint, which is given by its file or by the name of released weights."""

import inspect
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from converse_basicsr import packages
from converse_basicsr.archs.conditions import conditions_of
from converse_basicsr.archs.detection import detect
from converse_basicsr.checkpoints import files
from converse_basicsr.checkpoints.released import MODEL_ZOO, RELEASED
from converse_basicsr.errors import ArgumentError, UserError
from converse_basicsr.options.check import network_diagnosis, registered
from converse_basicsr.options.check.attempt import generators_kept
from converse_basicsr.options.check.stated_network import require_fit, without_files
from converse_basicsr.options.file import did_you_mean, read_option_file
from converse_basicsr.options.networks import build_network, own_networks

# What the networks of BasicSR and of this package call the number of input channels.
CHANNEL_ARGUMENTS = ('num_in_ch', 'in_chans')


@dataclass
class Loaded:
    """A network with its weights, ready for inference.

    Attributes:
        net: The network, in eval mode, on the CPU.
        path: The file its weights came from.
        network_g: What it was built from, as the section of an option file.
        assumed: Arguments that neither the checkpoint nor the user stated, with the values assumed.
    """

    net: nn.Module
    path: Path
    network_g: dict[str, Any]
    assumed: dict[str, Any]

    @property
    def name(self) -> str:
        """The network's type."""
        return str(self.network_g['type'])

    @property
    def channels(self) -> int:
        """Number of channels of the input."""
        defaults = {name: p.default for name, p in inspect.signature(type(self.net)).parameters.items()}
        for argument in CHANNEL_ARGUMENTS:
            if argument in defaults:
                return int(self.network_g.get(argument, defaults[argument]))
        return 3

    @property
    def conditions(self) -> list[str]:
        """What the network takes besides the image: some of ``kernel``, ``scale`` and ``sigma``."""
        return list(conditions_of(self.net))

    def describe(self) -> str:
        """Return one line that names the network, its file and what was assumed."""
        line = f'{self.name} from {self.path}'
        if self.assumed:
            values = ' '.join(f'{name}={"~" if value is None else value}' for name, value in self.assumed.items())
            line += f' (not stated by the checkpoint, so assumed: {values}; --network_g changes them)'
        return line


def locate(checkpoint: str | os.PathLike[str]) -> Path:
    """Find a checkpoint by its path or, for released weights, by its name.

    Raises:
        UserError: If it is not there.
    """
    name = os.fspath(checkpoint)
    if name in RELEASED:
        path = MODEL_ZOO / RELEASED[name]
        if not path.is_file():
            raise UserError(
                f'{path}, the weights called {name}, does not exist; '
                f'get it by: basicsr prepare weights {RELEASED[name]}'
            )
        return path
    path = Path(name).expanduser()
    if not os.path.lexists(path) or path.is_dir():  # what else it may be is told where it is read
        hint = '' if path.suffix else did_you_mean(name, list(RELEASED))
        raise ArgumentError(f'checkpoint {path} is no file{hint}')
    return path


def load(
    checkpoint: str | os.PathLike[str],
    *,
    opt: str | os.PathLike[str] | None = None,
    network_g: Mapping[str, Any] | None = None,
) -> Loaded:
    """Build the network of a checkpoint and load its weights, ``params_ema`` before ``params``.

    The network is that of ``opt``, or of ``network_g`` if it has a ``type``; else the one that the checkpoint states
    (files that this package wrote do); else the one recognised by the keys and shapes of the weights.

    Args:
        checkpoint: File (``.pth`` or ``.safetensors``), or name of released weights.
        opt: Option file whose ``network_g`` says what to build.
        network_g: Arguments of the network, which override those found.

    Raises:
        UserError: If the file is missing, damaged or of an unknown network, or does not fit the one asked for.
    """
    path = locate(checkpoint)
    given = dict(network_g or {})
    content = files.read(path)
    parameters, _ = files.choose_parameters(content, 'params_ema', path)
    parameters = {name.removeprefix('module.'): value for name, value in parameters.items()}
    assumed: dict[str, Any] = {}
    if opt is not None:
        section = _network_section(opt)
    elif 'type' in given:
        section = {}
    elif (stated := files.network_of(content)) is not None:
        section = without_files(stated)
    else:
        section, assumed = _recognise(parameters, path)
    if given.get('operator', 'converse') != 'converse':
        section.pop('padding', None)  # the twins have none
    section = {**section, **given}
    _require_registered(section['type'])
    require_fit(section, parameters, path, downloads=opt is not None or 'type' in given)
    net = _build(section, path)
    try:
        net.load_state_dict(parameters, strict=True)
    except RuntimeError as error:
        reasons = ' '.join(str(error).split())[:300]
        raise UserError(f'checkpoint {path} does not fit {section["type"]}: {reasons}') from error
    assumed = {name: value for name, value in assumed.items() if name not in given}
    return Loaded(net.eval().requires_grad_(False), path, section, assumed)


def load_start(opt: str | os.PathLike[str], *, network_g: Mapping[str, Any] | None = None) -> Loaded:
    """Build the network of an option file as its training starts: drawn by its ``manual_seed``, 0 if it has none.

    Args:
        opt: The option file; where it has ``path: pretrain_network_g``, these weights are loaded.
        network_g: Arguments of the network, which override those of the file.

    Raises:
        UserError: If the file states no network, or one that cannot be built, or weights that do not fit.
    """
    option_file = read_option_file(opt)
    paths, seed = (option_file.options.get(key) for key in ('path', 'manual_seed'))
    seed = 0 if seed is None else seed
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise UserError(f'{option_file.where("manual_seed")}: must be a whole number from 0 to 2^32 - 1, got {seed!r}')
    if isinstance(paths, dict) and paths.get('pretrain_network_g'):
        return load(paths['pretrain_network_g'], opt=opt, network_g=network_g)
    section = {**_network_section(opt), **(network_g or {})}
    _require_registered(section['type'])
    if problem := registered.name_problem(('network_g', 'type'), 'arch', section['type']):
        raise UserError(problem.line(option_file))
    option_file.options = {'network_g': section}
    network_diagnosis(option_file, is_train=True)
    with generators_kept():  # seeded as BasicSR's training does it
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        net = _build(section, Path(opt))
    return Loaded(net.eval().requires_grad_(False), Path(opt), section, {})


def _recognise(parameters: Mapping[str, torch.Tensor], path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Find the section that builds the network by keys and shapes; return it, and the part of it that is assumed."""
    try:
        architecture = detect(parameters)
    except ValueError as error:
        raise UserError(
            f'checkpoint {path} is of no network known here ({error}); give its option file as -opt, '
            'or its type and arguments as --network_g type=NAME KEY=VALUE'
        ) from error
    return architecture.network_g, architecture.assumed


def _network_section(opt: str | os.PathLike[str]) -> dict[str, Any]:
    section = read_option_file(opt).options.get('network_g')
    if not isinstance(section, dict) or 'type' not in section:
        raise UserError(f'{opt} network_g: must be a section with a type, got {section!r}')
    return dict(section)


def _require_registered(name: object) -> None:
    """Let BasicSR and its plugins register their networks, unless the one that is needed is this package's own."""
    own = own_networks()
    if not isinstance(name, str) or name in own:
        return
    packages.require_basicsr(f'network {name} is none of this package{did_you_mean(name, list(own))}')
    from converse_basicsr.register import load_plugins

    load_plugins()


def _build(section: dict[str, Any], path: Path) -> nn.Module:
    try:
        net = build_network(section)
    except Exception as error:  # whatever the constructor of a registered class raises
        raise UserError(f'{section["type"]} cannot be built for checkpoint {path}: {error}') from error
    return net
