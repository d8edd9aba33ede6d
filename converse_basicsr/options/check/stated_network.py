"""Compare a checkpoint's weights with the network that they are for, before that network takes any memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converse_basicsr.errors import UserError
from converse_basicsr.options.check import building, registered
from converse_basicsr.options.check.attempt import one_line
from converse_basicsr.options.check.offline import DownloadNeeded
from converse_basicsr.options.check.weights import difference

if TYPE_CHECKING:
    import torch

_MOST_BYTES = 16, 2**28
"""What a network may need for each byte of its weights, which may be of 8 bits, and what any may."""


def without_files(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return a section that a checkpoint states without the files it names: its own weights are loaded, no others.

    Example:
        >>> without_files({'type': 'BasicVSR', 'spynet_path': 'spynet.pth', 'num_feat': 8})
        {'type': 'BasicVSR', 'spynet_path': None, 'num_feat': 8}
    """
    return {
        key: None if str(key).endswith('path') and isinstance(value, str) else value for key, value in section.items()
    }


def require_fit(
    section: Mapping[str, Any], parameters: 'Mapping[str, torch.Tensor]', path: Path, *, downloads: bool = False
) -> None:
    """Refuse a network that the weights of a checkpoint do not fit; it is built without memory to find out.

    Args:
        section: ``type`` and arguments of the network.
        parameters: The weights.
        path: The checkpoint.
        downloads: Let a network pass unseen that fetches weights while it is built.

    Raises:
        UserError: If the network is unknown, cannot be built, is far larger than the weights, or differs from them.
    """
    if not isinstance(section['type'], str):
        raise UserError(f'network_g type must be the name of a network, got {section["type"]!r}')
    if problem := registered.name_problem((), 'arch', section['type']):
        raise UserError(problem.text)
    factor, least = _MOST_BYTES
    most = factor * sum(value.nbytes for value in parameters.values() if hasattr(value, 'nbytes')) + least
    try:
        network = building.build(section, most_bytes=most)
    except DownloadNeeded as error:
        if downloads:
            return
        raise UserError(f'{section["type"]} is not built for checkpoint {path}: it would download {error}') from error
    except Exception as error:  # whatever the constructor of a registered class raises
        raise UserError(f'{section["type"]} cannot be built for checkpoint {path}: {one_line(error)[:300]}') from error
    reason = difference(network, parameters)[:400]
    if not reason:
        wanted = network.state_dict()
        others = [
            f'{name} is {value.dtype} there, {wanted[name].dtype} here'
            for name, value in parameters.items()
            if _kind(value) != _kind(wanted.get(name, value))
        ]
        reason = f'{len(others)} of another kind ({others[0]})' if others else ''
    if reason:
        raise UserError(f'checkpoint {path} does not fit {section["type"]}: {reason}')


def _kind(value: Any) -> tuple[bool, bool] | None:
    """Tell integers, real and complex numbers apart: PyTorch would convert them, and drop what does not fit."""
    return (value.is_floating_point(), value.is_complex()) if hasattr(value, 'is_floating_point') else None
