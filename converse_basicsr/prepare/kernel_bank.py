"""A bank of blur kernels that training or validation takes instead of fresh ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from converse_basicsr import packages
from converse_basicsr.data.kernel_kinds import SYNTHETIC_KINDS
from converse_basicsr.prepare.record import Prepared

if TYPE_CHECKING:
    import numpy as np

CELL, MARGIN, COLUMNS = 72, 6, 8
"""Layout of the picture: smallest side of a kernel and margin in pixels, kernels per row."""


def prepare_kernel_bank(
    output: str | Path = 'datasets/random_kernels',
    *,
    number: int = 8,
    size: int = 7,
    kinds: Sequence[str] = SYNTHETIC_KINDS,
    seed: int = 0,
    overwrite: bool = False,
) -> Prepared:
    """Draw blur kernels: ``OUTPUT/kernel_1.npy`` and so on (float64, sum 1), and a picture ``OUTPUT/kernels.png``.

    Args:
        output: Folder for the kernels.
        number: Number of kernels.
        size: Side of a kernel in pixels, odd and at least 3.
        kinds: Some of ``gaussian`` and ``motion``, drawn with equal probability.
        seed: The same seed gives the same kernels.
        overwrite: Replace a finished bank.

    Returns:
        The complete bank; if it was there already, nothing was done.

    Raises:
        ValueError: If ``number`` or ``size`` is out of range, or a kind is unknown.
        UserError: If the output folder holds another bank, something else is in the way, or the disk is full.
    """
    if number < 1:
        raise ValueError(f'number must be at least 1, got {number}')
    packages.require(packages.BASICSR, 'lmdb', 'scipy')

    import io

    import numpy as np

    from converse_basicsr import compat
    from converse_basicsr.files.images import encode_png
    from converse_basicsr.prepare.job import Job
    from converse_basicsr.prepare.runner import run_job

    compat.apply()
    from converse_basicsr.data.blur_kernels import random_kernel

    kinds = sorted(set(kinds))
    rng = np.random.default_rng(seed % 2**64)
    kernels = [random_kernel(rng, size, kinds) for _ in range(number)]
    files = {}
    for index, kernel in enumerate(kernels, start=1):
        content = io.BytesIO()
        np.save(content, kernel)
        files[f'kernel_{index:0{len(str(number))}d}.npy'] = content.getvalue()
    files['kernels.png'] = encode_png(contact_sheet(kernels))
    job = Job(
        output=Path(output),
        name='kernels',
        parameters={'number': number, 'size': size, 'kinds': kinds, 'seed': seed},
        members=(),
        tasks=[],
        files=files,
        replaces=r'kernel_\d+\.npy|kernels\.png',
    )
    return run_job(job, workers=1, overwrite=overwrite, skip_bad=False)


def contact_sheet(kernels: list['np.ndarray']) -> 'np.ndarray':
    """Draw kernels side by side, row after row, each scaled to its largest value.

    Args:
        kernels: Non-negative, all of one size (size, size).

    Returns:
        The picture, uint8, grey.
    """
    import numpy as np

    zoom = -(-CELL // len(kernels[0]))
    side = zoom * len(kernels[0])
    columns = min(COLUMNS, len(kernels))
    rows = -(-len(kernels) // columns)
    sheet = np.full([count * (side + MARGIN) + MARGIN for count in (rows, columns)], 255, np.uint8)
    for index, kernel in enumerate(kernels):
        top, left = (place * (side + MARGIN) + MARGIN for place in divmod(index, columns))
        shown = np.rint(kernel / kernel.max() * 255).astype(np.uint8)
        sheet[top : top + side, left : left + side] = shown.repeat(zoom, 0).repeat(zoom, 1)
    return sheet
