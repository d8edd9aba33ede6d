"""Say what a file that is no checkpoint, or holds no weights, looks like."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_LOOKED_AT = 4096
_KEYS_SHOWN, _LONGEST_KEY = 5, 80

_BEGINNINGS = (
    (rb'version https://git-lfs', 'a pointer of Git LFS, not the file itself: fetch it by git lfs pull'),
    (rb'\s*<(!doctype|html|\?xml|head|body)', 'a web page, perhaps of a download that failed: download the file again'),
    (rb'\s*[{\[]["\s\]}]', 'text in JSON'),
    (rb'\x89PNG|\xff\xd8\xff|GIF8|RIFF....WEBP|BM.{8}', 'an image'),
    (rb'\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!', 'a compressed archive: unpack it'),
    (rb'\x89HDF', 'an HDF5 file, as Keras writes them'),
    (rb'\x93NUMPY', 'an array of NumPy'),
    (rb'\x00+$', 'nothing but zeros'),
)

_KINDS = {'list': 'a list', 'tuple': 'a tuple', 'Tensor': 'a single tensor', 'Parameter': 'a single tensor'}

_OBJECT = re.compile(r'GLOBAL ([\w.]+)')


def of_file(path: Path) -> str | None:
    """Say what an unreadable file looks like by its beginning, or by its parts where it is a ZIP archive."""
    with open(path, 'rb') as file:
        start = file.read(_LOOKED_AT)
    if not start:
        return 'it is empty'
    if start.startswith(b'PK'):
        return _of_archive(path)
    for pattern, what in _BEGINNINGS:
        if re.match(pattern, start, re.IGNORECASE | re.DOTALL):
            return f'it looks like {what}'
    is_text = all(byte >= 32 or byte in b'\t\n\r\f' for byte in start)
    return 'it looks like text' if is_text else None


def _of_archive(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.rpartition('/')[2] for name in archive.namelist()}
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile):
        return 'it is a truncated or damaged archive'
    if 'constants.pkl' in names:
        return "it is TorchScript, a program: save the network's state_dict()"
    if any(name.endswith('.npy') for name in names):
        return 'it holds arrays of NumPy'
    return None if 'data.pkl' in names else 'it is a ZIP archive that PyTorch did not write'


def of_refusal(error: Exception) -> str:
    """Say why PyTorch refused to load a pickle; its own text advises to load it without protection."""
    match = _OBJECT.search(str(error))
    if match is None:
        return 'it is damaged, or holds Python objects, which could run code'
    name = match[1].removesuffix('.')
    return f"it holds Python objects ({name}), which could run code: save a network's state_dict() instead"


def of_content(content: Any) -> str:
    """Say what something that holds no weights is."""
    if not isinstance(content, Mapping):
        return _KINDS.get(type(content).__name__, f'one value ({type(content).__name__})')
    if not content:
        return 'nothing'
    if {'optimizers', 'schedulers', 'iter'} <= content.keys():
        return 'the state of a training: give the network of its folder models'
    if {'state', 'param_groups'} <= content.keys():
        return 'the state of an optimizer'
    for key in ('state_dict', 'model', 'generator', 'net', 'network', 'weights'):
        if isinstance(content.get(key), Mapping):
            return f'something under {key!r}: save that alone'
    keys = [key[:_LONGEST_KEY] if isinstance(key, str) else f'a {type(key).__name__}' for key in content]
    return f'the keys {", ".join(sorted(keys)[:_KEYS_SHOWN])}'
