"""The folder of unfinished work, ``OUTPUT/NAME.partial``: held by one process, and touched only if it is ours.

A downloaded archive may hold a folder of that name, and a user a folder of another purpose. So whatever lies in it must
be what this package writes there, in plain files, before anything in it is changed or removed.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePath

from converse_basicsr.errors import UserError
from converse_basicsr.files import atomic, inside
from converse_basicsr.files.lmdb_folder import DATA, LOCK
from converse_basicsr.files.lock import Lock, locked
from converse_basicsr.files.meta_info import FILE_NAME
from converse_basicsr.prepare.job import Job
from converse_basicsr.prepare.record import Record

RECORD, JOURNAL, REPLACED = 'record.json', 'journal.jsonl', 'replaced.json'
"""What is being made; which images are done; names of parts of the data set that is being replaced."""

_LOCK, _OLD_LOCK = 'lock.json', 'lock'
"""Who is at work; the empty file that earlier versions locked."""

_LOCK_BEGINS = '{"host": '

_LMDB_FILES = {DATA, LOCK, FILE_NAME}
_LITTER = {'.DS_Store', 'Thumbs.db'}
"""What desktops leave in folders that they show."""


@contextlib.contextmanager
def held(job: Job) -> Iterator[Lock]:
    """Hold the work folder, made where it is missing, against other processes; it is removed if it is empty then.

    Raises:
        UserError: If another process holds it, or it is not ours.
    """
    check(job)
    job.work.mkdir(parents=True, exist_ok=True)
    try:
        with locked(job.work / _LOCK, str(job.work)) as lock:
            yield lock
    finally:
        inside.remove_empty(job.work)


def check(job: Job) -> None:
    """Refuse a work folder that is not ours.

    Raises:
        UserError: If it is no folder, has no record, or holds links or anything that this command does not write.
    """
    if not os.path.lexists(job.work):
        return
    if job.work.is_symlink() or not job.work.is_dir():
        raise _foreign(job, job.work)
    has_content = False
    for folder, folders, files in os.walk(job.work):
        unfinished = {path.name for path, _ in atomic.unfinished(Path(folder))}
        for name in (*folders, *files):
            path = Path(folder, name)
            try:
                status = path.lstat()
            except FileNotFoundError:  # of another process at work
                continue
            if name in folders and not stat.S_ISLNK(status.st_mode):
                continue
            # Writing into a file with a second name would change the other one too.
            is_plain = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
            if not is_plain or not (name in unfinished or _is_ours(job, path)):
                raise _foreign(job, path)
            has_content |= name not in unfinished and path.parent / name not in (job.work / _LOCK, job.work / _OLD_LOCK)
    if has_content:
        try:
            Record.read(job.work / RECORD)
        except (UserError, FileNotFoundError):
            raise _foreign(job, job.work / RECORD, 'holds no whole') from None


def clear(job: Job, *, keep: tuple[str, ...] = ()) -> None:
    """Remove what is in the work folder, except the lock; after a kill in between it is work without results."""
    first = (job.final_record.name, JOURNAL)
    others = [path.name for path in job.work.iterdir() if path.name not in (*first, RECORD, _LOCK)]
    for name in (*first, *others, RECORD):
        if name not in keep:
            inside.remove(job.work, name)


def stranger(path: Path) -> Path | None:
    """Find, in a part of a data set, what this package does not write: nobody asked for its removal.

    Returns:
        The first such thing, or None. Symbolic links are none, since only the links are ever removed.
    """
    if path.is_symlink() or not path.exists():
        return None
    if path.suffix not in ('', '.lmdb'):
        return None if path.is_file() else path
    if not path.is_dir():
        return path
    unfinished = {entry for entry, _ in atomic.unfinished(path)}
    for entry in sorted(path.iterdir()):
        known = entry.name in _LITTER or entry in unfinished or _belongs(path, entry.name)
        if not known or not (entry.is_file() or entry.is_symlink()):
            return entry
    return None


def _belongs(part: PurePath, name: str) -> bool:
    """Say whether a file's name is one in an LMDB, or in a folder of images."""
    return name in _LMDB_FILES if part.suffix == '.lmdb' else name.endswith('.png')


def _is_ours(job: Job, path: Path) -> bool:
    """Say whether a file has a name that this command gives to files in the work folder."""
    name = path.relative_to(job.work)
    if name.as_posix() in (_LOCK, _OLD_LOCK):
        text = path.read_bytes()[:100].decode('utf-8', 'replace')
        return _LOCK_BEGINS.startswith(text[: len(_LOCK_BEGINS)])  # a kill may leave a part of it
    if name.as_posix() in (RECORD, JOURNAL, REPLACED, job.final_record.name, *_LITTER) or job.makes(name.as_posix()):
        return True
    return job.makes(name.parent.as_posix()) and _belongs(name.parent, name.name)


def _foreign(job: Job, path: Path, verb: str = 'holds') -> UserError:
    what = 'is' if path == job.work else f'{verb} {path.name}, so it is'
    return UserError(f'{job.work} {what} no work folder of this command: move it away, or choose another --output')
