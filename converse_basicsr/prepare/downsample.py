"""MATLAB-style bicubic downsampling to 8 bits, by BasicSR's own ``imresize``."""

import functools
import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np

from converse_basicsr import packages
from converse_basicsr.errors import UserError

BICUBIC_SUPPORT = 4
"""Width of the bicubic kernel in pixels of the small image; narrower images cannot fill its mirrored margin."""


@functools.cache
def load_imresize() -> Callable[[np.ndarray, float], np.ndarray]:
    """Load ``basicsr.utils.matlab_functions.imresize`` without importing the package around it.

    ``import basicsr`` would cost each worker process seconds and memory for networks and losses that are not used here;
    the module itself needs torch only.

    Returns:
        The function; images in [0, 1].

    Raises:
        UserError: If BasicSR is not installed.
    """
    packages.require_basicsr()
    package = importlib.util.find_spec(packages.BASICSR)
    path = Path(str(package and package.origin)).with_name('utils') / 'matlab_functions.py'
    spec = importlib.util.spec_from_file_location('_basicsr_matlab_functions', path)
    if spec is None or spec.loader is None:
        raise UserError(f'BasicSR cannot be used: {path} is no Python module; install it again')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    imresize: Callable[[np.ndarray, float], np.ndarray] = module.imresize
    return imresize


def downsample(image: np.ndarray, scale: int) -> np.ndarray:
    """Downsample by an integer factor: antialiased bicubic, mirrored borders, clipped and rounded to 8 bits.

    Args:
        image: uint8 ``(H, W, C)`` or ``(H, W)``; H and W are multiples of ``scale``.
        scale: Downsampling factor.

    Returns:
        uint8 ``(H / scale, W / scale, C)`` or ``(H / scale, W / scale)``.

    Raises:
        ValueError: If a side is no multiple of ``scale`` or shorter than four times ``scale``.

    Reference:
        The low-resolution images of DIV2K and of the usual test sets come from MATLAB's ``imresize(image, 1 / scale)``.
    """
    height, width = image.shape[:2]
    if height % scale or width % scale or min(height, width) < BICUBIC_SUPPORT * scale:
        raise ValueError(
            f'image sides must be multiples of {scale} and at least {BICUBIC_SUPPORT * scale}, got {height} x {width}'
        )
    small = load_imresize()(image.astype(np.float32) / 255, 1 / scale)
    return np.rint(small.clip(0, 1) * 255).astype(np.uint8)
