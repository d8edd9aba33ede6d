"""A small data set from photographs that are installed already, for trying things out."""

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from converse_basicsr import packages
from converse_basicsr.errors import UserError
from converse_basicsr.prepare.grid import check_grid, sorted_scales
from converse_basicsr.prepare.record import Prepared

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


def prepare_demo(
    output: str | Path = 'datasets/demo',
    *,
    scales: Sequence[int] = (4,),
    workers: int | None = None,
    overwrite: bool = False,
    skip_bad: bool = False,
) -> Prepared:
    """Make a small training and validation set from the photographs bundled in scikit-image.

    Args:
        output: Folder for ``train/gt.lmdb``, ``train/lq_x4.lmdb``, ``val/GTmod4``, ``val/LRbicx4`` and ``SOURCES.txt``.
        scales: Downsampling factors that divide 120, at least 2.
        workers: Processes that read, resize and encode; one per CPU where None.
        overwrite: Replace a finished result, and drop an unfinished one made with other parameters.
        skip_bad: Leave unusable images out instead of failing at the end.

    Returns:
        The complete data set; if it was there already, nothing was done.

    Raises:
        UserError: If BasicSR, scikit-image or a photograph of it is missing, the grid does not fit the scales,
            something else is in the way, or the disk is full.
        KeyboardInterrupt: After Ctrl-C; the work so far is kept, and the next call goes on.
    """
    scales = sorted_scales(scales)
    check_grid(scales, CROP, STEP)
    packages.require(packages.BASICSR, 'lmdb')
    folder = find_photographs()

    from converse_basicsr.files.images import Source
    from converse_basicsr.prepare.job import Job
    from converse_basicsr.prepare.runner import run_job
    from converse_basicsr.prepare.tasks import ANY_PART, PairTask, SubimageTask, Task, pair_members, subimage_members

    tasks: list[Task] = []
    for name in CREDITS:
        # By content: the same file has another time in every installation.
        source = Source(folder / name, Path(name).stem, hashlib.sha256((folder / name).read_bytes()).hexdigest())
        if name in VALIDATION:
            tasks.append(PairTask(source, scales, 'val/'))
        else:
            tasks.append(SubimageTask(source, scales, CROP, STEP, 'train/'))
    job = Job(
        output=Path(output),
        name='prepare',
        parameters={'command': 'demo', 'scale': list(scales), 'crop': CROP, 'step': STEP},
        members=(
            *(f'train/{member}' for member in subimage_members(scales)),
            *(f'val/{member}' for scale in scales for member in pair_members(scale)),
        ),
        tasks=tasks,
        files={'SOURCES.txt': credits_text().encode('utf-8')},
        replaces=ANY_PART,
    )
    return run_job(job, workers=workers, overwrite=overwrite, skip_bad=skip_bad)


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
