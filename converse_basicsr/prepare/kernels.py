"""``basicsr prepare kernels``: a bank of blur kernels that training or validation takes instead of fresh ones."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from converse_basicsr.prepare.arguments import positive_int

if TYPE_CHECKING:
    import numpy as np

SUMMARY = 'draw a bank of blur kernels and a picture of it'

EXAMPLES = """\
examples:
  basicsr prepare kernels
  basicsr prepare kernels --output datasets/motion_25 --number 32 --size 25 --kinds motion --seed 7

Writes OUTPUT/kernel_1.npy and so on (float64, sum 1) and OUTPUT/kernels.png, each kernel as bright as its largest value
allows. BlurDataset draws fresh kernels of the same kinds for every training sample; a bank is for validation, and for
training on a fixed choice:

  kernels: [datasets/random_kernels/kernel_1.npy]   # validation: one
  kernels: [datasets/random_kernels]                # training: one of the bank a sample

The same seed gives the same kernels. A finished bank is not touched without --overwrite.
"""

KINDS = ('gaussian', 'motion')
CELL, MARGIN, COLUMNS = 72, 6, 8


def odd_size(text: str) -> int:
    """Parse an odd number of at least 3 for argparse, whose error message names this rule."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 3 or value % 2 == 0:
        raise argparse.ArgumentTypeError(f'must be an odd number of at least 3, got {text}')
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr prepare kernels``."""
    parser.add_argument(
        '--output',
        type=Path,
        default=Path('datasets/random_kernels'),
        metavar='FOLDER',
        help='folder for the kernels (default: datasets/random_kernels)',
    )
    parser.add_argument('--number', type=positive_int, default=8, metavar='N', help='how many (default: 8)')
    parser.add_argument('--size', type=odd_size, default=7, metavar='PX', help='side of a kernel, odd (default: 7)')
    parser.add_argument('--kinds', nargs='+', choices=KINDS, default=list(KINDS), help='each as likely (default: both)')
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='of the draws (default: 0)')
    parser.add_argument('--overwrite', action='store_true', help='replace a finished bank')


def run(args: argparse.Namespace) -> int:
    """Draw the kernels.

    Args:
        args: Parsed arguments.

    Returns:
        Exit status.

    Raises:
        UserError: If the output folder holds another bank, or something else has to be put right by the user first.
    """
    import io

    import numpy as np

    from converse_basicsr import compat
    from converse_basicsr.prepare.images import encode_png
    from converse_basicsr.prepare.job import Job, run_job

    compat.apply()
    from converse_basicsr.data.blur_kernels import random_kernel

    kinds = sorted(set(args.kinds))
    rng = np.random.default_rng(args.seed % 2**64)
    kernels = [random_kernel(rng, args.size, kinds) for _ in range(args.number)]
    files = {}
    for number, kernel in enumerate(kernels, start=1):
        content = io.BytesIO()
        np.save(content, kernel)
        files[f'kernel_{number:0{len(str(args.number))}d}.npy'] = content.getvalue()
    files['kernels.png'] = encode_png(contact_sheet(kernels))
    job = Job(
        output=args.output,
        name='kernels',
        parameters={'number': args.number, 'size': args.size, 'kinds': kinds, 'seed': args.seed},
        members=(),
        tasks=[],
        files=files,
    )
    return run_job(job, workers=1, overwrite=args.overwrite, skip_bad=False)


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
