"""The option files that come with this package."""

import importlib.resources
import shutil
from collections.abc import Iterator
from pathlib import Path

from converse_basicsr.errors import UserError


def folder() -> Path:
    """Return the folder of the option files: package data of a wheel, ``options/`` in a source checkout."""
    package = Path(str(importlib.resources.files('converse_basicsr')))
    checkout = package.resolve().parent
    return checkout / 'options' if (checkout / 'setup.py').is_file() else package / 'option_files'


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

    Returns:
        Their number.

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
    return len(pairs)
