"""Move a finished data set to its place, and find out whether one is there."""

import shutil
from pathlib import Path

from converse_basicsr.errors import UserError
from converse_basicsr.files.lmdb_folder import check_lmdb
from converse_basicsr.prepare.job import Job
from converse_basicsr.prepare.record import Record, parameter_difference, source_difference


def finished(job: Job) -> Record | None:
    """Return the record of a data set that is in its place and whole; None where there is nothing.

    Raises:
        UserError: If anything else is in the place of its results.
    """
    present = [name for name in job.parts if (job.output / name).exists()]
    if not job.record.exists():
        if present:
            raise UserError(
                f'{job.output / present[0]} exists and was not made by this command: choose another --output, '
                'or replace it with --overwrite'
            )
        return None
    record = Record.read(job.record)
    difference = _difference(record, job)
    if difference:
        raise UserError(
            f'{job.output} is already made, but {difference}: choose another --output, or replace it with --overwrite'
        )
    for name in job.parts:
        problems = [] if (job.output / name).exists() else ['does not exist']
        if name.endswith('.lmdb'):
            problems = check_lmdb(job.output / name)
        if problems:
            raise UserError(f'{job.output / name} was finished, but now {problems[0]}: make it again with --overwrite')
    return record


def can_publish(job: Job) -> bool:
    """Say whether the work is complete and only has to be moved to its place, because a kill interrupted the move."""
    return job.final_record.exists() and not _difference(Record.read(job.final_record), job)


def publish(job: Job) -> Record:
    """Move the members out of the work folder, the record last; a repeated call goes on where a kill stopped it."""
    record = Record.read(job.final_record)
    old = Record.read(job.record) if job.record.exists() else Record({})
    new = (*record.members, *record.files)
    for name in new:
        if (job.work / name).exists():
            remove(job.output / name)
            (job.output / name).parent.mkdir(parents=True, exist_ok=True)
            (job.work / name).replace(job.output / name)
    # An LMDB of an earlier, replaced data set does not match the new ground truth.
    for name in {*old.members, *old.files} - set(new):
        remove(job.output / name)
    job.final_record.replace(job.record)
    return record


def remove(path: Path) -> None:
    """Remove a file or a folder with all it holds, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _difference(record: Record, job: Job) -> str:
    """Say in words in what a finished data set differs from a job; empty where it does not."""
    return parameter_difference(record.parameters, job.parameters) or source_difference(record.sources, job.sources)
