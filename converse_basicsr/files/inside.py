"""The one guard of paths: a name that a file of a stranger gives never leads out of the folder it belongs to."""

import contextlib
import os
import re
import shutil
from pathlib import Path, PurePosixPath, PureWindowsPath


class UnsafeName(ValueError):
    """A name that would lead out of its folder, or that is no name at all; the text is a phrase to follow its place."""


_DEVICE = re.compile(r'(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?', re.IGNORECASE)


def inside(folder: Path, name: object) -> Path:
    """Return the path of a name in a folder.

    Args:
        folder: The folder.
        name: A relative path of plain parts, ``gt.lmdb`` or ``x4/gt.lmdb``.

    Returns:
        ``folder / name``; whether it exists does not matter.

    Raises:
        UnsafeName: If the name is no text, empty, absolute, has ``.`` or ``..`` or a control character among its parts,
            is a device of Windows, or passes through a symbolic link on its way.

    Example:
        >>> inside(Path('data'), 'x4/gt.lmdb').as_posix()
        'data/x4/gt.lmdb'
        >>> inside(Path('data'), '../gt.lmdb')
        Traceback (most recent call last):
        ...
        converse_basicsr.files.inside.UnsafeName: '../gt.lmdb' leads out of its folder
    """
    if not isinstance(name, str) or not name.strip():
        raise UnsafeName(f'{name!r} is no name')
    parts = name.split('/')
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or '\\' in name or '..' in parts:
        raise UnsafeName(f'{name!r} leads out of its folder')
    if any(part in ('', '.') or not part.isprintable() or _DEVICE.fullmatch(part) for part in parts):
        raise UnsafeName(f'{name!r} is no plain name')
    path = folder
    for part in parts[:-1]:
        path = path / part
        if path.is_symlink():
            raise UnsafeName(f'{name!r} passes through the symbolic link {path}')
    return path / parts[-1]


def remove(folder: Path, name: object) -> None:
    """Remove a file, or a folder with all it holds, by its name in a folder; a link is removed, not what it leads to.

    Raises:
        UnsafeName: See :func:`inside`.
        OSError: If it cannot be removed.
    """
    path = inside(folder, name)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_empty(folder: Path) -> None:
    """Remove a folder that holds nothing; one that holds something, or cannot be removed, stays."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def same_file(first: Path, second: Path) -> bool:
    """Say whether two paths lead to one file or folder, by whatever names; false where either is missing."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False


def obstacle(folder: Path) -> str:
    """Say why nothing can be written into a folder that exists or will be made; empty if it can."""
    place = folder.absolute()
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        return f'{place} is no folder'
    return '' if os.access(place, os.W_OK | os.X_OK) else f'{place} cannot be written into'
