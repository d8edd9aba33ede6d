"""``basicsr inspect``: what the reverse convolutions of any network do."""

import argparse
from pathlib import Path

from converse_basicsr.commands.arguments import add_checkpoint, positive_int, read_kernel, read_overrides
from converse_basicsr.messages import say

SUMMARY = 'show lam, gains, reach and idle channels of the reverse convolutions in networks'
EXAMPLES = """\
Prints a table for each network, with a line for each of its reverse convolutions. --output also writes inspect.csv (a
line for each channel), inspect.md, gains.svg, lam.svg and sheets of kernels, filters and responses. Several checkpoints
of one training share the plots. docs/inspect.md says what the columns mean.

examples:
  basicsr inspect --checkpoint converse_dncnn_gray25 --output results/inspect
  basicsr inspect -opt options/small/denoise.yml
  basicsr inspect -opt a.yml --start --checkpoint experiments/a/models/net_g_{1000,latest}.pth --output results/a
  basicsr inspect --checkpoint converse_usrnet --kernel kernel.npy
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr inspect``."""
    add_checkpoint(parser, several=True)
    parser.add_argument(
        '--start', action='store_true', help='also show the network of -opt as its training starts, before checkpoints'
    )
    parser.add_argument('--kernel', type=Path, metavar='FILE', help='blur kernel (.npy) for networks that take one')
    parser.add_argument(
        '--scale', type=positive_int, metavar='N', help='upscaling factor, for networks that accept any (default: 1)'
    )
    parser.add_argument(
        '--grid',
        type=positive_int,
        default=40,
        metavar='N',
        help='side of the grid of samples on which filters are measured (default: 40)',
    )
    parser.add_argument('--output', type=Path, metavar='FOLDER', help='also write tables, plots and contact sheets')
    parser.add_argument(
        '--channels',
        type=positive_int,
        default=8,
        metavar='N',
        help='channels of each layer on a contact sheet, from the smallest rms gain to the largest (default: 8)',
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print, and write where that is asked for."""
    from converse_basicsr.inspection import inspector, tables

    if args.output is not None:
        inspector.require_place(args.output)
    inspected = inspector.inspect(
        args.checkpoint,
        opt=args.opt,
        start=args.start,
        network_g=read_overrides(args.network_g),
        kernel=None if args.kernel is None else read_kernel(args.kernel),
        scale=args.scale,
        grid=args.grid,
    )
    for number, one in enumerate(inspected):
        say(*([''] if number else []), one.title, '', *tables.terminal_lines(one.layers))
        if one.note:
            say('', one.note)
    if args.output is not None:
        written = inspector.write(inspected, args.output, grid=args.grid, channels=args.channels)
        say('', f'written: {", ".join(map(str, written))}')
    return 0
