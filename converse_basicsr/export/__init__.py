"""``basicsr export``: a network as TorchScript, torch.export program or ONNX model, checked against torch."""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from converse_basicsr import checkpoint
from converse_basicsr.errors import UserError
from converse_basicsr.prepare.arguments import positive_int

if TYPE_CHECKING:
    import torch

SUMMARY = 'export trained or released weights to TorchScript, torch.export or ONNX'
EXAMPLES = """\
The file holds ordinary operators only, so it runs where this package is not installed: Fourier transforms for
TorchScript and torch.export, real matrix products for ONNX. What was written is read back and compared with torch.

examples:
  basicsr export --checkpoint converse_srresnet_x4 --format onnx --size 128 128 --output srresnet.onnx
  basicsr export --checkpoint converse_dncnn_gray25 --format onnx --dynamic --output dncnn.onnx
  basicsr export --checkpoint converse_dncnn_gray25 --format torchscript --size 256 256 --fold --output dncnn.pt
  basicsr export --checkpoint converse_usrnet --format torch.export --output usrnet.pt2
"""
FORMATS = {'onnx': '.onnx', 'torch.export': '.pt2', 'torchscript': '.pt'}
"""Format -> suffix of its files."""
TOLERANCE = 1e-4
"""Largest difference to torch, for values in [0, 1], with which an exported file is kept."""
REPEATS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr export``."""
    checkpoint.add_arguments(parser)
    parser.add_argument('--format', required=True, choices=FORMATS, help='what to write')
    parser.add_argument('--output', type=Path, required=True, metavar='FILE', help='file to write')
    parser.add_argument('--overwrite', action='store_true', help='replace the file if it exists (default: refuse)')
    parser.add_argument(
        '--size',
        type=positive_int,
        nargs=2,
        default=[128, 128],
        metavar=('H', 'W'),
        help='size of the input image (default: 128 128)',
    )
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument('--dynamic', action='store_true', help='leave height and width open; not for torchscript')
    sizes.add_argument(
        '--fold',
        action='store_true',
        help='store the filters of this size instead of making them from the kernels: a larger file, faster where the '
        'runtime does not fold constants itself',
    )
    parser.add_argument('--kernel', type=Path, metavar='FILE', help='a blur kernel (.npy) of the size to export for')
    parser.add_argument('--scale', type=positive_int, metavar='N', help='enlargement, for networks that leave it open')
    parser.add_argument('--sigma', type=float, metavar='S', help='noise level of 0 to 255, for networks that take one')


def run(args: argparse.Namespace) -> int:
    """Export, compare, print difference and timing."""
    if args.output.suffix != FORMATS[args.format]:
        raise UserError(f'--output must end in {FORMATS[args.format]} for {args.format}, got {args.output}')
    if args.output.exists() and not args.overwrite:
        raise UserError(f'{args.output} exists already: choose another --output or --overwrite')
    if args.dynamic and args.format == 'torchscript':
        raise UserError('--dynamic: tracing fixes the size; export to torch.export or onnx, or leave it out')
    if args.format == 'onnx':
        require_onnx()

    import torch

    from converse_basicsr.export import formats
    from converse_basicsr.export.network import image_network

    loaded = checkpoint.load(args.checkpoint, args.opt, args.network_g)
    net, example = image_network(loaded, args)
    print(loaded.describe(), file=sys.stderr)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.output.parent, prefix='.export_') as folder:
        partial = Path(folder) / args.output.name
        formats.write(net, example, args.format, partial, dynamic=args.dynamic, fold=args.fold)
        exported = formats.read(args.format, partial)
        sizes = [tuple(args.size)]
        if args.dynamic:
            sizes.append((args.size[0] + 13, args.size[1] + 7))  # odd where the first is even
        for height, width in sizes:
            inputs = (torch.rand(1, loaded.channels, height, width), *example[1:])
            try:
                difference = compare(net, exported, inputs)
            except Exception as error:  # a guard on sizes that torch.export has put in, or the runtime's own refusal
                reason = str(error).strip().splitlines()[0][:200]
                raise UserError(
                    f'the exported network fails at {height} x {width} ({reason}): {args.output} was not written; '
                    + ('leave --dynamic out' if args.dynamic else 'another --format may help')
                ) from error
            print(f'{height} x {width}: largest difference to torch {difference:.1e}')
            if not difference < TOLERANCE:
                raise UserError(
                    f'the exported network differs from torch by {difference:.1e} at {height} x {width}, more than '
                    f'{TOLERANCE:.0e}: {args.output} was not written'
                )
        ours, theirs = (median_seconds(lambda f=f: f(*example)) for f in (net, exported))
        os.replace(partial, args.output)
    print(f'{args.size[0]} x {args.size[1]}: torch {ours * 1e3:.0f} ms, exported {theirs * 1e3:.0f} ms')
    print(f'{args.output}: {args.output.stat().st_size / 2**20:.1f} MiB')
    return 0


def require_onnx() -> None:
    """Refuse what needs packages that are not there, before anything is computed.

    Raises:
        UserError: If one is absent.
    """
    import importlib.util

    absent = [name for name in ('onnx', 'onnxscript', 'onnxruntime') if importlib.util.find_spec(name) is None]
    if absent:
        raise UserError(f"--format onnx needs {', '.join(absent)}: pip install 'converse-basicsr[export]'")


def compare(
    net: Callable[..., 'torch.Tensor'], exported: Callable[..., 'torch.Tensor'], inputs: tuple['torch.Tensor', ...]
) -> float:
    """Largest absolute difference of two networks' outputs."""
    import torch

    with torch.no_grad():
        return float((exported(*inputs) - net(*inputs)).abs().max())


def median_seconds(call: Callable[[], object]) -> float:
    """Median time of a few calls, after one that is not counted."""
    import torch

    seconds = []
    with torch.no_grad():
        call()
        for _ in range(REPEATS):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
