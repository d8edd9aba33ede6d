"""What a checkpoint may take: no file of a few bytes fills the memory."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converse_basicsr.errors import UserError

_MOST_UNPACKED, _MOST_CLAIMED = 8, 64
"""Bytes that a file's parts unpack into, and that its tensors have, for each byte of the file: weights hardly compress;
tied weights have several names."""

_SMALL = 2**20
"""Bytes that any file may take."""

_MOST_VALUES, _LONGEST_TEXT = 10_000, 1000
"""Values in the section that builds a network, and characters of one."""


class UnboundedError(Exception):
    """A file that is small on the disk and would be large in memory."""


def require_archive(path: Path, size: int) -> None:
    """Refuse a ZIP archive whose parts would unpack into, or share, far more bytes than it has; others pass.

    Raises:
        UnboundedError: If it is one.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(part.file_size for part in archive.infolist())
    if unpacked > _MOST_UNPACKED * size + _SMALL:
        raise UnboundedError(f'it has {size} bytes and would unpack into {unpacked}')


def require_tensors(content: Any, size: int) -> None:
    """Refuse tensors that are far larger than their file, or have no numbers at all (of the device ``meta``).

    Args:
        content: Tensors in mappings and sequences of any depth.
        size: Bytes of the file.

    Raises:
        UnboundedError: If there are such.
    """
    import torch

    claimed, seen, waiting = 0, set(), [content]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, torch.Tensor):
            if value.device.type == 'meta':
                raise UnboundedError('it holds a tensor without its numbers')
            claimed += value.numel() * value.element_size()
            if claimed > _MOST_CLAIMED * size + _SMALL:
                raise UnboundedError(f'it has {size} bytes, and its tensors would have more than {claimed}')
        elif isinstance(value, Mapping):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, (list, tuple, set)):
            waiting += value


def require_plain(section: Mapping[Any, Any], name: str) -> None:
    """Refuse a section that no option file could hold; lists within lists, each used twice, would grow without end.

    Args:
        section: The section.
        name: What to call it.

    Raises:
        UserError: If it holds too many values, or others than numbers and texts.
    """
    waiting: list[Any] = [section]
    for _ in range(_MOST_VALUES):
        if not waiting:
            return
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, (list, tuple)):
            waiting += value[:_MOST_VALUES]
        elif isinstance(value, str):
            if len(value) > _LONGEST_TEXT:
                break
        elif not isinstance(value, (int, float, type(None))) or (isinstance(value, int) and abs(value) >= 2**63):
            break
    raise UserError(f'the checkpoint states a {name} that no option file could hold: give the right one as -opt')
