"""``basicsr prepare weights``: fetch or copy the released weights and check them."""

import argparse
from pathlib import Path

from converse_basicsr.checkpoints.released import MODEL_ZOO, WEIGHTS
from converse_basicsr.messages import say
from converse_basicsr.prepare.weights import prepare_weights, require_known

SUMMARY = "get the weights released by the papers' authors, checked by SHA-256"
EXAMPLES = """\
examples:
  basicsr prepare weights
  basicsr prepare weights converse_srresnet.pth --output model_zoo
  basicsr prepare weights --input downloads/model_zoo

The weights carry no licence and are not part of this package. A download that broke off goes on where it stopped.
Without a network, download the files elsewhere and give their folder as --input.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr prepare weights``."""
    parser.add_argument('files', nargs='*', metavar='FILE', help=f'only these of: {", ".join(WEIGHTS)}')
    parser.add_argument('--output', type=Path, default=MODEL_ZOO, metavar='FOLDER', help=f'default: {MODEL_ZOO}')
    parser.add_argument('--input', type=Path, metavar='FOLDER', help='copy from this folder instead of downloading')


def run(args: argparse.Namespace) -> int:
    """Fetch each file that is missing, and print a line for each as soon as it is checked."""
    require_known(args.files)
    for name in args.files or WEIGHTS:
        for fetched in prepare_weights([name], args.output, input=args.input):
            size = f'{fetched.path.stat().st_size / 2**20:.1f} MiB' if fetched.is_new else 'there already'
            say(f'{fetched.path}: {size}, checked')
    return 0
