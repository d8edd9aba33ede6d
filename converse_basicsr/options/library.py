"""The option files that come with this package."""

import os
from collections.abc import Iterator
from pathlib import Path

from converse_basicsr.errors import UserError
from converse_basicsr.files import atomic


def folder() -> Path:
    """Return the folder of the option files: package data of a wheel, ``options/`` in a source checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / 'option_files'
    return installed if installed.is_dir() else package.parent / 'options'


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
    contents = {target / name: path.read_bytes() for name, path in option_files()}
    there = [copy for copy in contents if os.path.lexists(copy)]
    changed = [str(copy) for copy in there if not copy.is_file() or copy.read_bytes() != contents[copy]]
    if changed:
        raise UserError(f'{", ".join(changed)} exist with other content; copy to another folder, or move them away')
    for copy in contents.keys() - set(there):
        copy.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(copy, contents[copy], durable=False, replace=False)
    return len(contents)
