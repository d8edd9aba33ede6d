"""``basicsr prepare kernels``: a bank of blur kernels that training or validation takes instead of fresh ones."""

import argparse
from pathlib import Path

from converse_basicsr.commands.arguments import positive_int
from converse_basicsr.data.kernel_kinds import SYNTHETIC_KINDS
from converse_basicsr.messages import say
from converse_basicsr.prepare.kernel_bank import prepare_kernel_bank
from converse_basicsr.prepare.summary import summary

SUMMARY = 'draw a bank of blur kernels and a picture of it'

EXAMPLES = """\
examples:
  basicsr prepare kernels
  basicsr prepare kernels --output datasets/motion_25 --number 32 --size 25 --kinds motion --seed 7

Writes OUTPUT/kernel_1.npy and so on (float64, sum 1) and OUTPUT/kernels.png, each kernel scaled to its largest
value. BlurDataset draws fresh kernels of the same kinds for every training sample; a bank is for validation, and for
training on a fixed choice:

  kernels: [datasets/random_kernels/kernel_1.npy]   # validation: one
  kernels: [datasets/random_kernels]                # training: one of the bank per sample

The same seed gives the same kernels. A finished bank is not touched without --overwrite.
"""


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
    parser.add_argument('--number', type=positive_int, default=8, metavar='N', help='number of kernels (default: 8)')
    parser.add_argument('--size', type=odd_size, default=7, metavar='PX', help='side of a kernel, odd (default: 7)')
    parser.add_argument(
        '--kinds',
        nargs='+',
        choices=SYNTHETIC_KINDS,
        default=list(SYNTHETIC_KINDS),
        help='kinds of kernel, drawn with equal probability (default: both)',
    )
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='seed of the draws (default: 0)')
    parser.add_argument('--overwrite', action='store_true', help='replace a finished bank')


def run(args: argparse.Namespace) -> int:
    """Draw the kernels and print what was made."""
    prepared = prepare_kernel_bank(
        args.output, number=args.number, size=args.size, kinds=args.kinds, seed=args.seed, overwrite=args.overwrite
    )
    say(*summary(prepared))
    return 0
