"""``basicsr prepare demo``: a small data set from photographs that are installed already, for trying things out."""

import argparse
from pathlib import Path

from converse_basicsr.commands.arguments import add_job_options, add_scale, job_options
from converse_basicsr.messages import say
from converse_basicsr.prepare.demo import prepare_demo
from converse_basicsr.prepare.summary import summary

SUMMARY = 'make a small training and validation set from the photographs bundled in scikit-image'

EXAMPLES = """\
examples:
  basicsr prepare demo
  basicsr prepare demo --output datasets/demo --scale 4

Needs no download. Writes OUTPUT/train/gt.lmdb and OUTPUT/train/lq_x4.lmdb, OUTPUT/val/GTmod4 and OUTPUT/val/LRbicx4,
and OUTPUT/SOURCES.txt with the origin and licence of each photograph.
"""


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
    """Prepare the demonstration data set and print what was made."""
    say(*summary(prepare_demo(args.output, scales=args.scale, **job_options(args))))
    return 0
