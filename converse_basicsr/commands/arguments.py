"""Arguments that several commands share; ``--help`` reads this module, so it imports nothing heavy."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from converse_basicsr.checkpoints.released import MODEL_ZOO, RELEASED
from converse_basicsr.errors import UserError

if TYPE_CHECKING:
    import numpy as np

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


def positive_int_or_whole(text: str) -> int | None:
    """Parse the side of a sub-image, or ``whole``, which gives None."""
    if text == 'whole':
        return None
    try:
        return positive_int(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f'must be whole or an integer of at least 1, got {text}') from None


def add_option_file(parser: argparse.ArgumentParser, help_text: str = 'option file (YAML)') -> None:
    """Add ``-opt``, a required option file."""
    parser.add_argument('-opt', required=True, metavar='FILE', help=help_text)


def add_force_yml(parser: argparse.ArgumentParser, help_text: str = 'override values of the option file') -> None:
    """Add ``--force_yml``, changes to option files."""
    parser.add_argument('--force_yml', nargs='+', default=[], metavar='SECTION:KEY=VALUE', help=help_text)


def add_input(parser: argparse.ArgumentParser) -> None:
    """Add ``--input``, a folder of images."""
    parser.add_argument(
        '--input', type=Path, required=True, metavar='FOLDER', help='folder of images; its sub-folders are not searched'
    )


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
    """Add ``--workers``, ``--overwrite`` and ``--skip-bad``, for commands that make data sets from images."""
    parser.add_argument(
        '--workers',
        type=positive_int,
        metavar='N',
        help='processes that read, resize and encode (default: one per CPU)',
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace a finished result, and drop an unfinished one made with other parameters',
    )
    parser.add_argument(
        '--skip-bad', action='store_true', help='leave unusable images out instead of stopping at the end'
    )


class JobOptions(TypedDict):
    """What :func:`add_job_options` adds, as arguments of the functions of :mod:`converse_basicsr.prepare`."""

    workers: int | None
    overwrite: bool
    skip_bad: bool


def job_options(args: argparse.Namespace) -> JobOptions:
    """Return what was given for the arguments of :func:`add_job_options`."""
    return {'workers': args.workers, 'overwrite': args.overwrite, 'skip_bad': args.skip_bad}


def add_clean_images(parser: argparse.ArgumentParser, *, crop: int | None) -> None:
    """Add the arguments of a command that stores clean images alone.

    Args:
        parser: Receives the arguments.
        crop: Default side of a sub-image in pixels; None for whole images.
    """
    add_input(parser)
    parser.add_argument(
        '--output', type=Path, required=True, metavar='FOLDER', help='folder for gt.lmdb, such as datasets/NAME'
    )
    parser.add_argument('--gray', action='store_true', help='store colour images as 8-bit luma (BT.601)')
    parser.add_argument(
        '--crop',
        type=positive_int_or_whole,
        default=crop,
        metavar='PX|whole',
        help=f'side of a sub-image, or whole for images as they are (default: {crop or "whole"})',
    )
    parser.add_argument(
        '--step', type=positive_int, metavar='PX', help='distance between sub-images (default: half of the crop)'
    )
    add_job_options(parser)


def add_checkpoint(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add ``--checkpoint``, ``-opt`` and ``--network_g``, which choose the weights and their network.

    Args:
        parser: Receives the arguments.
        several: Take any number of checkpoints, also none.
    """
    parser.add_argument(
        '--checkpoint',
        required=not several,
        nargs='+' if several else None,
        default=[] if several else None,
        metavar='FILE',
        help=f'weights, by file or by name in {MODEL_ZOO}/: {", ".join(RELEASED)}',
    )
    parser.add_argument(
        '-opt',
        metavar='FILE',
        help='option file whose network_g describes the network, for any network of BasicSR and its plugins '
        '(default: the network that the checkpoint states, else the one recognised by keys and shapes)',
    )
    parser.add_argument(
        '--network_g',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='arguments of the network that the checkpoint does not state, e.g. padding_mode=reflect',
    )


def add_device(parser: argparse.ArgumentParser, default: str | None = 'auto') -> None:
    """Add ``--device``, which :func:`converse_basicsr.devices.choose` reads; None for what option files say."""
    kinds = 'cpu, cuda, xpu, mps, cuda:N or xpu:N of several, or auto: the first there is of cuda, xpu, mps and cpu'
    parser.add_argument(
        '--device',
        default=default,
        metavar='NAME',
        help=f'{kinds} (default: {default or "num_gpu of the option file"})',
    )


def read_overrides(texts: Sequence[str]) -> dict[str, Any]:
    """Read the arguments of ``--network_g``; values are YAML.

    Raises:
        UserError: If a text is not of the form ``key=value``.
    """
    import yaml

    given = {}
    for text in texts:
        name, equals, value = text.partition('=')
        if not equals or not name:
            raise UserError(f'--network_g {text}: must look like key=value')
        try:
            given[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            reason = getattr(error, 'problem', None) or str(error).splitlines()[0]
            raise UserError(f'--network_g {text}: the value is no valid YAML: {reason}') from None
    return given


def read_kernel(path: Path) -> 'np.ndarray':
    """Read the file that ``--kernel`` names: a blur kernel (kh, kw), with sum 1.

    Raises:
        UserError: If the file is missing or holds none.
    """
    from converse_basicsr.files import kernel_files

    try:
        return kernel_files.read_kernel(path)
    except FileNotFoundError:
        raise UserError(f'--kernel {path} does not exist') from None
    except Exception as error:  # np.load raises several classes on what is no array
        raise UserError(f'--kernel {path} cannot be used: {error}') from error
