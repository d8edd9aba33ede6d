"""What BasicSR needs at run time and this Python lacks; what is there is never replaced."""

import importlib.util
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from converse_basicsr.errors import UserError
from converse_basicsr.files import atomic
from converse_basicsr.installation import distributions
from converse_basicsr.installation.installer import Installer

STANDS_IN = {
    'opencv-python': ('opencv-python-headless', 'opencv-contrib-python', 'opencv-contrib-python-headless'),
    'tb-nightly': ('tensorboard',),
}
"""Distributions that supply the same package as one that BasicSR names; several would overwrite each other."""

INSTALLED_FOR = {'tb-nightly': 'tensorboard'}
"""What is installed where neither a requirement nor what stands in for it is there.

tb-nightly is a daily build that overwrites the release; its newest one (of October 2025) imports ``pkg_resources``,
which setuptools 82 and later lack.
"""

_PYTORCH_BUILDS = 'https://download.pytorch.org/whl'


def absent(requirements: Iterable[str], installed: Iterable[str]) -> list[str]:
    """Leave out the requirements that are there, in any version, or that something stands in for.

    Args:
        requirements: As distributions state them, such as ``numpy>=1.17``.
        installed: Names of the distributions that are installed.

    Returns:
        The others, for an installer.

    Example:
        >>> absent(['numpy>=1.17', 'opencv-python', 'tb-nightly', 'yapf'], {'numpy', 'opencv-python-headless'})
        ['tensorboard', 'yapf']
    """
    there = {distributions.normalised(name) for name in installed}
    lacking = []
    for requirement in requirements:
        match = re.match(r'[A-Za-z0-9._-]+', requirement)
        name = distributions.normalised(match[0]) if match else requirement
        if there.isdisjoint({name, *STANDS_IN.get(name, ())}):
            lacking.append(INSTALLED_FOR.get(name, requirement))
    return lacking


def require_torch() -> str:
    """Return the version of PyTorch that is installed.

    Raises:
        UserError: If there is none: which of its builds is right, its user knows.
    """
    if importlib.util.find_spec('torch') is None:
        raise UserError(
            f'PyTorch is not installed in this Python ({distributions.shown(sys.executable)}): install it first: '
            'pip install torch torchvision'
        )
    return distributions.version('torch')


def resolve(requirements: list[str], installer: Installer, work: Path) -> list[str]:
    """Let pip choose versions that suit everything that is installed.

    Args:
        requirements: What is absent.
        installer: pip.
        work: Folder for temporary files.

    Returns:
        What to install, as ``name==version``: the requirements, and what they need in their turn.

    Raises:
        UserError: If pip finds none.
    """
    constraints, report = work / 'constraints.txt', work / 'report.json'
    lines = [f'{name}=={version}\n' for name, version in distributions.installed().items()]
    atomic.write_text(constraints, ''.join(lines), durable=False)
    pinned = []
    for index, group in by_index(requirements):
        installer.run(
            *('install', '--dry-run', '--report', str(report), '--constraint', str(constraints), *index, *group),
            failure=_failure('found', index, group),
        )
        chosen = [item['metadata'] for item in json.loads(report.read_text(encoding='utf-8'))['install']]
        if index and not any(item['version'].endswith(_build_of_torch()) for item in chosen):
            raise UserError(
                f'{index[-1]} cannot be reached, or has no torchvision for PyTorch {distributions.version("torch")}: '
                f'install it first: pip install {" ".join(index)} torchvision'
            )
        pinned += [f'{item["name"]}=={item["version"]}' for item in chosen]
    return sorted(pinned)


def fetch(pinned: list[str], installer: Installer, folder: Path) -> None:
    """Fetch the wheels of distributions, as :func:`resolve` names them, into a folder.

    Raises:
        UserError: If one cannot be had.
    """
    for index, group in by_index(pinned):
        installer.run(
            *('wheel', '--no-deps', '--wheel-dir', str(folder), *index, *group),
            failure=_failure('fetched', index, group),
        )


def by_index(requirements: list[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Split off torchvision where PyTorch is a build such as ``2.8.0+cpu``, whose torchvision its own index has.

    The one of the usual index would be found, too, and would not work: it is made for another build.

    Yields:
        Options of pip that choose an index, and what to take from it.
    """
    build = _build_of_torch()
    split_off = [text for text in requirements if build and re.match(r'torchvision\b', text)]
    if split_off:
        yield ['--index-url', f'{_PYTORCH_BUILDS}/{build.removeprefix("+")}'], split_off
    if len(split_off) < len(requirements):
        yield [], [text for text in requirements if text not in split_off]


def _build_of_torch() -> str:
    """Return the label of a build that PyTorch offers on an index of its own, such as ``+cpu``; else nothing."""
    match = re.search(r'\+(cpu|xpu|(cu|rocm)[0-9.]+)$', distributions.version('torch'))
    return match[0] if match else ''


def _failure(what: str, index: list[str], requirements: list[str]) -> str:
    where = f' in {index[-1]}' if index else ''
    return f'what BasicSR needs and is absent ({", ".join(requirements)}) could not be {what}{where}'
