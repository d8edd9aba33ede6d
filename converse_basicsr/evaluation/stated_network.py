"""Choose the network of a checkpoint, where the checkpoint and an option file both state one."""

from pathlib import Path
from typing import Any

from converse_basicsr.checkpoints.files import choose_parameters, network_of, read
from converse_basicsr.errors import UserError
from converse_basicsr.messages import tell
from converse_basicsr.options.check import registered
from converse_basicsr.options.check.network_difference import ABSENT, differing_arguments
from converse_basicsr.options.check.stated_network import require_fit, without_files
from converse_basicsr.options.file import OptionFile, did_you_mean


def network_to_build(option_file: OptionFile, checkpoint: Path) -> dict[str, Any]:
    """Return the section that builds the network of a checkpoint: the one it states, else the option file's.

    Weights of one network often fit another one with a different padding or another order of its parts, which then
    gives worse images without any error. So where the two differ, the checkpoint's section is taken, and a line on
    standard error says so. An argument that one of them leaves out has its default.

    Args:
        option_file: With a section ``network_g`` that has been checked.
        checkpoint: The weights.

    Raises:
        UserError: If the checkpoint cannot be read, or states a network that is not installed.
    """
    said = option_file.options['network_g']
    content = read(checkpoint)
    stated = network_of(content)
    if stated is None:
        return said
    place = option_file.where('network_g')
    if stated['type'] != said['type']:
        _require_known(stated['type'], checkpoint)
        _note(f'{checkpoint} states {stated["type"]}, {place} says {said["type"]}')
        return _bounded(stated, content, checkpoint)
    differing = differing_arguments(stated, said)
    if not differing:
        return said
    of_checkpoint = ' and '.join(
        f'no {name}' if value is ABSENT else f'{name}={_shown(value)}' for name, (value, _) in differing.items()
    )
    of_file = ' and '.join('nothing' if value is ABSENT else _shown(value) for _, value in differing.values())
    _note(f'{checkpoint} states {of_checkpoint} for {stated["type"]}, {place} says {of_file}')
    return _bounded(stated, content, checkpoint)


def _bounded(stated: dict[str, Any], content: Any, checkpoint: Path) -> dict[str, Any]:
    """Return the section that a checkpoint states if its weights fit: it comes from whoever wrote the file."""
    parameters, _ = choose_parameters(content, 'params_ema', checkpoint)
    stated = without_files(stated)
    require_fit(stated, {name.removeprefix('module.'): value for name, value in parameters.items()}, checkpoint)
    return stated


def _shown(value: Any) -> str:
    return '~' if value is None else str(value)


def _require_known(name: str, checkpoint: Path) -> None:
    if registered.find('arch', name) is None:
        known = registered.names('arch')
        raise UserError(f'{checkpoint} states network_g type {name}, which is not installed{did_you_mean(name, known)}')


def _note(text: str) -> None:
    tell(f"note: {text}; the checkpoint's is used")
