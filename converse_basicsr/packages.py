"""Packages that this one works without: whether they are there, and one line for those who need one that is not."""

import importlib.util
import sys

from converse_basicsr.errors import UserError

BASICSR = 'basicsr'

WITHOUT_BASICSR = 'BasicSR is not installed in this Python: run: basicsr setup'
"""What everybody is told who needs BasicSR where it is absent."""


def is_installed(package: str) -> bool:
    """Tell whether a package can be found; its import may still fail.

    A folder of that name without an ``__init__.py``, such as a checkout in the current folder, is none.

    Args:
        package: Its name in ``import``.

    Example:
        >>> is_installed('torch'), is_installed('no_such_package')
        (True, False)
    """
    if package in sys.modules:
        return getattr(sys.modules[package], '__file__', None) is not None
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None


def require(*names: str) -> None:
    """Refuse to go on without packages: BasicSR, or others that are installed under their names in ``import``.

    Raises:
        UserError: If any is absent.
    """
    absent = [name for name in names if not is_installed(name)]
    if BASICSR in absent:
        require_basicsr()  # whose installation brings the others
    if absent:
        verb = 'is' if len(absent) == 1 else 'are'
        raise UserError(f'{", ".join(absent)} {verb} not installed in this Python: run: pip install {" ".join(absent)}')


def require_basicsr(what: str = '') -> None:
    """Refuse to go on without BasicSR.

    Args:
        what: What needs it, to begin the message with.

    Raises:
        UserError: If it is absent.
    """
    if not is_installed(BASICSR):
        raise UserError(f'{what}: {WITHOUT_BASICSR}' if what else WITHOUT_BASICSR)
