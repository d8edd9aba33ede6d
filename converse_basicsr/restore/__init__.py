"""``basicsr restore``: images in, restored images out, by a checkpoint alone."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from converse_basicsr import checkpoint
from converse_basicsr.errors import UserError
from converse_basicsr.prepare.arguments import positive_int

if TYPE_CHECKING:
    from converse_basicsr.restore.image_file import Picture

SUMMARY = 'restore images with trained or released weights'
EXAMPLES = """\
Writes OUTPUT/NAME.png for every image, as deep as the image was (8 or 16 bits), upright, with its alpha channel and
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
    checkpoint.add_arguments(parser)
    parser.add_argument('--output', type=Path, required=True, metavar='FOLDER', help='where to write')
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument('--overwrite', action='store_true', help='replace results that exist (default: refuse)')
    existing.add_argument('--skip-existing', action='store_true', help='leave out images whose results exist')
    parser.add_argument(
        '--compare', action='store_true', help='also write pictures of input and result side by side, OUTPUT/compare'
    )
    parser.add_argument('--kernel', type=Path, metavar='FILE', help='blur kernel (.npy) for networks that take one')
    parser.add_argument(
        '--scale', type=positive_int, metavar='N', help='enlargement for networks that leave the choice (default: 1)'
    )
    parser.add_argument(
        '--sigma',
        type=float,
        metavar='S',
        help='noise level, for values of 0 to 255, for networks that take one (default: 0)',
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
    parser.add_argument('--device', metavar='NAME', help='cpu, cuda or cuda:N (default: cuda where there is one)')


def run(args: argparse.Namespace) -> int:
    """Restore every image; those that cannot be are named at the end."""
    jobs = plan(args.inputs, args.output, overwrite=args.overwrite, skip_existing=args.skip_existing)
    if not jobs:
        print('nothing to do: every result exists')
        return 0

    from tqdm import tqdm

    from converse_basicsr.prepare.images import BadImage
    from converse_basicsr.restore import image_file
    from converse_basicsr.restore.conditions import build_restorer

    loaded = checkpoint.load(args.checkpoint, args.opt, args.network_g)
    restorer = build_restorer(loaded, args)
    print(loaded.describe(), file=sys.stderr)
    bad = []
    areas = {source: image_file.area(source) for source in jobs}
    with tqdm(total=sum(areas.values()), unit='px', unit_scale=True, file=sys.stderr, disable=None) as bar:
        for source, target in jobs.items():
            bar.set_postfix_str(source.name)
            try:
                picture = image_file.read(source)
                result = restorer(picture, bar.update)
            except BadImage as error:
                bad.append(f'{source} {error}')
                bar.update(areas[source])
                continue
            image_file.write(result, target)
            if args.compare:
                write_comparison(picture, result, loaded.name, args.output / 'compare' / target.name)
    print(f'{len(jobs) - len(bad)} of {len(jobs)} images restored in {args.output}')
    if bad:
        raise UserError('\n'.join(bad))
    return 0


def plan(inputs: Sequence[Path], output: Path, *, overwrite: bool, skip_existing: bool) -> dict[Path, Path]:
    """Say which file becomes which, before anything is computed.

    Args:
        inputs: Images, and folders whose images are meant (other files in them are named on standard error).
        output: Folder of the results.
        overwrite: Replace results that exist.
        skip_existing: Leave out images whose results exist.

    Returns:
        Image -> result, in the order given.

    Raises:
        UserError: If an input is no image, two images would have one result, a result would replace its input, or
            results exist and neither flag is given.
    """
    jobs: dict[Path, Path] = {}
    for source in _find(inputs):
        jobs[source] = output / f'{source.stem}.png'
    by_target: dict[str, list[Path]] = {}
    for source, target in jobs.items():
        # Folded case: some file systems do not tell upper from lower case.
        by_target.setdefault(target.name.casefold(), []).append(source)
    problems = [
        f'{", ".join(map(str, sources))} would all become {jobs[sources[0]]}: restore them into different folders'
        for sources in by_target.values()
        if len(sources) > 1
    ]
    files = {source.resolve() for source in jobs}
    problems += [
        f'{target} would replace an input: choose another --output'
        for target in jobs.values()
        if target.resolve() in files
    ]
    if not problems and skip_existing:
        jobs = {source: target for source, target in jobs.items() if not target.exists()}
    elif not problems and not overwrite:
        there = [target for target in jobs.values() if target.exists()]
        if there:
            more = f' and {len(there) - 1} more' if len(there) > 1 else ''
            problems = [f'{there[0]}{more} exist already: choose another --output, --skip-existing or --overwrite']
    if problems:
        raise UserError('\n'.join(problems))
    return jobs


def _find(inputs: Sequence[Path]) -> list[Path]:
    """The images among the inputs, each once."""
    from converse_basicsr.prepare.images import IMAGE_SUFFIXES, find_images

    found: list[Path] = []
    for path in inputs:
        if path.is_dir():
            images, others = find_images(path)
            found += images
            if others:
                print(f'{path}: left out {", ".join(others)}: no images by their names', file=sys.stderr)
        elif not path.exists():
            raise UserError(f'{path} does not exist: give an image or a folder of images')
        elif path.suffix.lower() not in IMAGE_SUFFIXES:
            raise UserError(f'{path} is no image by its name ({" ".join(sorted(IMAGE_SUFFIXES))})')
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def write_comparison(before: 'Picture', after: 'Picture', network: str, path: Path) -> None:
    """Write input and result side by side: the whole result, then a detail of each, without transparency."""
    import cv2

    from converse_basicsr import picture
    from converse_basicsr.restore import image_file

    shown = [image.pixels if image.peak == 255 else (image.pixels // 257).astype('uint8') for image in (before, after)]
    height, width = shown[1].shape[:2]
    enlarged = height != shown[0].shape[0]
    shown[0] = cv2.resize(shown[0], (width, height), interpolation=cv2.INTER_CUBIC).reshape(shown[1].shape)
    colours = [image[..., ::-1] if image.shape[2] == 3 else image[..., 0] for image in shown]
    captions = ('bicubic' if enlarged else 'input', network)
    panels = [(caption, image.copy()) for caption, image in zip(captions, colours)]
    comparison = picture.compare(panels)
    image_file.write(image_file.Picture(comparison[..., ::-1]), path)
