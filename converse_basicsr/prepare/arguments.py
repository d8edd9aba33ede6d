"""Arguments that several preparation commands share, and the rules between them.

``--help`` reads this module, so it imports nothing heavy.
"""

import argparse

from converse_basicsr.errors import UserError

SCALES = (2, 3, 4, 8)

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def positive_int(text: str) -> int:
    """Parse an integer of at least 1 for argparse, whose error message names this rule."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f'must be an integer of at least 1, got {text}')
    return value


def add_scale(parser: argparse.ArgumentParser) -> None:
    """Add ``--scale``, which takes one factor or several."""
    parser.add_argument(
        '--scale',
        type=int,
        nargs='+',
        choices=SCALES,
        default=[4],
        help='downsampling factors, one or several (default: 4)',
    )


def add_grid(parser: argparse.ArgumentParser) -> None:
    """Add ``--crop`` and ``--step``, the grid of the sub-images."""
    parser.add_argument(
        '--crop', type=positive_int, default=480, metavar='PX', help='side of a sub-image (default: 480)'
    )
    parser.add_argument(
        '--step', type=positive_int, default=240, metavar='PX', help='distance between sub-images (default: 240)'
    )


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--workers``, ``--overwrite`` and ``--skip-bad``, which every command that makes a data set has."""
    parser.add_argument(
        '--workers',
        type=positive_int,
        metavar='N',
        help='processes that read, resize and encode (default: one for each CPU)',
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace a finished result, and drop an unfinished one made with other parameters',
    )
    parser.add_argument(
        '--skip-bad', action='store_true', help='leave unusable images out instead of stopping at the end'
    )


def sorted_scales(args: argparse.Namespace) -> tuple[int, ...]:
    """Return the scales in increasing order, each once."""
    return tuple(sorted(set(args.scale)))


def check_grid(args: argparse.Namespace) -> None:
    """Check that the grid of the sub-images falls on whole pixels of every downsampled image.

    Args:
        args: With ``scale``, ``crop`` and ``step``.

    Raises:
        UserError: If ``crop`` or ``step`` is no multiple of every scale, or the steps leave gaps between the crops.
    """
    for scale in sorted_scales(args):
        for name, value in (('--crop', args.crop), ('--step', args.step)):
            if value % scale:
                below = value - value % scale
                choices = ' or '.join(str(choice) for choice in (below, below + scale) if choice)
                raise UserError(f'{name} must be a multiple of --scale {scale}, got {value}: give {choices}')
    check_step(args.crop, args.step)


def check_step(crop: int, step: int) -> None:
    """Check that the sub-images leave no pixel out.

    Raises:
        UserError: If the steps leave gaps between the crops.
    """
    if step > crop:
        raise UserError(
            f'--step must be at most --crop {crop}, got {step}: a larger step leaves gaps between sub-images'
        )
