"""Where a data set is read from and written to: the one must not lie in what the other replaces."""

import os
from pathlib import Path

from converse_basicsr.errors import UserError
from converse_basicsr.files.inside import same_file
from converse_basicsr.prepare.job import Job


def check_places(job: Job) -> None:
    """Check that the output is a folder or absent, and that no image lies in a part of the data set.

    Raises:
        UserError: If it is not so, by whatever names and links the images are reached.
    """
    if os.path.lexists(job.output) and not job.output.is_dir():
        raise UserError(f'{job.output} is no folder: choose another --output')
    parts = [path for path in (job.work, *(job.output / name for name in job.parts)) if path.exists()]
    if not parts:
        return
    images = [task.source.path for task in job.tasks]
    # Most often one folder, which is resolved once.
    folders = {Path(os.path.realpath(folder)) for folder in {path.parent for path in images}}
    folders |= {Path(os.path.realpath(path)).parent for path in images if path.is_symlink()}
    for folder in sorted(folders):
        for part in parts:
            if any(same_file(place, part) for place in (folder, *folder.parents)):
                raise UserError(
                    f'{part} is written by this command, and images that it reads are in there: give the folder of '
                    'the original images as --input, or choose another --output'
                )
