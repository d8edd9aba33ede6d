"""``basicsr prepare testset``: ground truth and low-resolution folders for validation and test."""

import argparse
from pathlib import Path

from converse_basicsr.commands.arguments import add_input, add_job_options, add_scale, job_options
from converse_basicsr.messages import say
from converse_basicsr.prepare.summary import summary
from converse_basicsr.prepare.testset import prepare_testset

SUMMARY = 'make the ground truth and 8-bit low-resolution folders of a test set'

EXAMPLES = """\
examples:
  basicsr prepare testset --input downloads/Set5 --output datasets/Set5 --scale 4
  basicsr prepare testset --input datasets/Set5 --scale 2 3 4

Writes OUTPUT/GTmod4/NAME.png, cut at the right and bottom to a multiple of the scale, and OUTPUT/LRbicx4/NAME.png,
MATLAB-style bicubic, 8-bit: the folders for dataroot_gt and dataroot_lq of BasicSR's PairedImageDataset. Colour stays
colour and grey stays grey.

A finished result is not touched without --overwrite.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr prepare testset``."""
    add_input(parser)
    parser.add_argument(
        '--output', type=Path, metavar='FOLDER', help='folder for the two folders (default: the input folder)'
    )
    add_scale(parser)
    add_job_options(parser)


def run(args: argparse.Namespace) -> int:
    """Prepare the test set, one scale after the other, and print what was made for each."""
    for scale in sorted(set(args.scale)):
        for prepared in prepare_testset(args.input, args.output, scales=(scale,), **job_options(args)):
            say(*summary(prepared))
    return 0
