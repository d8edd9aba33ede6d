"""Look at the place of results before the work that takes long: can it be written, and is it free?"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from converse_basicsr.errors import UserError
from converse_basicsr.files.inside import UnsafeName, inside, obstacle
from converse_basicsr.files.reading import Unreadable, read_bytes

MAX_NAME_BYTES = 200
"""Length of a name that becomes part of names of files, which may have 255 bytes."""

_MAX_TEXT_BYTES = 2**26


def require_name(name: object, where: str) -> None:
    """Refuse a name that becomes part of names of files and cannot.

    Args:
        name: The name.
        where: The place that gives it, for messages.

    Raises:
        UserError: If it would lead out of its folder, or no file can be called so.
    """
    try:
        inside(Path(), name)
    except UnsafeName as error:
        raise UserError(f'{where}: {error}; it becomes part of names of files') from None
    if '/' in str(name):
        raise UserError(f'{where}: {name!r} must be without slashes, as it becomes part of names of files')
    if len(os.fsencode(str(name))) > MAX_NAME_BYTES:
        raise UserError(f'{where}: must have at most {MAX_NAME_BYTES} bytes, as it becomes part of names of files')


def require_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made or written.

    Raises:
        UserError: If so.
    """
    if reason := obstacle(folder):
        raise UserError(f'cannot write to {folder}: {reason}; choose another one')


def require_file(path: Path) -> None:
    """Refuse a file that cannot be written, because of its folder or of what it is.

    Raises:
        UserError: If so.
    """
    if not path.absolute().parent.is_dir():
        raise UserError(f'cannot write {path}: its folder does not exist; create it or choose another one')
    if path.is_dir():
        raise UserError(f'cannot write {path}: it is a folder; give the name of a file')
    if not path.exists() or path.is_file():
        require_folder(path.resolve().parent)


def require_own(texts: Mapping[Path, str], others: Iterable[Path] = ()) -> None:
    """Refuse to replace what a command has not written.

    Args:
        texts: Text files that the command will write, each with a line that is in all that it ever wrote.
        others: Further files, which show nothing of their origin: they are the command's where one of ``texts`` is.

    Raises:
        UserError: If a file is there that the command has not written.
    """
    own = False
    for path, line in texts.items():
        if os.path.lexists(path):
            own = _holds(path, line)
            if not own:
                raise _in_the_way(path)
    for path in others:
        if not own and os.path.lexists(path):
            raise _in_the_way(path)


def _holds(path: Path, line: str) -> bool:
    try:
        return line.encode() in read_bytes(path, _MAX_TEXT_BYTES)
    except (Unreadable, OSError):
        return False


def _in_the_way(path: Path) -> UserError:
    return UserError(f'{path} is in the way: this command did not write it; move it away, or give another --output')
