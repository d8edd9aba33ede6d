"""One LMDB of clean images, for training whose noise or blur is made when an image is read."""

import argparse
from pathlib import Path

from converse_basicsr.errors import UserError
from converse_basicsr.prepare.arguments import add_job_options, check_step, positive_int


def crop_side(text: str) -> int | None:
    """Parse the side of a sub-image, or ``whole``, which gives None."""
    if text == 'whole':
        return None
    try:
        return positive_int(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f'must be whole or an integer of at least 1, got {text}') from None


def add_arguments(parser: argparse.ArgumentParser, *, crop: int | None) -> None:
    """Add the arguments of a command that stores clean images alone.

    Args:
        parser: Receives the arguments.
        crop: Default side of a sub-image in pixels; None for whole images.
    """
    parser.add_argument(
        '--input', type=Path, required=True, metavar='FOLDER', help='folder of images; its sub-folders are not searched'
    )
    parser.add_argument(
        '--output', type=Path, required=True, metavar='FOLDER', help='folder for gt.lmdb, such as datasets/NAME'
    )
    parser.add_argument('--gray', action='store_true', help='store colour images as 8-bit luma (BT.601)')
    parser.add_argument(
        '--crop',
        type=crop_side,
        default=crop,
        metavar='PX|whole',
        help=f'side of a sub-image, or whole for images as they are (default: {crop or "whole"})',
    )
    parser.add_argument(
        '--step', type=positive_int, metavar='PX', help='distance between sub-images (default: half of the crop)'
    )
    add_job_options(parser)


def prepare(args: argparse.Namespace, command: str) -> int:
    """Store the images of a folder, or their sub-images, in ``OUTPUT/gt.lmdb``.

    Args:
        args: What a parser filled by :func:`add_arguments` returned.
        command: Name of the command, for the record of what was made.

    Returns:
        Exit status.

    Raises:
        UserError: If something has to be put right by the user first.
    """
    step = args.step
    if args.crop is None:
        if step is not None:
            raise UserError(f'--step {step} needs sub-images: give --crop PX, or leave --step out')
    else:
        step = step or max(1, args.crop // 2)
        check_step(args.crop, step)

    from converse_basicsr.prepare.images import list_sources
    from converse_basicsr.prepare.job import Job, run_job
    from converse_basicsr.prepare.tasks import GROUND_TRUTH, GroundTruthTask

    sources, ignored = list_sources(args.input, lmdb_keys=True)
    job = Job(
        output=args.output,
        name='prepare',
        parameters={'command': command, 'gray': args.gray, 'crop': args.crop or 'whole', 'step': step},
        members=(GROUND_TRUTH,),
        tasks=[GroundTruthTask(source, args.gray, args.crop, step) for source in sources],
        ignored=ignored,
    )
    return run_job(job, workers=args.workers, overwrite=args.overwrite, skip_bad=args.skip_bad)
