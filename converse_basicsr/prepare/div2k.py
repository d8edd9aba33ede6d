"""``basicsr prepare div2k``: training pairs from a downloaded DIV2K, under the names that the option files use."""

import argparse
from pathlib import Path

from converse_basicsr.errors import UserError
from converse_basicsr.prepare import sr
from converse_basicsr.prepare.arguments import add_grid, add_job_options, add_scale

SUMMARY = 'cut a downloaded DIV2K into training pairs, under the names that the option files use'

URL = 'https://data.vision.ee.ethz.ch/cvl/DIV2K/DIV2K_train_HR.zip'
NUM_IMAGES = 800

EXAMPLES = f"""\
examples:
  basicsr prepare div2k --root datasets/DIV2K
  basicsr prepare div2k --root datasets/DIV2K --scale 2 3 4

Download (about 3.3 GB; for academic research only, see https://data.vision.ee.ethz.ch/cvl/DIV2K/):
  {URL}
and unpack it in ROOT, which gives ROOT/DIV2K_train_HR/0001.png to 0800.png.

Writes ROOT/train_sub/gt.lmdb and ROOT/train_sub/lq_x4.lmdb: 32,592 pairs with the default crop and step, those of
BasicSR's own recipe.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr prepare div2k``."""
    parser.add_argument(
        '--root',
        type=Path,
        default=Path('datasets/DIV2K'),
        metavar='FOLDER',
        help='folder that holds DIV2K_train_HR (default: datasets/DIV2K)',
    )
    add_scale(parser)
    add_grid(parser)
    add_job_options(parser)


def run(args: argparse.Namespace) -> int:
    """Prepare DIV2K.

    Args:
        args: Parsed arguments.

    Returns:
        Exit status.

    Raises:
        UserError: If the images are missing or incomplete, or something else has to be put right by the user first.
    """
    folder = args.root / 'DIV2K_train_HR'
    check_images(folder)
    arguments = argparse.Namespace(**vars(args), input=folder, output=args.root / 'train_sub')
    return sr.run(arguments)


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
