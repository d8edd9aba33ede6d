"""Move a finished data set to its place, and find out whether one is there.

No name in a record decides what is moved or removed: it must be that of a part which such a job makes. While the parts
of an old data set are replaced there is no record, so that no version of this package takes the mixture for complete.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from converse_basicsr.errors import UserError
from converse_basicsr.files import atomic, inside, meta_info
from converse_basicsr.files.inside import UnsafeName
from converse_basicsr.files.lmdb_folder import Shape, check_lmdb
from converse_basicsr.prepare import journal
from converse_basicsr.prepare.job import Job
from converse_basicsr.prepare.record import Record, parameter_difference, source_difference
from converse_basicsr.prepare.work_folder import JOURNAL, REPLACED, stranger


def finished(job: Job) -> Record | None:
    """Return the record of a data set that is in its place and whole; None where there is no record.

    Raises:
        UserError: If it was made in another way, is damaged, or is no record.
    """
    if not os.path.lexists(job.record):
        return None
    record = Record.read(job.record)
    difference = _difference(record, job)
    if difference:
        raise UserError(
            f'{job.output} is already made, but {difference}: choose another --output, or replace it with --overwrite'
        )
    for name in job.parts:
        problem = _problem(job.output, name, record.members.get(name))
        if problem:
            raise UserError(f'{job.output / name} was finished, but now {problem}: make it again with --overwrite')
    return record


def can_publish(job: Job) -> bool:
    """Say whether the work is complete and only has to be moved to its place, because a kill interrupted the move."""
    return job.final_record.exists() and not _difference(Record.read(job.final_record), job)


def unpublishable(job: Job) -> str:
    """Say in words in what complete work is not what its record and journal say; empty where it is."""
    record = Record.read(job.final_record)
    if (set(record.members), set(record.files)) != (set(job.members), set(job.files)):
        return 'its record names other parts'
    try:
        lines = journal.read(job.work / JOURNAL)
        journal.check(lines.values(), job)
    except ValueError as error:
        return str(error)
    for name in job.parts:
        folder = job.work if os.path.lexists(job.work / name) else job.output
        shapes = {key: shape for line in lines.values() for key, shape in line.shapes(name).items()}
        problem = _problem(folder, name, record.members.get(name))
        if not problem and name in job.files and (folder / name).read_bytes() != job.files[name]:
            problem = 'has another content'
        if not problem and name in job.members and _shapes(folder / name, shapes) != shapes:
            problem = 'holds other images than the journal says'
        if problem:
            return f'{name} {problem}'
    return ''


def require_way(job: Job, names: Iterable[str], *, overwrite: bool) -> None:
    """Refuse where something is in the place of a part, unless it may be replaced.

    Args:
        job: What to make.
        names: The parts whose places are looked at.
        overwrite: Whether the user wants them replaced.

    Raises:
        UserError: Without ``overwrite``, if there is anything; with it, if there is what this package does not write.
    """
    for name in names:
        try:
            path = inside.inside(job.output, name)
        except UnsafeName as error:
            raise UserError(f'{job.output} cannot be used: {error}; choose another --output') from None
        if os.path.lexists(path) and not overwrite:
            raise UserError(
                f'{path} exists and was not made by this command: choose another --output, or replace it with '
                '--overwrite'
            )
        foreign = stranger(path)
        if foreign:
            raise UserError(
                f'{foreign} is in the place of the data set, and nothing that this command makes: move it away, or '
                'choose another --output'
            )


def require_whole_way(job: Job, *, overwrite: bool) -> None:
    """Refuse by :func:`require_way` before any work is done."""
    require_way(job, (*job.parts, *_stale(job)), overwrite=overwrite)


def remember_replaced(job: Job) -> None:
    """Note in the work folder which parts a data set in the place, or one half moved there, may have."""
    names = _replaced(job)
    if names:
        Record({}, files=sorted(names)).write(job.work / REPLACED)


def publish(job: Job, *, overwrite: bool) -> Record:
    """Move the parts out of the work folder, the record last; a repeated call goes on where a kill stopped it.

    Raises:
        UserError: If something is in the way that may not be replaced.
    """
    record = Record.read(job.final_record)
    waiting = [name for name in job.parts if os.path.lexists(job.work / name)]
    stale = _stale(job)
    require_way(job, (*waiting, *stale, job.record.name), overwrite=overwrite)
    if os.path.lexists(job.record):
        remember_replaced(job)
        inside.remove(job.output, job.record.name)
        atomic.sync_folder(job.output)
    for name in waiting:
        inside.remove(job.output, name)
        (job.output / name).parent.mkdir(parents=True, exist_ok=True)
        atomic.move(job.work / name, job.output / name)
    # An LMDB of an earlier, replaced data set does not match the new ground truth.
    for name in stale:
        inside.remove(job.output, name)
    atomic.move(job.final_record, job.record)
    return record


def _replaced(job: Job) -> set[str]:
    """Collect the names of parts that the records in the output and in the work folder have."""
    records = [path for path in (job.work / REPLACED, job.record, job.final_record) if os.path.lexists(path)]
    return {name for path in records for name in Record.read(path).parts}


def _stale(job: Job) -> list[str]:
    """List the parts of a replaced data set that are still there and that no new ones replace."""
    names = sorted(name for name in _replaced(job) - set(job.parts) if job.makes(name))
    return [name for name in names if os.path.lexists(job.output / name)]


def _problem(folder: Path, name: str, number: int | None) -> str:
    """Say what is wrong with a part, given the number of images it was made with; empty where nothing is."""
    path = folder / name
    if not path.exists():
        return 'does not exist'
    if name.endswith('.lmdb'):
        problems = check_lmdb(path)
        if problems:
            return problems[0]
        held = len(meta_info.entries(path))
        return '' if number in (None, held) else f'holds {held} images in place of {number}'
    if number is None:
        return ''
    held = len(_images(path))
    return '' if held >= number else f'holds {held} images in place of {number}'  # others may have been added


def _images(folder: Path) -> list[str]:
    """List the images of a folder; an empty one is what a power failure leaves."""
    if not folder.is_dir():
        return []
    return [path.stem for path in folder.iterdir() if path.suffix == '.png' and path.is_file() and path.stat().st_size]


def _shapes(path: Path, expected: dict[str, Shape]) -> dict[str, Shape | None]:
    """Return the keys of a member with the shapes of its images; a folder does not list them: they are as expected."""
    if path.suffix == '.lmdb':
        return {entry.key: (entry.height, entry.width, entry.channels) for entry in meta_info.entries(path)}
    return {name: expected.get(name) for name in _images(path)}


def _difference(record: Record, job: Job) -> str:
    """Say in words in what a finished data set differs from a job; empty where it does not."""
    return parameter_difference(record.parameters, job.parameters) or source_difference(record.sources, job.sources)
