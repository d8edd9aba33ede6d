"""Ground truth and low-resolution folders for validation and test."""

from collections.abc import Sequence
from pathlib import Path

from converse_basicsr import packages
from converse_basicsr.prepare.grid import sorted_scales
from converse_basicsr.prepare.record import Prepared


def prepare_testset(
    input: str | Path,
    output: str | Path | None = None,
    *,
    scales: Sequence[int] = (4,),
    workers: int | None = None,
    overwrite: bool = False,
    skip_bad: bool = False,
) -> list[Prepared]:
    """Make a test set: for each scale ``OUTPUT/GTmod4``, cut to a multiple of the scale, and ``OUTPUT/LRbicx4``.

    The low-resolution images are MATLAB-style bicubic, 8 bits. Colour stays colour and grey stays grey.

    Args:
        input: Folder of images; its sub-folders are not searched.
        output: Folder for the two folders; the input folder where None.
        scales: Downsampling factors, at least 2; each is a data set of its own.
        workers: Processes that read, resize and encode; one per CPU where None.
        overwrite: Replace a finished result, and drop an unfinished one made with other parameters.
        skip_bad: Leave unusable images out instead of failing at the end.

    Returns:
        The complete data sets, by increasing scale; where one was there already, nothing was done.

    Raises:
        UserError: If BasicSR is not installed, images are missing or unusable, something else is in the way, or
            the disk is full.
        KeyboardInterrupt: After Ctrl-C; the work so far is kept, and the next call goes on.
    """
    scales = sorted_scales(scales)
    packages.require(packages.BASICSR, 'lmdb')

    from converse_basicsr.files.images import list_sources
    from converse_basicsr.prepare.job import Job
    from converse_basicsr.prepare.runner import run_job
    from converse_basicsr.prepare.tasks import PairTask, pair_members

    sources, others = list_sources(Path(input), lmdb_keys=False)
    made = []
    for scale in scales:
        job = Job(
            output=Path(input if output is None else output),
            name=f'prepare_x{scale}',
            parameters={'command': 'testset', 'scale': scale},
            members=pair_members(scale),
            tasks=[PairTask(source, (scale,)) for source in sources],
            ignored=[other for other in others if not other.startswith('prepare_x')],
        )
        made.append(run_job(job, workers=workers, overwrite=overwrite, skip_bad=skip_bad))
    return made
