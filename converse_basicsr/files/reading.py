"""The one way into files that option files and archives of strangers name: regular files of bounded size."""

import os
import stat

MAX_LIST_BYTES = 2**28
"""Lists of images, such as ``meta_info_file``: ten million names of 25 bytes."""

MAX_ARRAY_BYTES = 2**28
"""Arrays, such as files of blur kernels."""

_KINDS = {
    stat.S_IFDIR: 'a folder',
    stat.S_IFIFO: 'a pipe',
    stat.S_IFSOCK: 'a socket',
    stat.S_IFCHR: 'a device',
    stat.S_IFBLK: 'a device',
}


class Unreadable(ValueError):
    """A path that leads to no regular file, or to one that is too large; the text is a phrase to follow its name."""


def require_file(path: str | os.PathLike[str], limit: int | None = None) -> int:
    """Refuse what would hang its reader or fill the memory; nothing is opened for that.

    Args:
        path: The file; symbolic links are followed.
        limit: Largest size in bytes; any if not given.

    Returns:
        Its size in bytes.

    Raises:
        Unreadable: If it is a folder, pipe, socket or device, has more than ``limit`` bytes, or a name that no file
            can have.
        OSError: If it is missing or cannot be reached.

    Example:
        >>> require_file('/dev/zero')
        Traceback (most recent call last):
        ...
        converse_basicsr.files.reading.Unreadable: is a device, not a file
    """
    try:
        status = os.stat(path)
    except ValueError as error:  # a NUL, or characters that names of files cannot have
        raise Unreadable(f'is no name of a file ({error})') from None
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable(f'is {_KINDS.get(stat.S_IFMT(status.st_mode), "something else")}, not a file')
    if limit is not None and status.st_size > limit:
        raise Unreadable(f'has {status.st_size} bytes, more than the {limit} that are read of such a file')
    return status.st_size


def read_bytes(path: str | os.PathLike[str], limit: int) -> bytes:
    """Read a whole file.

    Raises:
        Unreadable: See :func:`require_file`.
        OSError: If it cannot be read.
    """
    size = require_file(path, limit)
    with open(path, 'rb') as file:
        return file.read(size)  # no more than was promised: it may grow, or be one of the kernel's that never end


def read_text(path: str | os.PathLike[str], limit: int, *, errors: str = 'strict') -> str:
    """Read a whole file of UTF-8, with line ends as :meth:`pathlib.Path.read_text` gives them.

    Raises:
        Unreadable: See :func:`require_file`.
        UnicodeDecodeError: If it is no UTF-8 and ``errors`` is ``strict``.
        OSError: If it cannot be read.
    """
    return read_bytes(path, limit).decode('utf-8', errors).replace('\r\n', '\n').replace('\r', '\n')
