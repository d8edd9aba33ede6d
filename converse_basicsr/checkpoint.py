"""From a checkpoint, or the name of released weights, to the network that it belongs to."""

import argparse
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converse_basicsr.errors import UserError
from converse_basicsr.option_file import did_you_mean, read_option_file
from converse_basicsr.published import RELEASED

if TYPE_CHECKING:
    import torch
    from torch import nn

MODEL_ZOO = Path('model_zoo')
"""Where ``basicsr prepare weights`` puts the released weights."""

# What the networks of BasicSR and of this package call the number of input channels.
CHANNEL_ARGUMENTS = ('num_in_ch', 'in_chans')


@dataclass
class Loaded:
    """A network with its weights, ready for inference.

    Attributes:
        net: The network, in eval mode, on the CPU.
        path: The file its weights came from.
        network_g: What it was built from, as the section of an option file.
        assumed: Those arguments that neither the checkpoint nor the user told.
    """

    net: 'nn.Module'
    path: Path
    network_g: dict[str, Any]
    assumed: dict[str, Any]

    @property
    def name(self) -> str:
        """The network's type."""
        return self.network_g['type']

    @property
    def channels(self) -> int:
        """Number of channels of the input."""
        defaults = {name: p.default for name, p in inspect.signature(type(self.net)).parameters.items()}
        for argument in CHANNEL_ARGUMENTS:
            if argument in defaults:
                return self.network_g.get(argument, defaults[argument])
        return 3

    @property
    def conditions(self) -> list[str]:
        """What the network takes beside the image: some of ``kernel``, ``scale`` and ``sigma``."""
        parameters = inspect.signature(self.net.forward).parameters
        return [name for name in ('kernel', 'scale', 'sigma') if name in parameters]

    def describe(self) -> str:
        """One line that names the network, its file and what was assumed."""
        line = f'{self.name} from {self.path}'
        if self.assumed:
            values = ' '.join(f'{name}={"~" if value is None else value}' for name, value in self.assumed.items())
            line += f' (no checkpoint tells these, --network_g changes them: {values})'
        return line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which network with which weights."""
    parser.add_argument(
        '--checkpoint',
        required=True,
        metavar='FILE',
        help=f'weights, by file or by name in {MODEL_ZOO}/: {", ".join(RELEASED)}',
    )
    parser.add_argument(
        '-opt',
        metavar='FILE',
        help='option file whose network_g the weights belong to, for any network of BasicSR and its plugins '
        "(default: recognised by the checkpoint's keys and shapes)",
    )
    parser.add_argument(
        '--network_g',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='arguments of the network that the checkpoint does not tell, e.g. padding_mode=reflect',
    )


def locate(checkpoint: str) -> Path:
    """Find a checkpoint by its path or, for released weights, by its name.

    Raises:
        UserError: If it is not there.
    """
    if checkpoint in RELEASED:
        path = MODEL_ZOO / RELEASED[checkpoint]
        if not path.is_file():
            raise UserError(
                f'{path}, the weights called {checkpoint}, does not exist; '
                f'get it by: basicsr prepare weights {RELEASED[checkpoint]}'
            )
        return path
    path = Path(checkpoint).expanduser()
    if not path.is_file():
        hint = '' if path.suffix else did_you_mean(checkpoint, list(RELEASED))
        raise UserError(f'--checkpoint {path} is no file{hint}')
    return path


def load(checkpoint: str, opt: str | None = None, overrides: Sequence[str] = ()) -> Loaded:
    """Build the network of a checkpoint and load its weights, ``params_ema`` before ``params``.

    Args:
        checkpoint: File, or name of released weights.
        opt: Option file whose ``network_g`` says what to build; recognised from the checkpoint if None.
        overrides: Arguments of the network as ``key=value``, the value read as YAML.

    Raises:
        UserError: If the file is missing, damaged or of an unknown network, or does not fit the one that is said.
    """
    from converse_basicsr.compat import choose_parameters, read_checkpoint
    from converse_basicsr.register import load_plugins

    path = locate(checkpoint)
    given = _read_overrides(overrides)
    parameters, _ = choose_parameters(read_checkpoint(path), 'params_ema', path)
    parameters = {name.removeprefix('module.'): value for name, value in parameters.items()}
    if opt is None:
        section, assumed = _detect(parameters, path, given)
    else:
        section, assumed = _network_section(opt), {}
    section = {**section, **given}
    load_plugins()
    net = _build(section, path)
    try:
        net.load_state_dict(parameters, strict=True)
    except RuntimeError as error:
        reasons = ' '.join(str(error).split())[:300]
        raise UserError(f'checkpoint {path} does not fit {section["type"]}: {reasons}') from error
    return Loaded(net.eval().requires_grad_(False), path, section, assumed)


def _read_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    import yaml

    given = {}
    for override in overrides:
        name, equals, text = override.partition('=')
        if not equals or not name:
            raise UserError(f'--network_g {override}: must look like key=value')
        try:
            given[name] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UserError(f'--network_g {override}: the value is no valid YAML: {error.problem}') from None
    return given


def _detect(
    parameters: dict[str, 'torch.Tensor'], path: Path, given: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The section that builds the network, and what of it was assumed."""
    from converse_basicsr.archs.detection import detect

    if 'type' in given:
        return {}, {}
    try:
        architecture = detect(parameters)
    except ValueError as error:
        raise UserError(
            f'checkpoint {path} is of no network known here ({error}); give its option file as -opt, '
            'or its type and arguments as --network_g type=NAME KEY=VALUE'
        ) from error
    assumed = {name: value for name, value in architecture.assumed.items() if name not in given}
    section = architecture.network_g
    if given.get('operator') in ('conv', 'convtranspose'):
        section.pop('padding', None)  # the twins have none
    return section, assumed


def _network_section(opt: str) -> dict[str, Any]:
    section = read_option_file(opt).options.get('network_g')
    if not isinstance(section, dict) or 'type' not in section:
        raise UserError(f'{opt} network_g: must be a section with a type, got {section!r}')
    return section


def _build(section: dict[str, Any], path: Path) -> 'nn.Module':
    from basicsr.archs import build_network
    from basicsr.utils.registry import ARCH_REGISTRY

    if section['type'] not in ARCH_REGISTRY:
        raise UserError(
            f'no arch is named {section["type"]!r}{did_you_mean(section["type"], list(ARCH_REGISTRY.keys()))}'
        )
    try:
        return build_network(section)
    except (TypeError, ValueError) as error:
        raise UserError(f'{section["type"]} cannot be built for checkpoint {path}: {error}') from error
