"""Write files atomically: at every moment, the name holds the whole old content or the whole new content."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

UNFINISHED = '.*.tmp'
"""Pattern of the names of unfinished files, for cleaning up after a kill."""

MAX_NAME_BYTES = 255
"""Length of a file's name that all usual file systems allow."""


@contextlib.contextmanager
def writing(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Open a file that takes the name ``path`` when the body has succeeded; after an error it is removed.

    Args:
        path: The file; its folder must exist.
        durable: Wait until content and name would survive a power failure.

    Yields:
        The file, open for binary writing.

    Raises:
        OSError: If it cannot be written; an older file of that name is kept.
    """
    temporary = path.with_name(_unfinished_name(path.name))
    try:
        with open(temporary, 'wb') as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if durable:
        _sync_folder(path.parent)


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a whole file by :func:`writing`."""
    with writing(path, durable=durable) as file:
        file.write(content)


def _unfinished_name(name: str) -> str:
    """Name the file until it is finished: after the final name, or its digest where that would be too long."""
    unfinished = f'.{name}.tmp'
    if len(os.fsencode(unfinished)) <= MAX_NAME_BYTES:
        return unfinished
    return f'.{hashlib.sha256(os.fsencode(name)).hexdigest()}.tmp'


def _sync_folder(folder: Path) -> None:
    """Make the names of new files in a folder survive a power failure, where the system can."""
    if hasattr(os, 'O_DIRECTORY'):
        descriptor = os.open(folder, os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
