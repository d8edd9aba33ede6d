"""``basicsr prepare sr``: training pairs for super-resolution from a folder of photographs."""

import argparse
from pathlib import Path

from converse_basicsr.commands.arguments import add_grid, add_input, add_job_options, add_scale, job_options
from converse_basicsr.messages import say
from converse_basicsr.prepare.sr import prepare_sr
from converse_basicsr.prepare.summary import summary

SUMMARY = 'cut photographs into training pairs for super-resolution (LMDB)'

EXAMPLES = """\
examples:
  basicsr prepare sr --input photographs --output datasets/photographs
  basicsr prepare sr --input photographs --output datasets/photographs --scale 2 3 4 --crop 480 --step 240

Writes OUTPUT/gt.lmdb and, for each scale, OUTPUT/lq_x4.lmdb: 8-bit PNGs under equal keys, listed in meta_info.txt.
The low-resolution images are MATLAB-style bicubic, made from the whole photograph and then cut. Grey images stay grey,
16-bit ones become 8-bit, those smaller than the crop are left out; the report counts them all.

A killed run goes on when the command is repeated. A finished result is not touched without --overwrite; the same
command on the same images finds it complete and succeeds.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr prepare sr``."""
    add_input(parser)
    parser.add_argument(
        '--output', type=Path, required=True, metavar='FOLDER', help='folder for the LMDBs, such as datasets/NAME'
    )
    add_scale(parser)
    add_grid(parser)
    add_job_options(parser)


def run(args: argparse.Namespace) -> int:
    """Prepare the training pairs and print what was made."""
    prepared = prepare_sr(
        args.input, args.output, scales=args.scale, crop=args.crop, step=args.step, **job_options(args)
    )
    say(*summary(prepared))
    return 0
