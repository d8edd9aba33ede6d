"""``basicsr prepare sr``: training pairs for super-resolution from a folder of photographs."""

import argparse
from pathlib import Path

from converse_basicsr.prepare.arguments import add_grid, add_job_options, add_scale, check_grid, sorted_scales

SUMMARY = 'cut photographs into training pairs for super-resolution (LMDB)'

EXAMPLES = """\
examples:
  basicsr prepare sr --input photographs --output datasets/photographs
  basicsr prepare sr --input photographs --output datasets/photographs --scale 2 3 4 --crop 480 --step 240

Writes OUTPUT/gt.lmdb and, for each scale, OUTPUT/lq_x4.lmdb: 8-bit PNGs under equal keys, meta_info.txt beside them.
The low-resolution images are MATLAB-style bicubic, made from the whole photograph and then cut. Grey images stay grey,
16-bit ones become 8-bit, those smaller than the crop are left out; the report counts them all.

A killed run goes on when the command is repeated. A finished result is not touched without --overwrite; the same
command on the same images finds it complete and succeeds.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr prepare sr``."""
    parser.add_argument(
        '--input', type=Path, required=True, metavar='FOLDER', help='folder of images; its sub-folders are not searched'
    )
    parser.add_argument(
        '--output', type=Path, required=True, metavar='FOLDER', help='folder for the LMDBs, such as datasets/NAME'
    )
    add_scale(parser)
    add_grid(parser)
    add_job_options(parser)


def run(args: argparse.Namespace) -> int:
    """Prepare the training pairs.

    Args:
        args: Parsed arguments.

    Returns:
        Exit status.

    Raises:
        UserError: If something has to be put right by the user first.
    """
    check_grid(args)

    from converse_basicsr.prepare.images import list_sources
    from converse_basicsr.prepare.job import Job, run_job
    from converse_basicsr.prepare.tasks import SubimageTask, subimage_members

    scales = sorted_scales(args)
    sources, ignored = list_sources(args.input, lmdb_keys=True)
    job = Job(
        output=args.output,
        name='prepare',
        parameters={'command': 'sr', 'scale': list(scales), 'crop': args.crop, 'step': args.step},
        members=subimage_members(scales),
        tasks=[SubimageTask(source, scales, args.crop, args.step) for source in sources],
        ignored=ignored,
    )
    return run_job(job, workers=args.workers, overwrite=args.overwrite, skip_bad=args.skip_bad)
