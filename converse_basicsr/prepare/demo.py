"""``basicsr prepare demo``: a small data set from photographs that are installed already, for trying things out."""

import argparse
import hashlib
import importlib.util
from pathlib import Path

from converse_basicsr.errors import UserError
from converse_basicsr.prepare.arguments import add_job_options, add_scale, sorted_scales

SUMMARY = 'make a small training and validation set from the photographs bundled in scikit-image'

EXAMPLES = """\
examples:
  basicsr prepare demo
  basicsr prepare demo --output datasets/demo --scale 4

Needs no download. Writes OUTPUT/train/gt.lmdb and OUTPUT/train/lq_x4.lmdb, OUTPUT/val/GTmod4 and OUTPUT/val/LRbicx4,
and OUTPUT/SOURCES.txt with the origin and licence of each photograph.
"""

CROP, STEP = 240, 120

CREDITS = {
    'astronaut.png': 'Eileen Collins, NASA Great Images database; no known copyright restrictions, public domain',
    'brick.png': 'Brick wall, CC0Textures (Bricks25); CC0',
    'camera.png': 'Photographer with camera, by Lav Varshney; CC0',
    'chelsea.png': 'Chelsea the cat, by Stefan van der Walt; CC0',
    'coffee.png': 'Coffee cup, by Rachel Michetti, courtesy of Pikolo Espresso Bar; CC0',
    'grass.png': 'Grass, DeviantArt (linolafett, Grass-01); CC0',
    'gravel.png': 'Gravel, CC0Textures (Gravel04); CC0',
    'rocket.jpg': 'Launch of DSCOVR on Falcon 9, SpaceX Photos; public domain',
}
"""The photographs used, all shipped inside scikit-image, and what its documentation says of origin and licence.

Left out: those without a stated licence (the Middlebury motorcycles, the moon), and what teaches little about
photographs (microscopy, the retina, the deep field, scans, silhouettes).
"""

VALIDATION = ('chelsea.png', 'coffee.png')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr prepare demo``."""
    parser.add_argument(
        '--output',
        type=Path,
        default=Path('datasets/demo'),
        metavar='FOLDER',
        help='folder for the data set (default: datasets/demo)',
    )
    add_scale(parser)
    add_job_options(parser)


def run(args: argparse.Namespace) -> int:
    """Prepare the demonstration data set.

    Args:
        args: Parsed arguments.

    Returns:
        Exit status.

    Raises:
        UserError: If scikit-image lacks a photograph, or something else has to be put right by the user first.
    """
    folder = find_photographs()

    from converse_basicsr.prepare.images import Source
    from converse_basicsr.prepare.job import Job, run_job
    from converse_basicsr.prepare.tasks import PairTask, SubimageTask, Task, pair_members, subimage_members

    scales = sorted_scales(args)
    tasks: list[Task] = []
    for name in CREDITS:
        # By content: the same file has another time in every installation.
        source = Source(folder / name, Path(name).stem, hashlib.sha256((folder / name).read_bytes()).hexdigest())
        if name in VALIDATION:
            tasks.append(PairTask(source, scales, 'val/'))
        else:
            tasks.append(SubimageTask(source, scales, CROP, STEP, 'train/'))
    job = Job(
        output=args.output,
        name='prepare',
        parameters={'command': 'demo', 'scale': list(scales), 'crop': CROP, 'step': STEP},
        members=(
            *(f'train/{member}' for member in subimage_members(scales)),
            *(f'val/{member}' for scale in scales for member in pair_members(scale)),
        ),
        tasks=tasks,
        files={'SOURCES.txt': credits_text().encode('utf-8')},
    )
    return run_job(job, workers=args.workers, overwrite=args.overwrite, skip_bad=args.skip_bad)


def find_photographs() -> Path:
    """Find the folder of photographs inside the installed scikit-image, without importing it.

    Returns:
        The folder; every photograph is there.

    Raises:
        UserError: If scikit-image is missing or lacks one of them.
    """
    package = importlib.util.find_spec('skimage')
    if package is None or package.origin is None:
        raise UserError('scikit-image, which holds the photographs, is not installed: pip install scikit-image')
    folder = Path(package.origin).with_name('data')
    missing = [name for name in CREDITS if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f'the installed scikit-image lacks {", ".join(missing)} in {folder}: pip install --upgrade scikit-image'
        )
    return folder


def credits_text() -> str:
    """Write the text of ``SOURCES.txt``."""
    lines = ['Photographs bundled in scikit-image (https://scikit-image.org), with their origin and licence.', '']
    for name, credit in sorted(CREDITS.items()):
        lines.append(f'{name} ({"validation" if name in VALIDATION else "training"}): {credit}')
    return '\n'.join(lines) + '\n'
