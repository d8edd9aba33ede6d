"""``basicsr options``: list or copy the option files that come with this package."""

import argparse
from pathlib import Path

from converse_basicsr.messages import say
from converse_basicsr.options import library

SUMMARY = 'list the option files that come with this package, or copy them'
EXAMPLES = """\
examples:
  basicsr options
  basicsr options --copy options
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr options``."""
    parser.add_argument(
        '--copy', metavar='FOLDER', help='copy all option files there; files that exist are never changed'
    )


def run(args: argparse.Namespace) -> int:
    """Print the option files, each with its first comment line, or copy them."""
    if args.copy is None:
        files = dict(library.option_files())
        width = max(map(len, files), default=0)
        for name, path in files.items():
            say(f'{name:<{width}}  {library.title(path)}')
        say('', f'in {library.folder()}; `basicsr options --copy options` copies them')
        return 0
    target = Path(args.copy)
    say(f'{library.copy_to(target)} option files are in {target}')
    return 0
