"""One LMDB of clean images, for training whose noise or blur is made when an image is read."""

from pathlib import Path

from converse_basicsr import packages
from converse_basicsr.errors import UserError
from converse_basicsr.prepare.grid import check_step
from converse_basicsr.prepare.record import Prepared


def prepare_denoise(
    input: str | Path,
    output: str | Path,
    *,
    gray: bool = False,
    crop: int | None = None,
    step: int | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    skip_bad: bool = False,
) -> Prepared:
    """Store the clean images of a denoising set, whole unless ``crop`` is given, in ``OUTPUT/gt.lmdb``.

    Args:
        input: Folder of images; its sub-folders are not searched.
        output: Folder for the LMDB.
        gray: Store colour images as 8-bit luma (BT.601).
        crop: Side of a sub-image, pixels; whole images where None.
        step: Distance between sub-images, pixels; half of the crop where None.
        workers: Processes that read and encode; one per CPU where None.
        overwrite: Replace a finished result, and drop an unfinished one made with other parameters.
        skip_bad: Leave unusable images out instead of failing at the end.

    Returns:
        The complete data set; if it was there already, nothing was done.

    Raises:
        UserError: If the step does not fit the crop, images are missing or unusable, something else is in the way, or
            the disk is full.
        KeyboardInterrupt: After Ctrl-C; the work so far is kept, and the next call goes on.
    """
    return _prepare(
        'denoise', Path(input), Path(output), gray, crop, step, workers=workers, overwrite=overwrite, skip_bad=skip_bad
    )


def prepare_deblur(
    input: str | Path,
    output: str | Path,
    *,
    gray: bool = False,
    crop: int | None = 480,
    step: int | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    skip_bad: bool = False,
) -> Prepared:
    """Store the sharp images of a deblurring set, cut into sub-images, in ``OUTPUT/gt.lmdb``.

    Arguments, result and errors are those of :func:`prepare_denoise`; images smaller than the crop are left out.
    """
    return _prepare(
        'deblur', Path(input), Path(output), gray, crop, step, workers=workers, overwrite=overwrite, skip_bad=skip_bad
    )


def _prepare(
    command: str,
    input: Path,
    output: Path,
    gray: bool,
    crop: int | None,
    step: int | None,
    *,
    workers: int | None,
    overwrite: bool,
    skip_bad: bool,
) -> Prepared:
    """Store the images of a folder, or their sub-images; ``command`` is for the record of what was made."""
    grid = None
    if crop is not None:
        step = max(1, crop // 2) if step is None else step
        check_step(crop, step)
        grid = (crop, step)
    elif step is not None:
        raise UserError(f'--step {step} needs sub-images: give --crop PX, or leave --step out')
    packages.require('lmdb')

    from converse_basicsr.files.images import list_sources
    from converse_basicsr.prepare.job import Job
    from converse_basicsr.prepare.runner import run_job
    from converse_basicsr.prepare.tasks import ANY_PART, GROUND_TRUTH, GroundTruthTask

    sources, ignored = list_sources(input, lmdb_keys=True)
    job = Job(
        output=output,
        name='prepare',
        parameters={'command': command, 'gray': gray, 'crop': crop or 'whole', 'step': step},
        members=(GROUND_TRUTH,),
        tasks=[GroundTruthTask(source, gray, grid) for source in sources],
        ignored=ignored,
        replaces=ANY_PART,
    )
    return run_job(job, workers=workers, overwrite=overwrite, skip_bad=skip_bad)
