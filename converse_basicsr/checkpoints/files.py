"""Files of weights: ``.pth`` as PyTorch and BasicSR write them, and ``.safetensors``.

A ``.pth`` that training writes holds state dicts under ``params`` and, with a moving average of the weights,
``params_ema``. It also holds the section of the option file that builds the network, as ``network_g`` (in a
discriminator's file, ``network_d``), and :data:`VERSION_KEY`.

A ``.safetensors`` file holds the tensors of one state dict under their own names, those of two with the prefixes
``params.`` and ``params_ema.``, and the rest as metadata.
"""

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converse_basicsr.errors import UserError
from converse_basicsr.files.atomic import writing

if TYPE_CHECKING:
    import torch

PTH, SAFETENSORS = '.pth', '.safetensors'
SUFFIXES = (PTH, SAFETENSORS)

VERSION_KEY = 'converse_basicsr_version'
"""Key under which a file states the version of this package that wrote it."""

PARAMETER_KEYS = ('params', 'params_ema')

StateDict = dict[str, 'torch.Tensor']


def read(path: str | os.PathLike[str]) -> Any:
    """Load a checkpoint or a training state onto the CPU without running code that it may hold (``weights_only``).

    Returns:
        What a ``.pth`` or ``.state`` file holds; of a ``.safetensors`` file the same dict that a ``.pth`` would hold.

    Raises:
        UserError: If the file is missing, truncated or holds more than tensors and plain values.
    """
    import torch

    try:
        if Path(path).suffix == SAFETENSORS:
            return _read_safetensors(path)
        return torch.load(path, map_location='cpu', weights_only=True)
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f'checkpoint {path} does not exist') from None
    except Exception as error:  # torch.load raises almost every class on damaged files
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f'checkpoint {path} cannot be read ({reason}); it is damaged or not a checkpoint') from error


def choose_parameters(
    checkpoint: Any, param_key: str | None, path: str | os.PathLike[str]
) -> tuple[StateDict, str | None]:
    """Find the state dict in what a checkpoint file holds.

    A flat state dict (tensors at the top) is taken as it is, whatever ``param_key`` says. In BasicSR's format
    ``param_key`` chooses; if it is absent or ``None``, ``params`` serves, then ``params_ema``.

    Returns:
        The state dict and the key it was found under, ``None`` for a flat file.

    Raises:
        UserError: If the file holds no state dict.
    """
    if isinstance(checkpoint, dict):
        for key in (param_key, *PARAMETER_KEYS):
            if key is not None and isinstance(checkpoint.get(key), dict):
                return checkpoint[key], key
        if checkpoint and all(hasattr(value, 'shape') for value in checkpoint.values()):
            return checkpoint, None
        found = f'keys {sorted(map(str, checkpoint))[:5]}'
    else:
        found = f'a {type(checkpoint).__name__}'
    raise UserError(f'checkpoint {path} holds no state dict under {param_key!r}, params or params_ema, only {found}')


def network_of(checkpoint: Any, name: str = 'network_g') -> dict[str, Any] | None:
    """Return the section that builds the network of a checkpoint, where the file knows it.

    Args:
        checkpoint: What :func:`read` returned.
        name: Which network: ``network_g`` or, in a discriminator's file, ``network_d``.

    Returns:
        The section, with its ``type``; ``None`` for files of other programs and of versions before 0.2.
    """
    section = checkpoint.get(name) if isinstance(checkpoint, dict) else None
    return dict(section) if isinstance(section, dict) and isinstance(section.get('type'), str) else None


def write(content: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a checkpoint so that ``path`` is at every moment either the old file, whole, or the new one, whole.

    Args:
        content: State dicts by key, and plain values; training states too.
        path: The file; its suffix chooses the format.

    Raises:
        UserError: If it cannot be written (disk full, no permission); an older file of that name is kept.
    """
    import torch

    path = Path(path)
    try:
        with writing(path) as file:
            if path.suffix == SAFETENSORS:
                file.write(_to_safetensors(content))
            else:
                torch.save(dict(content), file)
    except (OSError, RuntimeError) as error:  # torch's zip writer turns a failed write into RuntimeError
        reason = str(error).strip().splitlines()[0]
        raise UserError(f'cannot write checkpoint {path} ({reason}); earlier checkpoints are kept') from error


def require_intact(path: str | os.PathLike[str]) -> None:
    """Compare everything in a checkpoint with its checksums, which ``torch.load`` ignores.

    A ``.safetensors`` file has none: there, only header and length are checked, which finds a truncated file.

    Raises:
        UserError: If the file is missing or damaged.
    """
    if Path(path).suffix == SAFETENSORS:
        read(path)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f'checkpoint {path} cannot be read ({error}); it is damaged or not a checkpoint') from error
    if damaged is not None:
        raise UserError(f'checkpoint {path} is damaged: the checksum of its part {damaged} is wrong')


def require_safetensors() -> None:
    """Refuse ``.safetensors`` files where the package that reads and writes them is absent.

    Raises:
        UserError: If it is.
    """
    try:
        import safetensors  # noqa: F401
    except ImportError:
        raise UserError(
            ".safetensors files need the package safetensors: pip install 'converse-basicsr[safetensors]'"
        ) from None


def _read_safetensors(path: str | os.PathLike[str]) -> dict[str, Any]:
    require_safetensors()
    from safetensors import safe_open

    with safe_open(path, framework='pt', device='cpu') as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
        metadata = file.metadata() or {}
    prefixes = [f'{key}.' for key in PARAMETER_KEYS if any(name.startswith(f'{key}.') for name in tensors)]
    content: dict[str, Any] = {}
    if prefixes and all(name.startswith(tuple(prefixes)) for name in tensors):
        for prefix in prefixes:
            own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
            content[prefix.removesuffix('.')] = own
    elif any(key.startswith('network_') or key == VERSION_KEY for key in metadata):
        content['params'] = tensors
    else:
        return tensors
    for key, value in metadata.items():
        if key.startswith('network_'):
            content[key] = json.loads(value)
        elif key == VERSION_KEY:
            content[key] = value
    return content


def _to_safetensors(content: Mapping[str, Any]) -> bytes:
    require_safetensors()
    from safetensors.torch import save

    dicts = {key: value for key, value in content.items() if key in PARAMETER_KEYS}
    metadata = {'format': 'pt'}
    for key, value in content.items():
        if key.startswith('network_'):
            metadata[key] = json.dumps(value)
        elif key == VERSION_KEY:
            metadata[key] = str(value)
    if len(dicts) == 1:
        (tensors,) = dicts.values()
    else:
        tensors = {f'{key}.{name}': value for key, one in dicts.items() for name, value in one.items()}
    # Two names of one tensor would be refused: the format keeps each tensor for itself.
    return save({name: value.contiguous().clone() for name, value in tensors.items()}, metadata=metadata)
