"""Training pairs from a downloaded DIV2K, under the names that the option files use."""

from collections.abc import Sequence
from pathlib import Path

from converse_basicsr.errors import UserError
from converse_basicsr.prepare.record import Prepared
from converse_basicsr.prepare.sr import prepare_sr

URL = 'https://data.vision.ee.ethz.ch/cvl/DIV2K/DIV2K_train_HR.zip'
NUM_IMAGES = 800


def prepare_div2k(
    root: str | Path = 'datasets/DIV2K',
    *,
    scales: Sequence[int] = (4,),
    crop: int = 480,
    step: int = 240,
    workers: int | None = None,
    overwrite: bool = False,
    skip_bad: bool = False,
) -> Prepared:
    """Cut ``ROOT/DIV2K_train_HR`` into ``ROOT/train_sub/gt.lmdb`` and ``lq_x4.lmdb``.

    Args:
        root: Folder that holds ``DIV2K_train_HR``.
        scales: Downsampling factors, at least 2.
        crop: Side of a sub-image, pixels of the photograph.
        step: Distance between sub-images, pixels of the photograph.
        workers: Processes that read, resize and encode; one per CPU where None.
        overwrite: Replace a finished result, and drop an unfinished one made with other parameters.
        skip_bad: Leave unusable images out instead of failing at the end.

    Returns:
        The complete data set: with the default crop and step 32,592 pairs.

    Raises:
        UserError: If the images are missing or incomplete, or for the reasons of ``prepare_sr``.
        KeyboardInterrupt: After Ctrl-C; the work so far is kept, and the next call goes on.
    """
    folder = Path(root) / 'DIV2K_train_HR'
    check_images(folder)
    return prepare_sr(
        folder,
        Path(root) / 'train_sub',
        scales=scales,
        crop=crop,
        step=step,
        workers=workers,
        overwrite=overwrite,
        skip_bad=skip_bad,
    )


def check_images(folder: Path) -> None:
    """Check that the training images of DIV2K are all there, and nothing else is.

    Args:
        folder: Their folder.

    Raises:
        UserError: If any is missing or there are others.
    """
    if not folder.is_dir():
        raise UserError(
            f'{folder} does not exist: download {URL} (about 3.3 GB) and unpack it in {folder.parent}, '
            'or say with --root where DIV2K_train_HR lies'
        )
    expected = {f'{number:04d}.png' for number in range(1, NUM_IMAGES + 1)}
    present = {entry.name for entry in folder.iterdir() if entry.suffix.lower() == '.png' and entry.name[0] != '.'}
    if present == expected:
        return
    missing, others = sorted(expected - present), sorted(present - expected)
    found = [f'{len(missing)} of {NUM_IMAGES} images are missing, the first is {missing[0]}'] if missing else []
    found += [f'{len(others)} do not belong to it, the first is {others[0]}'] if others else []
    raise UserError(
        f'{folder} is not the training set of DIV2K: {" and ".join(found)}; unpack {URL} there, '
        'or use basicsr prepare sr for a choice of images'
    )
