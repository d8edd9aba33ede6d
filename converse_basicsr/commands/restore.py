"""``basicsr restore``: images in, restored images out, by a checkpoint alone."""

import argparse
import sys
from pathlib import Path

from converse_basicsr.commands.arguments import add_checkpoint, add_device, positive_int, read_kernel, read_overrides
from converse_basicsr.errors import UserError
from converse_basicsr.messages import printable, say, tell

SUMMARY = 'restore images with trained or released weights'
EXAMPLES = """\
Writes OUTPUT/NAME.png for every image, with the bit depth of the image (8 or 16), upright, with its alpha channel and
colour profile. The network is recognised by the checkpoint; large images are restored in tiles.

examples:
  basicsr restore photo.jpg --checkpoint converse_srresnet_x4 --output restored --compare
  basicsr restore photos --checkpoint experiments/mine/models/net_g_latest.pth --output restored --skip-existing
  basicsr restore blurred --checkpoint converse_usrnet --kernel kernel.npy --output restored
  basicsr restore photos -opt options/EDSR.yml --checkpoint net_g_latest.pth --output restored
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr restore``."""
    parser.add_argument('inputs', nargs='+', type=Path, metavar='INPUT', help='images, or folders of images')
    add_checkpoint(parser)
    parser.add_argument('--output', type=Path, required=True, metavar='FOLDER', help='where to write')
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument('--overwrite', action='store_true', help='replace results that exist (default: refuse)')
    existing.add_argument('--skip-existing', action='store_true', help='leave out images whose results exist')
    parser.add_argument(
        '--compare', action='store_true', help='also write pictures of input and result side by side, OUTPUT/compare'
    )
    parser.add_argument('--kernel', type=Path, metavar='FILE', help='blur kernel (.npy) for networks that take one')
    parser.add_argument(
        '--scale', type=positive_int, metavar='N', help='upscaling factor, for networks that accept any (default: 1)'
    )
    parser.add_argument(
        '--sigma',
        type=float,
        metavar='S',
        help='noise level, from 0 to 255, for networks that take one (default: 0)',
    )
    parser.add_argument(
        '--tile',
        type=positive_int,
        metavar='PX',
        help='side of a tile in input pixels (default: 752 for ConverseNet, else about 250, less for scales above 2)',
    )
    parser.add_argument(
        '--overlap',
        type=int,
        metavar='PX',
        help='input pixels that neighbouring tiles share (default: 96 for networks that deblur, else 32)',
    )
    parser.add_argument(
        '--border',
        type=int,
        metavar='PX',
        help='length of the strip that closes a tile to a torus before blur is reversed (default: 32 for networks that '
        'are given the kernel, else 0)',
    )
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Restore every image; those that cannot be are named at the end."""
    from converse_basicsr.restore.plan import carry_out, plan

    comparisons = args.output / 'compare' if args.compare else None
    jobs, notes = plan(
        args.inputs,
        args.output,
        overwrite=args.overwrite,
        skip_existing=args.skip_existing,
        comparisons=comparisons,
    )
    for note in notes:
        tell(note)
    if not jobs:
        say('nothing to do: every result exists')
        return 0

    from tqdm import tqdm

    from converse_basicsr.files.decoding import area
    from converse_basicsr.restore import Restorer
    from converse_basicsr.restore.checkpoint import load

    loaded = load(args.checkpoint, opt=args.opt, network_g=read_overrides(args.network_g))
    restorer = Restorer.from_loaded(
        loaded,
        kernel=None if args.kernel is None else read_kernel(args.kernel),
        scale=args.scale,
        sigma=args.sigma,
        tile=args.tile,
        overlap=args.overlap,
        border=args.border,
        device=args.device,
    )
    tell(loaded.describe())
    total = sum(map(area, jobs))
    with tqdm(total=total, unit='px', unit_scale=True, file=sys.stderr, disable=None) as bar:

        def show(source: Path, pixels: int) -> None:
            bar.set_postfix_str(printable(source.name), refresh=False)
            bar.update(pixels)

        bad = carry_out(
            jobs, restorer, overwrite=args.overwrite, comparisons=comparisons, caption=loaded.name, progress=show
        )
    say(f'{len(jobs) - len(bad)} of {len(jobs)} images restored in {args.output}')
    if bad:
        raise UserError(*bad)
    return 0
