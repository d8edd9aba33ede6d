"""``basicsr prepare div2k``: training pairs from a downloaded DIV2K, under the names that the option files use."""

import argparse
from pathlib import Path

from converse_basicsr.commands.arguments import add_grid, add_job_options, add_scale, job_options
from converse_basicsr.messages import say
from converse_basicsr.prepare.div2k import URL, prepare_div2k
from converse_basicsr.prepare.summary import summary

SUMMARY = 'cut a downloaded DIV2K into training pairs, under the names that the option files use'

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
    """Prepare DIV2K and print what was made."""
    prepared = prepare_div2k(args.root, scales=args.scale, crop=args.crop, step=args.step, **job_options(args))
    say(*summary(prepared))
    return 0
