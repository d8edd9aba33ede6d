"""Make a data set so that it is complete or absent: resumable after a kill, never overwritten silently.

While the work goes on everything lies in ``OUTPUT/NAME.partial``: the unfinished LMDBs and folders, ``record.json``
with the parameters, and ``journal.jsonl`` with one line per image whose results are on the disk. A repeated
command reads the journal and goes on. At the end the parts are checked and renamed into ``OUTPUT``, and
``OUTPUT/NAME.json`` records what was made from what; it appears last, so it also says that the data set is complete.
What lies there already may come from a stranger: :mod:`~converse_basicsr.prepare.work_folder` and
:mod:`~converse_basicsr.prepare.publishing` say what of it is believed.
"""

import contextlib
import errno
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import lmdb
from tqdm import tqdm

from converse_basicsr.errors import UserError
from converse_basicsr.files import atomic
from converse_basicsr.files.lmdb_folder import LmdbWriter
from converse_basicsr.files.lock import Lock
from converse_basicsr.messages import tell
from converse_basicsr.prepare import journal, work_folder
from converse_basicsr.prepare.folder_writer import FolderWriter
from converse_basicsr.prepare.job import Job
from converse_basicsr.prepare.journal import Line
from converse_basicsr.prepare.places import check_places
from converse_basicsr.prepare.publishing import (
    can_publish,
    finished,
    publish,
    remember_replaced,
    require_whole_way,
    unpublishable,
)
from converse_basicsr.prepare.record import Prepared, Record, parameter_difference
from converse_basicsr.prepare.summary import count, listing, size_text
from converse_basicsr.prepare.work_folder import JOURNAL, RECORD, REPLACED
from converse_basicsr.prepare.workers import count_cpus, run_tasks

COMMIT_BYTES = 32 * 2**20
COMMIT_SECONDS = 5.0
"""A kill loses at most this much work; more frequent commits would wait for the disk more often."""

DISK_FULL_BYTES = 4 * COMMIT_BYTES
"""With less room than this a failed commit means a full disk: a commit is a little larger than COMMIT_BYTES."""

_DISK_FULL = {getattr(errno, name) for name in ('ENOSPC', 'EDQUOT') if hasattr(errno, name)}  # Windows has no EDQUOT

Writer = LmdbWriter | FolderWriter


class Interrupted(KeyboardInterrupt):
    """Ctrl-C stopped the work; the text says what is kept and how to go on."""


def run_job(job: Job, *, workers: int | None, overwrite: bool, skip_bad: bool) -> Prepared:
    """Make the data set, or go on making it, or find that it is made.

    Args:
        job: What to make.
        workers: Number of processes; one per CPU where None.
        overwrite: Replace a finished result, and drop unfinished work that does not fit this job.
        skip_bad: Leave unusable images out; without it they stop the job after all others are done.

    Returns:
        The complete data set.

    Raises:
        UserError: If something else is in the way, the images lie in what would be replaced, images are unusable, the
            disk is full, or another run is at work.
        Interrupted: After Ctrl-C; the work so far is kept.
        ValueError: If ``workers`` is below 1.
    """
    if workers is not None and workers < 1:
        raise ValueError(f'workers must be at least 1, got {workers}')
    try:
        check_places(job)
        work_folder.check(job)
        record = None if overwrite else finished(job)
        if record is not None:
            _clear_leftovers(job)
            return Prepared(job.output, record, is_new=False)
        with work_folder.held(job) as lock:
            if can_publish(job):
                problem = unpublishable(job)
                if problem:
                    _start_anew(job, problem)
            if not can_publish(job):
                require_whole_way(job, overwrite=overwrite)
                _make(job, lock, workers or count_cpus(), overwrite, skip_bad)
            lock.require_held()
            record = publish(job, overwrite=overwrite)
            work_folder.clear(job)
        return Prepared(job.output, record, is_new=True)
    except KeyboardInterrupt:
        raise Interrupted(f'stopped; the work so far is kept in {job.work}: repeat the command to go on') from None
    except lmdb.Error as error:
        # LMDB reports a partial write as an input/output error, so its class does not show a full disk.
        if isinstance(error, lmdb.DiskError) or _free_bytes(job.output) < DISK_FULL_BYTES:
            raise _disk_full(job) from error
        raise UserError(
            f'{job.work}: the database cannot be written: {error}; repeat the command, and delete that folder if it '
            'fails again'
        ) from error
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise _disk_full(job) from error
        raise UserError(f'{error.filename or job.output}: {error.strerror or error}') from error


def _disk_full(job: Job) -> UserError:
    free = size_text(_free_bytes(job.output))
    return UserError(
        f'the disk of {job.output} is full ({free} free): the work so far is kept in {job.work}, make room and '
        'repeat the command to go on'
    )


def _free_bytes(path: Path) -> int:
    """Return the free bytes of the disk on which a path is, or would be if it existed."""
    return shutil.disk_usage(next(p for p in (path, *path.resolve().parents) if p.exists())).free


def _make(job: Job, lock: Lock, workers: int, overwrite: bool, skip_bad: bool) -> None:
    """Fill the work folder up to the final record; :func:`publish` moves it out with the members."""
    done = _resume(job, overwrite)
    try:
        writers = _open_writers(job, done)
    except (ValueError, lmdb.Error) as error:
        _start_anew(job, str(error))
        done.clear()
        writers = _open_writers(job, done)
    try:
        bad = _run_tasks(job, lock, writers, done, workers)
        if bad and not skip_bad:
            raise UserError(
                f'{count(len(bad), "image")} cannot be used, everything else is done and kept in {job.work}: '
                f'{listing([f"{path} {why}" for path, why in bad.items()])}. '
                'Put them right and repeat the command, or leave them out with --skip-bad'
            )
        if job.tasks and not any(line.entries.get(name) for line in done.values() for name in job.members):
            notes = journal.notes(done.values())
            reasons = [f'{note}: {len(names)} of {len(job.tasks)}' for note, names in notes.items()]
            raise UserError(
                f'nothing to write: every image was left out ({listing(reasons or ["all are unusable"])}): '
                'give other images, or a smaller --crop'
            )
        for writer in writers.values():
            writer.finish()
    finally:
        for writer in writers.values():
            writer.close()
    for name, content in job.files.items():
        atomic.write_bytes(job.work / name, content)
    record = Record(
        parameters=job.parameters,
        members={name: sum(len(line.entries.get(name, ())) for line in done.values()) for name in job.members},
        files=sorted(job.files),
        sources=job.sources,
        left_out={path.name: why for path, why in bad.items()},
        notes=journal.notes(done.values()),
        ignored=job.ignored,
    )
    record.write(job.final_record)


def _run_tasks(
    job: Job, lock: Lock, writers: Mapping[str, Writer], done: dict[str, Line], workers: int
) -> dict[Path, str]:
    """Run the tasks that are not done, and write their results to the disk together with the journal.

    Args:
        job: What to make.
        lock: That of the work folder.
        writers: One for each member.
        done: The journal's lines by image name; receives those of the tasks run here.
        workers: Number of processes.

    Returns:
        The images that cannot be used, with the reason.
    """
    todo = [task for task in job.tasks if task.source.path.name not in done]
    bad: dict[Path, str] = {}
    pending: list[Line] = []
    pending_bytes, last_commit = 0, time.monotonic()
    outcomes = run_tasks(todo, workers=min(workers, max(1, len(todo))))
    progress = tqdm(total=len(job.tasks), initial=len(done), unit='image', desc=str(job.output), disable=not job.tasks)
    with contextlib.closing(outcomes), progress:
        for task, outcome in outcomes:
            progress.update()
            if outcome.bad is not None:
                bad[task.source.path] = outcome.bad
                continue
            for entry in outcome.entries:
                writers[entry.member].put(entry.key, entry.png, entry.shape)
                pending_bytes += len(entry.png)
            line = Line.of(task, outcome)
            pending.append(line)
            done[line.name] = line
            if pending_bytes >= COMMIT_BYTES or time.monotonic() - last_commit >= COMMIT_SECONDS:
                _commit(job, lock, writers, pending)
                pending.clear()
                pending_bytes, last_commit = 0, time.monotonic()
    _commit(job, lock, writers, pending)
    return bad


def _commit(job: Job, lock: Lock, writers: Mapping[str, Writer], lines: list[Line]) -> None:
    """Make results durable; the journal comes after the data it vouches for: a kill in between repeats work."""
    lock.require_held()
    for writer in writers.values():
        writer.commit()
    journal.append(job.work / JOURNAL, lines)


def _resume(job: Job, overwrite: bool) -> dict[str, Line]:
    """Open the work folder and return the journal's lines by image name, empty where the work starts anew."""
    record = job.work / RECORD
    if not record.exists():
        _start(job)
        return {}
    difference = parameter_difference(Record.read(record).parameters, job.parameters)
    try:
        done = journal.read(job.work / JOURNAL)
        now = job.sources
        changed = [name for name, line in done.items() if now.get(name) != line.fingerprint]
        if not difference and changed:
            difference = f'from images of which {len(changed)} have changed or gone (the first is {min(changed)})'
        if not difference:
            journal.check(done.values(), job)
            return done
    except ValueError as error:
        if difference and not overwrite:
            raise UserError(
                f'{job.work} holds unfinished work {difference}, and is damaged: delete that folder, or drop it with '
                '--overwrite'
            ) from error
        _start_anew(job, str(error))
        return {}
    if not overwrite and any(line.entries for line in done.values()):
        raise UserError(
            f'{job.work} holds unfinished work {difference}: repeat the command it came from to finish it, '
            'delete that folder, or drop it with --overwrite'
        )
    _start(job)
    return {}


def _start_anew(job: Job, why: str) -> None:
    """Drop damaged work of this job, which nobody could finish."""
    tell(f'{job.work} is damaged ({why}): starting anew')
    _start(job)


def _start(job: Job) -> None:
    """Drop what the work folder holds, and write down what is being made."""
    if job.final_record.exists():  # parts of it may have been moved to their place
        remember_replaced(job)
    work_folder.clear(job, keep=(RECORD, REPLACED))
    Record(job.parameters).write(job.work / RECORD)


def _open_writers(job: Job, done: Mapping[str, Line]) -> dict[str, Writer]:
    """Open a writer for each member.

    Raises:
        ValueError: If the work is not what the journal says.
        lmdb.Error: If a database cannot be opened.
    """
    writers: dict[str, Writer] = {}
    try:
        for member in job.members:
            committed = {key: shape for line in done.values() for key, shape in line.shapes(member).items()}
            writer = LmdbWriter if member.endswith('.lmdb') else FolderWriter
            writers[member] = writer(job.work / member, committed=committed)
    except BaseException:
        for opened in writers.values():
            opened.close()
        raise
    return writers


def _clear_leftovers(job: Job) -> None:
    """Remove the work folder of a data set that is complete: a kill left it at its end, or ended an --overwrite."""
    record = job.work / RECORD
    is_of_another = record.exists() and parameter_difference(Record.read(record).parameters, job.parameters)
    if job.work.exists() and not is_of_another:
        # In a read-only place, or while another process replaces the data set, it stays.
        with contextlib.suppress(OSError, UserError), work_folder.held(job):
            work_folder.clear(job)
