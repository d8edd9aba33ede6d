"""Which distributions supply a package, and where it lies; nothing is imported for that."""

import importlib.util
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from converse_basicsr import packages

_VERSION = re.compile(r'(\d+!)?\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9]+([.][a-z0-9]+)*)?', re.I)
"""Versions by PEP 440, in their normal form; installers refuse to read others."""


@dataclass(frozen=True)
class Found:
    """A package that is installed, or at least on the module path.

    Attributes:
        package: Its name in ``import``.
        folder: Where it lies.
        distribution: What supplies it, such as ``basicsr`` or the name of a fork; empty where no metadata tell.
        version: The version of the distribution; empty where no metadata tell.
        is_editable: Whether the distribution leads to a clone.
    """

    package: str
    folder: Path
    distribution: str = ''
    version: str = ''
    is_editable: bool = False

    def __str__(self) -> str:
        name = f'{self.distribution} {self.version}' if self.distribution else f'{self.package} of unknown version'
        return f'{name} in {shown(self.folder)}{", editable" if self.is_editable else ""}'


def shown(path: Path | str) -> str:
    """Write a path for others to read: with ``~`` for the home folder, which often tells who one is.

    Example:
        >>> shown(Path.home())
        '~'
    """
    home, text = os.path.expanduser('~'), str(path)
    inside = home not in ('~', os.sep) and (text == home or text.startswith(home + os.sep))
    return f'~{text[len(home) :]}' if inside else text


def find(package: str) -> Found | None:
    """Find a package as ``import`` would.

    A folder without an ``__init__.py`` is none, and neither is one in the current folder that nobody installed.

    Args:
        package: Its name in ``import``.
    """
    if not packages.is_installed(package):
        return None
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    names = suppliers(package)
    if not names:
        is_beside = os.path.realpath(folder.parent) == os.path.realpath(os.getcwd())
        return None if is_beside else Found(package, folder)
    supplier = metadata.distribution(names[0])
    return Found(package, folder, names[0], supplier.version, _is_editable(supplier))


def suppliers(package: str) -> list[str]:
    """List the distributions that supply a package, sorted; several of them overwrite each other's files."""
    return sorted(set(metadata.packages_distributions().get(package, [])))


def version(distribution: str) -> str:
    """Return the version of an installed distribution; empty where there is none."""
    try:
        return metadata.version(distribution) or ''
    except Exception:  # damaged metadata raise several classes
        return ''


def installed() -> dict[str, str]:
    """Return the versions of all installed distributions whose metadata an installer can read, by normalised name."""
    return dict(sorted(dict(reversed([*_readable()])).items()))  # the first one is imported


def normalised(name: str) -> str:
    """Write the name of a distribution as package indexes do (PEP 503).

    Example:
        >>> normalised('Ruamel.YAML_clib')
        'ruamel-yaml-clib'
    """
    return re.sub(r'[-_.]+', '-', name).lower()


def _readable() -> Iterator[tuple[str, str]]:
    for found in metadata.distributions():
        try:
            name, its_version = found.metadata['Name'], found.version
        except Exception:  # damaged metadata raise several classes
            continue
        if isinstance(name, str) and re.fullmatch(r'[A-Za-z0-9._-]+', name) and _VERSION.fullmatch(its_version or ''):
            yield normalised(name), its_version


def _is_editable(supplier: metadata.Distribution) -> bool:
    """Tell a clone (PEP 610, or the older ``setup.py develop``) from a copy."""
    try:
        origin = json.loads(supplier.read_text('direct_url.json') or '{}')
    except ValueError:
        origin = {}
    is_clone = str(getattr(supplier, '_path', '')).endswith('.egg-info') and supplier.read_text('RECORD') is None
    develops = is_clone and supplier.read_text('installed-files.txt') is None
    return bool(origin.get('dir_info', {}).get('editable')) or develops
