"""Combinations of distributions that are known not to work, or to do harm."""

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata

from converse_basicsr.installation import distributions
from converse_basicsr.installation.needs import DISTRIBUTIONS

OLDEST_TORCH = (2, 4)

_ALIKE = {
    'cv2': 'pip uninstall all of them, then install one again',
    'mmcv': 'pip uninstall both, then install the one you want',
    'tensorboard': 'pip uninstall tb-nightly tensorboard, then pip install tensorboard',
    'basicsr': 'pip uninstall all of them, then install one again, or run: basicsr setup',
}
"""Packages that several distributions supply, whose files overwrite each other, and what to do."""

_REMEDIES = (
    ('', r'lib(GL|gthread|SM|Xext)\b', 'pip uninstall opencv-python, then pip install opencv-python-headless'),
    ('', r'Numpy is not available|compiled using NumPy 1', "it is older than NumPy 2: pip install 'numpy<2'"),
    ('', r'torchvision::nms', 'torch and torchvision do not fit: pip install -U torch torchvision'),
    ('torch', r'\.so|\.dll|undefined symbol', 'pip install --force-reinstall torch torchvision'),
)
"""Which package (any where empty) fails how when it is imported, and what to do."""


def remedy_of_import(package: str, error: str) -> str:
    """Say what to do about an error of an import.

    Args:
        package: Whose import failed.
        error: The error, in one line.

    Example:
        >>> remedy_of_import('basicsr', "ModuleNotFoundError: No module named 'skimage'")
        'pip install scikit-image'
    """
    for name, pattern, remedy in _REMEDIES:
        if name in ('', package) and re.search(pattern, error):
            return remedy
    missing = re.search(r"ModuleNotFoundError: No module named '(\w+)", error)
    if missing and missing[1] != package:
        return f'pip install {DISTRIBUTIONS.get(missing[1], missing[1])}'
    names = distributions.suppliers(package) or [DISTRIBUTIONS.get(package, package)]
    return f'pip install --force-reinstall --no-deps {names[0]}'


def faults() -> list[str]:
    """List what does not work together."""
    return [*_old_torch(distributions.version('torch')), *_unfit_torchvision()]


def notes(suppliers: Mapping[str, Sequence[str]]) -> list[str]:
    """List what was installed over each other.

    Args:
        suppliers: Names of distributions, by the package they supply.
    """
    several = {package: sorted({*suppliers.get(package, ())}) for package in _ALIKE}
    return [
        f'{" and ".join(names)} are all installed, and overwrite each other in {package}: {_ALIKE[package]}'
        for package, names in several.items()
        if len(names) > 1
    ]


def _old_torch(version: str) -> Iterator[str]:
    numbers = tuple(int(number) for number in re.findall(r'\d+', version)[:2])
    if numbers and numbers < OLDEST_TORCH:
        oldest = '.'.join(map(str, OLDEST_TORCH))
        yield f'torch {version} is older than {oldest}: pip install -U torch torchvision'


def _unfit_torchvision() -> Iterator[str]:
    """Compare torch with the one that torchvision states it was built for."""
    torch, torchvision = distributions.version('torch'), distributions.version('torchvision')
    if not torch or not torchvision:
        return
    for requirement in metadata.requires('torchvision') or ():
        match = re.match(r'torch\s*\(?==\s*([0-9][0-9A-Za-z.]*)', requirement)
        if match and match[1] != torch.partition('+')[0]:
            yield (
                f'torchvision {torchvision} was built for torch {match[1]}, and torch {torch} is installed: '
                f'pip install torch=={torch} torchvision'
            )
