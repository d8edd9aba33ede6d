"""``basicsr options``: the option files that come with this package."""

import argparse
import importlib.resources
import shutil
from collections.abc import Iterator
from pathlib import Path

from converse_basicsr.errors import UserError

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
        files = dict(option_files())
        width = max(map(len, files), default=0)
        for name, path in files.items():
            print(f'{name:<{width}}  {title(path)}')
        print(f'\nin {folder()}; `basicsr options --copy options` copies them')
        return 0
    return copy_to(Path(args.copy))


def folder() -> Path:
    """Return the folder of the option files: package data of a wheel, ``options/`` in a source checkout."""
    checkout = Path(__file__).resolve().parents[1] / 'options'
    if (checkout.parent / 'setup.py').is_file():
        return checkout
    return Path(str(importlib.resources.files('converse_basicsr.option_files')))


def option_files() -> Iterator[tuple[str, Path]]:
    """Yield the option files as (name relative to the folder, path), sorted."""
    root = folder()
    for path in sorted(root.rglob('*.yml')):
        yield path.relative_to(root).as_posix(), path


def title(path: Path) -> str:
    """Return the first comment line of an option file."""
    for line in path.read_text(encoding='utf-8').splitlines():
        if line.startswith('#'):
            return line.lstrip('# ')
    return ''


def copy_to(target: Path) -> int:
    """Copy the option files to ``target``, leaving existing files that differ alone.

    Raises:
        UserError: If a file of the same name and other content is there; nothing has been copied then.
    """
    pairs = [(path, target / name) for name, path in option_files()]
    changed = [str(copy) for path, copy in pairs if copy.exists() and copy.read_bytes() != path.read_bytes()]
    if changed:
        raise UserError(f'{", ".join(changed)} exist with other content; copy to another folder, or move them away')
    for path, copy in pairs:
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    print(f'{len(pairs)} option files are in {target}')
    return 0
