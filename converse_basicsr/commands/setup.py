"""``basicsr setup``: BasicSR installed into this Python."""

import argparse
from pathlib import Path

from converse_basicsr.messages import say

SUMMARY = 'install BasicSR, which training needs, into this Python'
EXAMPLES = """\
A BasicSR that is there, of whatever kind, is used as it is. Else its wheel is built in a temporary folder, which works
on Python 3.13 and later too and downloads no second PyTorch. Then the wheel is installed, and what it needs and is
absent; nothing that is installed is replaced. --from takes a wheel, a source package or a clone, for machines that do
not reach the package index.

examples:
  basicsr setup
  basicsr setup --dry-run
  basicsr setup --wheel wheels
  basicsr setup --from wheels/basicsr-1.4.2-py3-none-any.whl
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr setup``."""
    parser.add_argument(
        '--from',
        dest='source',
        type=Path,
        metavar='FILE',
        help='wheel, source package (.tar.gz, .zip) or folder of sources (default: BasicSR of the package index)',
    )
    parser.add_argument(
        '--wheel', type=Path, metavar='FOLDER', help='also put the wheel there, to install it on other machines'
    )
    parser.add_argument('--dry-run', action='store_true', help='do all but the installation, and say what it would be')


def run(args: argparse.Namespace) -> int:
    """Install it and say what was installed."""
    from converse_basicsr.installation.set_up import set_up

    say(*set_up(source=args.source, keep=args.wheel, dry_run=args.dry_run))
    return 0
