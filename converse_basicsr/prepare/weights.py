"""``basicsr prepare weights``: fetch or copy the released weights and check them."""

import argparse
import hashlib
import os
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path

from converse_basicsr.errors import UserError
from converse_basicsr.published import WEIGHTS, Weights

SUMMARY = "get the weights released by the papers' authors, checked by SHA-256"
EXAMPLES = """\
examples:
  basicsr prepare weights
  basicsr prepare weights converse_srresnet.pth --output model_zoo
  basicsr prepare weights --input downloads/model_zoo

The weights carry no licence and are not part of this package. A download that broke off goes on where it stopped.
Without a network, download the files elsewhere and give their folder as --input.
"""
CHUNK = 2**16
TIMEOUT = 30  # seconds without an answer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr prepare weights``."""
    parser.add_argument('files', nargs='*', metavar='FILE', help=f'only these of: {", ".join(WEIGHTS)}')
    parser.add_argument('--output', type=Path, default=Path('model_zoo'), metavar='FOLDER', help='default: model_zoo')
    parser.add_argument('--input', type=Path, metavar='FOLDER', help='copy from this folder instead of downloading')


def run(args: argparse.Namespace) -> int:
    """Bring each file, unless it is there already.

    Raises:
        UserError: If a file is unknown, cannot be had, or is not the released one.
    """
    unknown = sorted(set(args.files) - set(WEIGHTS))
    if unknown:
        raise UserError(f'{", ".join(unknown)}: no such released weights; known: {", ".join(WEIGHTS)}')
    args.output.mkdir(parents=True, exist_ok=True)
    for name in args.files or WEIGHTS:
        target = args.output / name
        if target.exists():
            check(target, WEIGHTS[name])
            print(f'{target}: there already, checked')
            continue
        partial = target.with_name(f'{name}.part')
        if args.input is None:
            download(WEIGHTS[name], partial)
        else:
            source = args.input / name
            if not source.is_file():
                raise UserError(f'{source} does not exist; it is offered at {WEIGHTS[name].url}')
            shutil.copyfile(source, partial)
        try:
            check(partial, WEIGHTS[name])
        except UserError:
            partial.unlink()
            raise
        os.replace(partial, target)
        print(f'{target}: {target.stat().st_size / 2**20:.1f} MiB, checked')
    return 0


def check(path: Path, weights: Weights) -> None:
    """Compare a file's digest with the released one's.

    Raises:
        UserError: If they differ.
    """
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != weights.sha256:
        raise UserError(
            f'{path} is not the released {weights.file} (SHA-256 {digest[:12]}..., expected {weights.sha256[:12]}...); '
            'delete it and repeat the command'
        )


def download(weights: Weights, partial: Path) -> None:
    """Download a file to ``partial``, going on with what is there.

    Raises:
        UserError: If the server cannot be reached or breaks off.
    """
    from tqdm import tqdm

    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(weights.url, headers={'Range': f'bytes={have}-'} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            resumed = answer.status == 206  # partial content; else the server sends the whole file
            have = have if resumed else 0
            total = int(answer.headers.get('Content-Length', 0)) + have or None
            with (
                open(partial, 'ab' if resumed else 'wb') as file,
                tqdm(desc=weights.file, total=total, initial=have, unit='B', unit_scale=True, file=sys.stderr) as bar,
            ):
                while chunk := answer.read(CHUNK):
                    file.write(chunk)
                    bar.update(len(chunk))
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, 'reason', error)
        raise UserError(
            f'{weights.url} cannot be downloaded ({reason}); repeat the command to go on, or download it elsewhere and '
            'give its folder as --input'
        ) from None
