"""Training pairs for super-resolution from a folder of photographs."""

from collections.abc import Sequence
from pathlib import Path

from converse_basicsr import packages
from converse_basicsr.prepare.grid import check_grid, sorted_scales
from converse_basicsr.prepare.record import Prepared


def prepare_sr(
    input: str | Path,
    output: str | Path,
    *,
    scales: Sequence[int] = (4,),
    crop: int = 480,
    step: int = 240,
    workers: int | None = None,
    overwrite: bool = False,
    skip_bad: bool = False,
) -> Prepared:
    """Cut photographs into pairs of sub-images: ``OUTPUT/gt.lmdb`` and, for each scale, ``OUTPUT/lq_x4.lmdb``.

    The low-resolution images are MATLAB-style bicubic, 8 bits, made from the whole photograph and then cut.

    Args:
        input: Folder of images; its sub-folders are not searched.
        output: Folder for the LMDBs.
        scales: Downsampling factors, at least 2.
        crop: Side of a sub-image, pixels of the photograph; a multiple of every scale.
        step: Distance between sub-images, pixels of the photograph; a multiple of every scale.
        workers: Processes that read, resize and encode; one per CPU where None.
        overwrite: Replace a finished result, and drop an unfinished one made with other parameters.
        skip_bad: Leave unusable images out instead of failing at the end.

    Returns:
        The complete data set; if it was there already, nothing was done.

    Raises:
        UserError: If BasicSR is not installed, the grid does not fit the scales, images are missing or unusable,
            something else is in the way, or the disk is full.
        KeyboardInterrupt: After Ctrl-C; the work so far is kept, and the next call goes on.
    """
    scales = sorted_scales(scales)
    check_grid(scales, crop, step)
    packages.require(packages.BASICSR, 'lmdb')

    from converse_basicsr.files.images import list_sources
    from converse_basicsr.prepare.job import Job
    from converse_basicsr.prepare.runner import run_job
    from converse_basicsr.prepare.tasks import ANY_PART, SubimageTask, subimage_members

    sources, ignored = list_sources(Path(input), lmdb_keys=True)
    job = Job(
        output=Path(output),
        name='prepare',
        parameters={'command': 'sr', 'scale': list(scales), 'crop': crop, 'step': step},
        members=subimage_members(scales),
        tasks=[SubimageTask(source, scales, crop, step) for source in sources],
        ignored=ignored,
        replaces=ANY_PART,
    )
    return run_job(job, workers=workers, overwrite=overwrite, skip_bad=skip_bad)
