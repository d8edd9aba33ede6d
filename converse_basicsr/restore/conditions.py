"""Choose what restoring needs besides network and image: kernel, scale, noise level, tiles."""

from typing import Any, NamedTuple

import numpy as np
import torch

from converse_basicsr.archs.reach import Reach
from converse_basicsr.errors import ArgumentError, UserError
from converse_basicsr.files import kernel_files
from converse_basicsr.restore.checkpoint import Loaded
from converse_basicsr.restore.tiling import ALIGNMENT

PROBE = 32
"""Side in pixels of the test image that shows the upscaling factor of a network."""

TILE_OUTPUT = 496
TILES = {1: 248, 2: 248, 3: 168, 4: 124}
"""Tile by scale. With the borders of the Converse networks, the Fourier transforms have lengths with small factors."""


class Tiling(NamedTuple):
    """How an image is cut: side of a tile, overlap and border, in input pixels."""

    tile: int
    overlap: int
    border: int


def choose_conditions(
    loaded: Loaded,
    *,
    kernel: np.ndarray | None = None,
    scale: int | None = None,
    sigma: float | None = None,
) -> dict[str, Any]:
    """Return what the network takes besides the image, by parameter name of its ``forward``.

    Args:
        loaded: The network.
        kernel: Blur kernel (kh, kw) with odd sides; it is normalised to sum 1 and padded to the network's size.
        scale: Upscaling factor, for networks that accept any; 1 if None.
        sigma: Noise level, from 0 to 255, for networks that take one; 0 if None.

    Raises:
        ArgumentError: If an argument is missing, out of range or not an input of the network.
    """
    for name, value in (('kernel', kernel), ('scale', scale), ('sigma', sigma)):
        if value is not None and name not in loaded.conditions:
            raise ArgumentError(f'{name} is no input of {loaded.name}: leave it out')
    conditions: dict[str, Any] = {}
    if 'kernel' in loaded.conditions:
        if kernel is None:
            raise ArgumentError(
                f'kernel must be given: {loaded.name} needs the blur kernel',
                f'{loaded.name} needs the blur kernel: give it as --kernel FILE.npy',
            )
        try:
            kernel = kernel_files.normalise(kernel)
        except ValueError as error:
            raise ArgumentError(str(error)) from error
        size = getattr(loaded.net, 'blur_kernel_size', None)
        conditions['kernel'] = torch.from_numpy(fit_kernel(kernel, size)).float()[None, None]
    if 'scale' in loaded.conditions:
        scale = 1 if scale is None else scale
        if scale < 1:
            raise ArgumentError(f'scale must be at least 1, got {scale}')
        conditions['scale'] = scale
    if 'sigma' in loaded.conditions:
        sigma = sigma or 0.0
        if not 0 <= sigma <= 255:
            raise ArgumentError(f'sigma must be between 0 and 255, got {sigma}')
        conditions['sigma'] = sigma / 255
    return conditions


def fit_kernel(kernel: np.ndarray, size: int | None) -> np.ndarray:
    """Pad a kernel with zeros to the size that a network was trained for, around its centre.

    Args:
        kernel: The kernel, with odd sides.
        size: Side that the network takes; None if it takes any.

    Raises:
        ArgumentError: If the kernel is larger.
    """
    if size is None:
        return kernel
    missing = [size - side for side in kernel.shape]
    if min(missing) < 0 or any(m % 2 for m in missing):
        rows, columns = kernel.shape
        raise ArgumentError(f'kernel is {rows} x {columns}, the network takes kernels of up to {size} x {size}')
    return np.pad(kernel, [(m // 2, m // 2) for m in missing])


def choose_tiling(
    reach: Reach, scale: int, *, tile: int | None = None, overlap: int | None = None, border: int | None = None
) -> Tiling:
    """Choose tile, overlap and border: the values given, else the defaults of a network.

    Args:
        reach: The network's.
        scale: Upscaling factor of the network.
        tile: Side of a tile in input pixels.
        overlap: Input pixels that neighbouring tiles share at least.
        border: Width of the strip that closes a tile to a torus.

    Raises:
        ArgumentError: If a value is out of range.
    """
    if border is None:
        border = reach.border
    elif border < 0:
        raise ArgumentError(f'border must be at least 0, got {border}')
    tile = choose_tile(tile, scale, border, reach.tile)
    return Tiling(tile, choose_overlap(overlap, tile, reach.overlap), border)


def choose_tile(given: int | None, scale: int, border: int, default: int | None = None) -> int:
    """Return the given tile, else the default less the border that is added to a tile.

    Args:
        given: The tile asked for, in pixels; None for the default.
        scale: Upscaling factor of the network.
        border: Width of the border that is added to a tile.
        default: The network's default; None for that of its scale.

    Raises:
        ArgumentError: If it is below two times ``ALIGNMENT``, so that tiles that overlap by half would not advance.
    """
    if given is not None and given < 2 * ALIGNMENT:
        raise ArgumentError(f'tile must be at least {2 * ALIGNMENT}, got {given}')
    default = default or TILES.get(scale, TILE_OUTPUT // scale)
    if border:
        default += ALIGNMENT - border
    return given or max(default, 2 * ALIGNMENT)


def choose_overlap(given: int | None, tile: int, default: int) -> int:
    """Return the given overlap, else the default, which is at most half a tile.

    Raises:
        ArgumentError: If tiles would not advance.
    """
    if given is None:
        return min(default, tile // 2)
    if not 0 <= given <= tile - ALIGNMENT:
        rule = f'- {ALIGNMENT} ({tile - ALIGNMENT}), got {given}'
        raise ArgumentError(
            f'overlap must be between 0 and tile {rule}', f'--overlap must be between 0 and --tile {rule}'
        )
    return given


@torch.inference_mode()
def probe_scale(loaded: Loaded, conditions: dict[str, Any], device: torch.device) -> int:
    """Find the upscaling factor of the network with a test image.

    Raises:
        UserError: If it takes no image, or its output is none of as many channels, and of a multiple of the size.
    """
    try:
        x = torch.zeros(1, loaded.channels, PROBE, PROBE, device=device)
        y = loaded.net(x, **conditions)
    except Exception as error:  # whatever the network of a plugin or of a stranger's file raises
        reason = ' '.join(str(error).split())[:300] or type(error).__name__
        where = '' if device.type == 'cpu' else f' on {device} (--device cpu may help)'
        raise UserError(f'{loaded.name} cannot restore an image of {PROBE} x {PROBE}{where}: {reason}') from error
    scale = y.shape[-1] // PROBE if isinstance(y, torch.Tensor) and y.ndim == 4 else 0
    if scale < 1 or y.shape != (1, loaded.channels, scale * PROBE, scale * PROBE):
        shape = tuple(y.shape) if isinstance(y, torch.Tensor) else type(y).__name__
        raise UserError(
            f'{loaded.name} cannot restore images: it makes {shape} of {tuple(x.shape)}, not an image of as many '
            'channels and of a multiple of the size'
        )
    return scale
