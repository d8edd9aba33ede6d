"""The one writer of files: at every moment, the name holds the whole old content or the whole new content."""

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MAX_NAME_BYTES = 255
"""Length of a file's name that all usual file systems allow."""

_UNFINISHED = re.compile(r'\.(?P<final>.+?)(?:\.[0-9a-f]{12})?\.tmp')
"""Names of unfinished files; those of versions before 0.2 had no random part."""


@contextlib.contextmanager
def writing(path: Path, *, durable: bool = True, replace: bool = True) -> Iterator[BinaryIO]:
    """Open a file that takes the name ``path`` when the body has succeeded; after an error it is removed.

    Args:
        path: The file; its folder must exist. Where it is a symbolic link, the file behind it is written. A device
            such as ``/dev/stdout``, or a pipe, is written as it is.
        durable: Wait until content and name would survive a power failure.
        replace: Replace a file of that name; without it such a file is an error.

    Yields:
        The file, open for binary writing, under a name that no other file had.

    Raises:
        FileExistsError: If there is such a file and ``replace`` is false; it is kept.
        OSError: If it cannot be written; an older file of that name is kept.
    """
    if replace and _is_device(path):
        with open(path, 'wb') as file:
            yield file
        return
    path = Path(os.path.realpath(path)) if replace and path.is_symlink() else path
    temporary = path.with_name(_unfinished_name(path.name))
    try:
        with open(temporary, 'xb') as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        if replace:
            os.replace(temporary, path)
        else:
            take_free_name(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if durable:
        sync_folder(path.parent)


def write_bytes(path: Path, content: bytes, *, durable: bool = True, replace: bool = True) -> None:
    """Write a whole file by :func:`writing`."""
    with writing(path, durable=durable, replace=replace) as file:
        file.write(content)


def write_text(path: Path, text: str, *, durable: bool = True, replace: bool = True) -> None:
    """Write a whole file in UTF-8 by :func:`writing`; what UTF-8 cannot hold (names of files) is escaped."""
    write_bytes(path, text.encode('utf-8', 'backslashreplace'), durable=durable, replace=replace)


def append(path: Path, text: str) -> None:
    """Add lines to the end of a file, which is made where it is missing; they are on the disk when this returns.

    A kill may leave a part of them, so whoever reads the file expects a last line that is cut off.

    Raises:
        OSError: If it cannot be written.
    """
    with open(path, 'ab') as file:
        file.write(text.encode('utf-8', 'backslashreplace'))
        file.flush()
        os.fsync(file.fileno())


def move(path: Path, target: Path) -> None:
    """Rename a file or a folder within a file system; a file of the new name is replaced.

    Raises:
        OSError: If it cannot be renamed; both are kept.
    """
    os.replace(path, target)
    sync_folder(target.parent)
    sync_folder(path.parent)


def unfinished(folder: Path) -> list[tuple[Path, str]]:
    """Find the unfinished files that kills left in a folder, each with the name that it would have got."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _UNFINISHED.fullmatch(path.name)
        if match and path.is_file() and not path.is_symlink():
            found.append((path, match['final']))
    return found


def sync_folder(folder: Path) -> None:
    """Make the names of new files in a folder survive a power failure, where the system can."""
    if hasattr(os, 'O_DIRECTORY'):
        descriptor = os.open(folder, os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def take_free_name(temporary: Path, path: Path) -> None:
    """Rename a file to a name that must be free.

    Raises:
        FileExistsError: If it is not.
    """
    try:
        os.link(temporary, path)  # fails where the name is taken, which a rename does not
    except FileExistsError as error:
        raise FileExistsError(error.errno, error.strerror, str(path)) from None
    except OSError:  # a file system without hard links
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        os.replace(temporary, path)
    else:
        temporary.unlink()


def _is_device(path: Path) -> bool:
    """Say whether a path leads to what must not be replaced by a file."""
    is_stream = str(path.absolute().parent) in ('/dev', '/dev/fd', '/proc/self/fd')  # perhaps redirected to a file
    return is_stream or (path.exists() and not path.is_file() and not path.is_dir())


def _unfinished_name(name: str) -> str:
    """Name the file until it is finished: after the final name, or its digest where that would be too long."""
    token = secrets.token_hex(6)
    unfinished = f'.{name}.{token}.tmp'
    if len(os.fsencode(unfinished)) <= MAX_NAME_BYTES:
        return unfinished
    return f'.{hashlib.sha256(os.fsencode(name)).hexdigest()}.{token}.tmp'
