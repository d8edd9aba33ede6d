"""``basicsr export``: a network as TorchScript, torch.export program or ONNX model, checked against torch."""

import argparse
from pathlib import Path

from converse_basicsr.commands.arguments import add_checkpoint, add_device, positive_int, read_kernel, read_overrides
from converse_basicsr.export import FORMATS, export_network
from converse_basicsr.export.exporter import require_possible
from converse_basicsr.messages import say, tell

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr export``."""
    add_checkpoint(parser)
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
    parser.add_argument(
        '--scale', type=positive_int, metavar='N', help='upscaling factor, for networks that accept any'
    )
    parser.add_argument(
        '--sigma', type=float, metavar='S', help='noise level, from 0 to 255, for networks that take one'
    )
    add_device(parser, default='cpu')


def run(args: argparse.Namespace) -> int:
    """Export, compare, print difference and timing."""
    require_possible(
        args.output,
        file_format=args.format,
        dynamic=args.dynamic,
        fold=args.fold,
        device=args.device,
        overwrite=args.overwrite,
        sources=[path for path in (args.checkpoint, args.opt, args.kernel) if path is not None],
    )

    from converse_basicsr.restore.checkpoint import load

    loaded = load(args.checkpoint, opt=args.opt, network_g=read_overrides(args.network_g))
    tell(loaded.describe())
    height, width = args.size
    exported = export_network(
        loaded,
        args.output,
        file_format=args.format,
        size=(height, width),
        dynamic=args.dynamic,
        fold=args.fold,
        kernel=None if args.kernel is None else read_kernel(args.kernel),
        scale=args.scale,
        sigma=args.sigma,
        device=args.device,
        overwrite=args.overwrite,
    )
    for (rows, columns), difference in exported.differences.items():
        say(f'{rows} x {columns}: largest difference to torch {difference:.1e}')
    ours, theirs = exported.torch_seconds, exported.exported_seconds
    say(f'{height} x {width}: torch {ours * 1e3:.0f} ms, exported {theirs * 1e3:.0f} ms')
    say(f'{exported.path}: {exported.num_bytes / 2**20:.1f} MiB')
    return 0
