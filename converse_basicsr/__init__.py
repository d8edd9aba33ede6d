"""Reverse convolution (Converse2D, arXiv 2508.09824) as a BasicSR plugin.

``import converse_basicsr`` is cheap: it imports neither BasicSR nor, until one of the torch names below is used, torch.
"""

from converse_basicsr import import_path

import_path.leave_current_folder()  # before anything else is imported

import importlib
from typing import TYPE_CHECKING

from converse_basicsr.register import register
from converse_basicsr.version import __version__

if TYPE_CHECKING:
    from converse_basicsr.blocks import ConverseBlock, LayerNorm2d
    from converse_basicsr.ops import Converse2D, converse2d

_LAZY = {
    'Converse2D': 'converse_basicsr.ops',
    'converse2d': 'converse_basicsr.ops',
    'ConverseBlock': 'converse_basicsr.blocks',
    'LayerNorm2d': 'converse_basicsr.blocks',
}
_LAZY_MODULES = ('mmcv', 'spandrel', 'surgery')

__all__ = ['Converse2D', 'ConverseBlock', 'LayerNorm2d', '__version__', 'converse2d', 'register']


def __getattr__(name: str) -> object:
    """Import the torch-based names on first use (PEP 562), so that ``basicsr --help`` starts without torch."""
    if name in _LAZY_MODULES:
        return importlib.import_module(f'{__name__}.{name}')
    if name not in _LAZY:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_LAZY_MODULES})
