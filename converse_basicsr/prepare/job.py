"""Make a data set so that it is complete or absent: resumable after a kill, never overwritten silently.

While the work goes on everything lies in ``OUTPUT/NAME.partial``: the unfinished LMDBs and folders, ``record.json``
with the parameters, and ``journal.jsonl`` with one line for each image whose results are on the disk. A repeated
command reads the journal and goes on. At the end the parts are checked and renamed into ``OUTPUT``, and
``OUTPUT/NAME.json`` records what was made from what; it appears last, so it also says that the data set is complete.
"""

import contextlib
import errno
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lmdb
from tqdm import tqdm

from converse_basicsr.errors import UserError
from converse_basicsr.prepare.arguments import INTERRUPTED
from converse_basicsr.prepare.folder_writer import FolderWriter
from converse_basicsr.prepare.images import GREY
from converse_basicsr.prepare.lmdb_writer import LmdbWriter, check_lmdb
from converse_basicsr.prepare.tasks import Outcome, Task
from converse_basicsr.prepare.workers import count_cpus, run_tasks

COMMIT_BYTES = 32 * 2**20
COMMIT_SECONDS = 5.0
"""A kill loses at most this much work; more frequent commits would wait for the disk more often."""

DISK_FULL_BYTES = 4 * COMMIT_BYTES
"""With less room than this a failed commit means a full disk: a commit is a little larger than COMMIT_BYTES."""

NAMES_SHOWN = 5

_DISK_FULL = {getattr(errno, name) for name in ('ENOSPC', 'EDQUOT') if hasattr(errno, name)}  # Windows has no EDQUOT

Parameters = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A data set to be made.

    Attributes:
        output: Folder that gets the members.
        name: Name of the record in it; jobs of different names share an output folder.
        parameters: Everything but the images that the result depends on; JSON values.
        members: The LMDBs (``*.lmdb``) and folders to be made, relative to ``output``.
        tasks: One for each source image; none where the files are all.
        ignored: Names of files that are no images, for the report.
        files: Other files of the data set, relative to ``output``: name and content.
    """

    output: Path
    name: str
    parameters: Parameters
    members: tuple[str, ...]
    tasks: list[Task]
    ignored: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def record(self) -> Path:
        """The file that says what was made, written last."""
        return self.output / f'{self.name}.json'

    @property
    def work(self) -> Path:
        """The folder of unfinished work."""
        return self.output / f'{self.name}.partial'


def run_job(job: Job, *, workers: int | None, overwrite: bool, skip_bad: bool) -> int:
    """Make the data set, or go on making it, or find that it is made.

    Args:
        job: What to make.
        workers: Number of processes; one for each CPU where None.
        overwrite: Replace a finished result, and drop unfinished work that does not fit this job.
        skip_bad: Leave unusable images out; without it they stop the job after all others are done.

    Returns:
        0 when the data set is complete, 130 after Ctrl-C.

    Raises:
        UserError: If something else is in the way, images are unusable, the disk is full, or another process is at it.
    """
    try:
        if not overwrite and not _publishing(job) and _is_finished(job):
            if job.work.exists():
                with _locked(job):  # a killed --overwrite of what is complete
                    pass
            images = 'from these images ' if job.tasks else ''
            print(f'{job.output} is complete and was made {images}with these parameters: nothing to do')
            return 0
        with _locked(job):
            if not _publishing(job):
                _make(job, workers or count_cpus(), overwrite, skip_bad)
            record = _publish(job)
        _report(job, record)
        return 0
    except KeyboardInterrupt:
        print(f'\nstopped; the work so far is kept in {job.work}: repeat the command to go on', file=sys.stderr)
        return INTERRUPTED
    except lmdb.Error as error:
        # LMDB calls a write that the disk took only in part an input/output error, so its class does not tell.
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
    free = _size_text(_free_bytes(job.output))
    return UserError(
        f'the disk of {job.output} is full ({free} free): the work so far is kept in {job.work}, make room and '
        'repeat the command to go on'
    )


def _free_bytes(path: Path) -> int:
    """Tell how much room the disk has on which a path is, or would be if it existed."""
    return shutil.disk_usage(next(p for p in (path, *path.resolve().parents) if p.exists())).free


def _is_finished(job: Job) -> bool:
    """Tell whether this very job is done; raise where anything else is in the place of its results."""
    present = [name for name in (*job.members, *job.files) if (job.output / name).exists()]
    if not job.record.exists():
        if present:
            raise UserError(
                f'{job.output / present[0]} exists and was not made by this command: choose another --output, '
                'or replace it with --overwrite'
            )
        return False
    record = _read_json(job.record)
    difference = _difference(record['parameters'], job.parameters) or _source_difference(record['sources'], job)
    if difference:
        raise UserError(
            f'{job.output} is already made, but {difference}: choose another --output, or replace it with --overwrite'
        )
    for name in (*job.members, *job.files):
        problems = [] if (job.output / name).exists() else ['does not exist']
        if name.endswith('.lmdb'):
            problems = check_lmdb(job.output / name)
        if problems:
            raise UserError(f'{job.output / name} was finished, but now {problems[0]}: make it again with --overwrite')
    return True


def _difference(old: Parameters, new: Parameters) -> str:
    """Say in words which parameters differ; empty where none does."""
    changed = [
        f'{name} {json.dumps(old.get(name))} there, {json.dumps(new.get(name))} now'
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    return f'with other parameters ({"; ".join(changed)})' if changed else ''


def _source_difference(old: dict[str, str], job: Job) -> str:
    """Say in words which images differ from those of the record; empty where none does."""
    new = {task.source.path.name: task.source.fingerprint for task in job.tasks}
    for names, text in (
        (old.keys() - new.keys(), 'images are gone'),
        (new.keys() - old.keys(), 'images are new'),
        ({name for name in old.keys() & new.keys() if old[name] != new[name]}, 'images have changed'),
    ):
        if names:
            return f'{len(names)} of its {text} since (the first is {min(names)})'
    return ''


def _make(job: Job, workers: int, overwrite: bool, skip_bad: bool) -> None:
    """Fill the work folder up to the final record, which :func:`_publish` moves out with the members."""
    done = _resume(job, overwrite)
    writers = {name: _open_writer(job, name, done) for name in job.members}
    journal = job.work / 'journal.jsonl'
    bad: dict[Path, str] = {}
    try:
        pending: list[dict] = []
        pending_bytes, last_commit = 0, time.monotonic()

        def commit() -> None:
            # The journal comes after the data it vouches for: a kill in between repeats work, and loses none.
            for writer in writers.values():
                writer.commit()
            with journal.open('a', encoding='utf-8') as file:
                file.writelines(json.dumps(line) + '\n' for line in pending)
                _sync(file)
            pending.clear()

        todo = [task for task in job.tasks if task.source.path.name not in done]
        outcomes = run_tasks(todo, workers=min(workers, max(1, len(todo))))
        with (
            contextlib.closing(outcomes),
            tqdm(
                total=len(job.tasks),
                initial=len(done),
                unit='image',
                desc=str(job.output),
                disable=not job.tasks,
            ) as bar,
        ):
            for task, outcome in outcomes:
                bar.update()
                if outcome.bad is not None:
                    bad[task.source.path] = outcome.bad
                    continue
                for entry in outcome.entries:
                    writers[entry.member].put(entry.key, entry.png, entry.shape)
                    pending_bytes += len(entry.png)
                line = _journal_line(task, outcome)
                pending.append(line)
                done[task.source.path.name] = line
                if pending_bytes >= COMMIT_BYTES or time.monotonic() - last_commit >= COMMIT_SECONDS:
                    commit()
                    pending_bytes, last_commit = 0, time.monotonic()
        commit()
        if bad and not skip_bad:
            raise UserError(
                f'{_count(len(bad), "image")} cannot be used, everything else is done and kept in {job.work}: '
                f'{_listing([f"{path} {why}" for path, why in bad.items()])}. '
                'Put them right and repeat the command, or leave them out with --skip-bad'
            )
        if job.tasks and not any(line['entries'].get(name) for line in done.values() for name in job.members):
            reasons = _listing(_note_texts(done, len(job.tasks)))
            raise UserError(
                f'nothing to write: every image was left out ({reasons}): give other images, or a smaller --crop'
            )
        for writer in writers.values():
            writer.finish()
    finally:
        for writer in writers.values():
            writer.close()
    for name, content in job.files.items():
        _write(job.work / name, content)
    _write_json(
        job.work / job.record.name,
        {
            'parameters': job.parameters,
            'members': {
                name: sum(len(line['entries'].get(name, ())) for line in done.values()) for name in job.members
            },
            'files': sorted(job.files),
            'sources': {task.source.path.name: task.source.fingerprint for task in job.tasks},
            'left_out': {path.name: why for path, why in bad.items()},
            'notes': _notes(done),
            'ignored': job.ignored,
        },
    )


def _resume(job: Job, overwrite: bool) -> dict[str, dict]:
    """Open the work folder and return the journal's lines by image name, empty where the work starts anew."""
    record = job.work / 'record.json'
    journal = job.work / 'journal.jsonl'
    if record.exists():
        done = {line['name']: line for line in _read_journal(journal)}
        now = {task.source.path.name: task.source.fingerprint for task in job.tasks}
        changed = [name for name, line in done.items() if now.get(name) != line['fingerprint']]
        difference = _difference(_read_json(record)['parameters'], job.parameters)
        if not difference and changed:
            difference = f'from images of which {len(changed)} have changed or gone (the first is {min(changed)})'
        if not difference:
            return done
        if not overwrite and any(line['entries'] for line in done.values()):
            raise UserError(
                f'{job.work} holds unfinished work {difference}: repeat the command it came from to finish it, '
                'delete that folder, or drop it with --overwrite'
            )
    for entry in job.work.iterdir():
        if entry.name != 'lock':
            _remove(entry)
    _write_json(record, {'parameters': job.parameters})
    return {}


def _read_journal(path: Path) -> list[dict]:
    """Read the journal and cut off a line that a kill left half-written."""
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b'\n') + 1]
    if len(whole) < len(data):
        with path.open('r+b') as file:
            file.truncate(len(whole))
    return [json.loads(line) for line in whole.splitlines()]


def _journal_line(task: Task, outcome: Outcome) -> dict:
    entries: dict[str, list] = {}
    for entry in outcome.entries:
        entries.setdefault(entry.member, []).append([entry.key, *entry.shape])
    name, fingerprint = task.source.path.name, task.source.fingerprint
    return {'name': name, 'fingerprint': fingerprint, 'entries': entries, 'notes': outcome.notes}


def _open_writer(job: Job, member: str, done: dict[str, dict]) -> LmdbWriter | FolderWriter:
    committed = {key: (h, w, c) for line in done.values() for key, h, w, c in line['entries'].get(member, ())}
    writer = LmdbWriter if member.endswith('.lmdb') else FolderWriter
    try:
        return writer(job.work / member, committed=committed)
    except ValueError as error:
        raise UserError(f'{job.work} is damaged ({error}): delete that folder and repeat the command') from error


def _publishing(job: Job) -> bool:
    """Tell whether the work is complete and only has to be moved to its place: a kill interrupted that."""
    record = job.work / job.record.name
    return record.exists() and not (
        _difference(_read_json(record)['parameters'], job.parameters)
        or _source_difference(_read_json(record)['sources'], job)
    )


def _publish(job: Job) -> dict:
    """Move the members out of the work folder, the record last; a repeated call goes on where a kill stopped it."""
    final = job.work / job.record.name
    record = _read_json(final)
    old = _read_json(job.record) if job.record.exists() else {'members': {}, 'files': []}
    new = (*record['members'], *record['files'])
    for name in new:
        if (job.work / name).exists():
            _remove(job.output / name)
            (job.output / name).parent.mkdir(parents=True, exist_ok=True)
            (job.work / name).replace(job.output / name)
    # An LMDB of an earlier, replaced data set does not match the new ground truth.
    for name in {*old['members'], *old['files']} - set(new):
        _remove(job.output / name)
    final.replace(job.record)
    return record


def _report(job: Job, record: dict) -> None:
    sources = len(record['sources']) - len(record['left_out'])
    print(f'{job.output}: made' + (f' from {_count(sources, "image")}' if sources else ''))
    for name, count in record['members'].items():
        size = sum(file.stat().st_size for file in (job.output / name).rglob('*') if file.is_file())
        print(f'  {name}: {_count(count, "image")}, {_size_text(size)}')
    if record['files']:
        print(f'  {_listing(record["files"])}')
    total = len(record['sources'])
    for note, names in record['notes'].items():
        # A grey set is grey by intention; grey images among colour ones deserve a line.
        if note != GREY or len(names) < total:
            print(f'  {note}: {_count(len(names), "image")} ({_listing(names)})')
    if record['left_out']:
        reasons = [f'{name} {why}' for name, why in record['left_out'].items()]
        print(f'  left out: {_count(len(reasons), "image")} ({_listing(reasons)})')
    if record['ignored']:
        print(f'  no images: {_count(len(record["ignored"]), "file")} ({_listing(record["ignored"])})')


def _notes(done: dict[str, dict]) -> dict[str, list[str]]:
    notes: dict[str, list[str]] = {}
    for name, line in sorted(done.items()):
        for note in line['notes']:
            notes.setdefault(note, []).append(name)
    return notes


def _note_texts(done: dict[str, dict], total: int) -> list[str]:
    return [f'{note}: {len(names)} of {total}' for note, names in _notes(done).items()] or ['all are unusable']


@contextlib.contextmanager
def _locked(job: Job) -> Iterator[None]:
    """Hold the work folder against a second run of the same command, and remove it where the body succeeds.

    The lock dies with its process, so a killed run leaves none behind.
    """
    job.work.mkdir(parents=True, exist_ok=True)
    with (job.work / 'lock').open('a') as file:
        try:
            if sys.platform == 'win32':
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise UserError(f'another process is working in {job.work}: wait for it, or stop it first') from error
        yield
    shutil.rmtree(job.work)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise UserError(f'{path} is damaged: delete it and repeat the command with --overwrite') from error


def _write_json(path: Path, content: dict) -> None:
    _write(path, json.dumps(content, indent=1).encode('utf-8'))


def _write(path: Path, content: bytes) -> None:
    """Write a file that appears complete or not at all."""
    temporary = path.with_name(f'{path.name}.tmp')
    with temporary.open('wb') as file:
        file.write(content)
        _sync(file)
    temporary.replace(path)


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _count(number: int, noun: str) -> str:
    return f'{number} {noun}' + ('' if number == 1 else 's')


def _listing(texts: list[str]) -> str:
    more = len(texts) - NAMES_SHOWN
    return ', '.join(texts[:NAMES_SHOWN]) + (f' and {more} more' if more > 0 else '')


def _size_text(size: float) -> str:
    for unit in ('KiB', 'MiB'):
        size /= 1024
        if size < 1024:
            return f'{size:.1f} {unit}'
    return f'{size / 1024:.1f} GiB'
