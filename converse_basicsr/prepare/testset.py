"""``basicsr prepare testset``: ground truth and low-resolution folders for validation and test."""

import argparse
from pathlib import Path

from converse_basicsr.prepare.arguments import add_job_options, add_scale, sorted_scales

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
    parser.add_argument(
        '--input', type=Path, required=True, metavar='FOLDER', help='folder of images; its sub-folders are not searched'
    )
    parser.add_argument(
        '--output', type=Path, metavar='FOLDER', help='folder for the two folders (default: the input folder)'
    )
    add_scale(parser)
    add_job_options(parser)


def run(args: argparse.Namespace) -> int:
    """Prepare the test set, one scale after the other.

    Args:
        args: Parsed arguments.

    Returns:
        Exit status.

    Raises:
        UserError: If something has to be put right by the user first.
    """
    from converse_basicsr.prepare.images import list_sources
    from converse_basicsr.prepare.job import Job, run_job
    from converse_basicsr.prepare.tasks import PairTask, pair_members

    sources, others = list_sources(args.input, lmdb_keys=False)
    for scale in sorted_scales(args):
        name = f'prepare_x{scale}'
        job = Job(
            output=args.output or args.input,
            name=name,
            parameters={'command': 'testset', 'scale': scale},
            members=pair_members(scale),
            tasks=[PairTask(source, (scale,)) for source in sources],
            ignored=[other for other in others if not other.startswith('prepare_x')],
        )
        status = run_job(job, workers=args.workers, overwrite=args.overwrite, skip_bad=args.skip_bad)
        if status:
            return status
    return 0
