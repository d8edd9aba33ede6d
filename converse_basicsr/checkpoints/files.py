"""Files of weights: ``.pth`` as PyTorch and BasicSR write them, and ``.safetensors``.

A ``.pth`` that training writes holds state dicts under ``params`` and, with a moving average of the weights,
``params_ema``. It also holds the section of the option file that builds the network, as ``network_g`` (in a
discriminator's file, ``network_d``), and :data:`VERSION_KEY`.

A ``.safetensors`` file holds the tensors of one state dict under their own names, those of two with the prefixes
``params.`` and ``params_ema.``, and the rest as metadata.
"""

import json
import os
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converse_basicsr.checkpoints import appearance, bounds
from converse_basicsr.errors import UserError
from converse_basicsr.files.atomic import writing
from converse_basicsr.files.reading import Unreadable, require_file

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

    The format is told by the content, whatever the suffix. No more memory is taken than a file of that size may need:
    one that unpacks into far more, or stretches few numbers into large tensors, is refused.

    Returns:
        What a ``.pth`` or ``.state`` file holds; of a ``.safetensors`` file the same dict that a ``.pth`` would hold.

    Raises:
        UserError: If the file is missing, truncated or holds more than tensors and plain values.
    """
    import torch

    path = Path(path)
    try:
        size = require_file(path)
        if _is_safetensors(path):
            content: Any = _read_safetensors(path)
        else:
            bounds.require_archive(path, size)
            # An open file: of a name, PyTorch would look at the suffix.
            with open(path, 'rb') as file, warnings.catch_warnings():
                warnings.simplefilter('ignore')  # PyTorch's notes on odd contents
                content = torch.load(file, map_location='cpu', weights_only=True)
        bounds.require_tensors(content, size)
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f'checkpoint {path} does not exist') from None
    except Unreadable as error:
        raise UserError(f'checkpoint {path} {error}') from None
    except Exception as error:  # torch.load raises almost every class on damaged files
        raise UserError(f'checkpoint {path} cannot be read: {_reason(path, error)}') from error
    return content


def _reason(path: Path, error: Exception) -> str:
    """Say why a file cannot be read: what it looks like, else what the reader says."""
    if isinstance(error, (bounds.UnboundedError, MemoryError)):
        return str(error) or 'it needs more memory than there is'
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if look := appearance.of_file(path):
        return f'{look}; it is damaged or not a checkpoint' if look.startswith('it is a trunc') else look
    if isinstance(error, pickle.UnpicklingError):
        return appearance.of_refusal(error)
    said = next(iter(str(error).strip().splitlines()), '') or type(error).__name__
    return f'it is damaged or not a checkpoint ({said[:200]})' if 'weights_only' not in said else 'it is no checkpoint'


def choose_parameters(
    checkpoint: Any, param_key: str | None, path: str | os.PathLike[str]
) -> tuple[StateDict, str | None]:
    """Find the state dict in what a checkpoint file holds.

    A flat state dict (tensors at the top) is taken as it is, whatever ``param_key`` says. In BasicSR's format
    ``param_key`` chooses; if it is absent or ``None``, ``params`` serves, then ``params_ema``.

    Returns:
        The state dict and the key it was found under, ``None`` for a flat file.

    Raises:
        UserError: If the file holds no state dict, or one with values that are no plain tensors or not finite.
    """
    if isinstance(checkpoint, dict):
        for key in (param_key, *PARAMETER_KEYS):
            if key is not None and isinstance(checkpoint.get(key), dict):
                _require_weights(checkpoint[key], path)
                return checkpoint[key], key
        if checkpoint and all(hasattr(value, 'shape') for value in checkpoint.values()):
            _require_weights(checkpoint, path)
            return checkpoint, None
    raise UserError(
        f'checkpoint {path} holds no state dict under {param_key!r}, params or params_ema, '
        f'only {appearance.of_content(checkpoint)}'
    )


def _require_weights(parameters: Mapping[Any, Any], path: str | os.PathLike[str]) -> None:
    """Refuse what no network can be given, or would make black images of.

    Raises:
        UserError: If a name is no text, or a value is no dense tensor of finite numbers.
    """
    import torch

    for name, value in parameters.items():
        if not isinstance(name, str):
            raise UserError(f'checkpoint {path} has a name among its weights that is no text but of {type(name)}')
        if name.endswith('_extra_state'):  # what a module saves besides its tensors may be anything
            continue
        if not isinstance(value, torch.Tensor):
            problem = f'is no tensor but a {type(value).__name__}'
        elif value.is_nested or value.layout != torch.strided:
            problem = 'is a sparse or nested tensor: save it as a dense one'
        elif value.is_quantized:
            problem = f'is quantised ({value.dtype}): save floating-point numbers'
        elif (value.is_floating_point() or value.is_complex()) and not _is_finite(value):
            problem = 'holds infinity or NaN: its training has diverged; take an earlier checkpoint'
        else:
            continue
        raise UserError(f'checkpoint {path}: {name} {problem}')


def _is_finite(value: 'torch.Tensor') -> bool:
    """Whether a tensor may be weights; a mask of zero and minus infinity, which attention adds, may too."""
    value = value.float() if value.element_size() == 1 else value  # PyTorch looks into no number of 8 bits
    return bool(value.isfinite().all() or ((value == 0) | (value == -float('inf'))).all())


def network_of(checkpoint: Any, name: str = 'network_g') -> dict[str, Any] | None:
    """Return the section that builds the network of a checkpoint, where the file knows it.

    Args:
        checkpoint: What :func:`read` returned.
        name: Which network: ``network_g`` or, in a discriminator's file, ``network_d``.

    Returns:
        The section, with its ``type``; ``None`` for files of other programs and of versions before 0.2.

    Raises:
        UserError: If it holds more than plain values.
    """
    section = checkpoint.get(name) if isinstance(checkpoint, dict) else None
    if not isinstance(section, dict) or not isinstance(section.get('type'), str):
        return None
    bounds.require_plain(section, name)
    return dict(section)


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
    path = Path(path)
    if path.is_file() and _is_safetensors(path):
        read(path)
        return
    try:
        require_file(path)
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:  # zipfile raises several classes on damaged files
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


def _is_safetensors(path: Path) -> bool:
    """Whether a file begins like one: the length of its header, then that header."""
    with open(path, 'rb') as file:
        start = file.read(9)
    return start[8:] == b'{' or (path.suffix == SAFETENSORS and not start.startswith((b'PK', b'\x80')))


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
