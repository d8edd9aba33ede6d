"""From a network and the command line to all that restoring takes: kernel, scale, noise level, tiles, device."""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from converse_basicsr.checkpoint import Loaded
from converse_basicsr.errors import UserError
from converse_basicsr.restore.restorer import Restorer
from converse_basicsr.restore.tiling import ALIGNMENT

PROBE = 32
"""Side of the image that tells by how much a network enlarges."""

TILE_OUTPUT = 496
TILES = {1: 248, 2: 248, 3: 168, 4: 124}
"""Tile by scale: with the borders that the Converse networks add, Fourier transforms of lengths with small factors."""


class Reach(NamedTuple):
    """Defaults of a network that follow from how far its outputs depend on its inputs (docs/restore.md).

    Attributes:
        tile: Side of a tile in input pixels; None for that of ``TILES``.
        overlap: Input pixels that neighbouring tiles share.
        border: Width of the strip that closes the image to a torus.
    """

    tile: int | None = None
    overlap: int = 32
    border: int = 0


REACHES = {
    'ConverseNet': Reach(tile=752, overlap=96),  # felt at any distance: the fewer tiles, the better
    'ConverseUSRNet': Reach(overlap=96, border=32),
    'USRNet': Reach(overlap=96, border=32),
}


def build_restorer(loaded: Loaded, args: argparse.Namespace) -> Restorer:
    """Put network and arguments together.

    Raises:
        UserError: If an argument does not suit the network.
    """
    device = choose_device(args.device)
    net = loaded.net.to(device)
    conditions = choose_conditions(loaded, args)
    if 'kernel' in conditions:
        conditions['kernel'] = conditions['kernel'].to(device)
    scale = probe_scale(loaded, conditions, device)
    if args.border is not None and args.border < 0:
        raise UserError(f'--border must be at least 0, got {args.border}')
    reach = REACHES.get(loaded.name, Reach())
    border = reach.border if args.border is None else args.border
    tile = choose_tile(args.tile, scale, border, reach.tile)
    overlap = choose_overlap(args.overlap, tile, reach.overlap)
    return Restorer(net, loaded.channels, scale, tile, overlap, border, conditions)


def choose_conditions(
    loaded: Loaded, args: argparse.Namespace, *, kernel: torch.Tensor | None = None
) -> dict[str, Any]:
    """What the network takes beside the image, from ``--kernel``, ``--scale`` and ``--sigma``.

    Args:
        loaded: The network.
        args: The command line.
        kernel: Stands in for ``--kernel``.

    Raises:
        UserError: If an argument is missing, out of range or nothing that the network takes.
    """
    conditions: dict[str, Any] = {}
    for name, value in (('kernel', args.kernel), ('scale', args.scale), ('sigma', args.sigma)):
        if value is not None and name not in loaded.conditions:
            raise UserError(f'--{name} is nothing that {loaded.name} takes: leave it out')
    if 'kernel' in loaded.conditions:
        if kernel is None and args.kernel is None:
            raise UserError(f'{loaded.name} needs the blur kernel: give it as --kernel FILE.npy')
        if kernel is None:
            size = getattr(loaded.net, 'blur_kernel_size', None)
            kernel = torch.from_numpy(fit_kernel(read_kernel(args.kernel), size, args.kernel)).float()[None, None]
        conditions['kernel'] = kernel
    if 'scale' in loaded.conditions:
        conditions['scale'] = args.scale or 1
    if 'sigma' in loaded.conditions:
        sigma = args.sigma or 0.0
        if not 0 <= sigma <= 255:
            raise UserError(f'--sigma must be between 0 and 255, got {sigma}')
        conditions['sigma'] = sigma / 255
    return conditions


def choose_tile(given: int | None, scale: int, border: int, default: int | None = None) -> int:
    """The tile that was given or the default, which is smaller by the border that is added to it.

    Args:
        given: ``--tile``.
        scale: By how much the network enlarges.
        border: Width of the border that is added to a tile.
        default: The network's default; None for that of its scale.

    Raises:
        UserError: If it is too small to advance by ``ALIGNMENT`` with half of it overlapping.
    """
    if given is not None and given < 2 * ALIGNMENT:
        raise UserError(f'--tile must be at least {2 * ALIGNMENT}, got {given}')
    default = default or TILES.get(scale, TILE_OUTPUT // scale)
    if border:
        default += ALIGNMENT - border
    return given or max(default, 2 * ALIGNMENT)


def choose_overlap(given: int | None, tile: int, default: int) -> int:
    """The overlap that was given or, at most half a tile, the default.

    Raises:
        UserError: If tiles would not advance.
    """
    if given is None:
        return min(default, tile // 2)
    if not 0 <= given <= tile - ALIGNMENT:
        raise UserError(f'--overlap must be between 0 and --tile - {ALIGNMENT} ({tile - ALIGNMENT}), got {given}')
    return given


def choose_device(name: str | None) -> torch.device:
    """The device of that name; CUDA where there is one, else the CPU, if None.

    Raises:
        UserError: If it is not there.
    """
    if name is None:
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except Exception as error:  # torch raises a class of its own for every way of not being there
        raise UserError(f'--device {name}: {str(error).splitlines()[0]}') from error
    return device


def read_kernel(path: Path) -> np.ndarray:
    """Read a blur kernel, normalised to sum 1.

    Raises:
        UserError: If the file is missing or holds none.
    """
    from converse_basicsr.data import blur_kernels

    try:
        return blur_kernels.read_kernel(path)
    except FileNotFoundError:
        raise UserError(f'--kernel {path} does not exist') from None
    except Exception as error:  # np.load raises several classes on what is no array
        raise UserError(f'--kernel {path} cannot be used: {error}') from error


def fit_kernel(kernel: np.ndarray, size: int | None, path: Path) -> np.ndarray:
    """Pad a kernel with zeros to the size that a network was trained for, around its centre.

    Args:
        kernel: The kernel, with odd sides.
        size: Side that the network takes; None if it takes any.
        path: The kernel's file, for messages.

    Raises:
        UserError: If the kernel is larger.
    """
    if size is None:
        return kernel
    missing = [size - side for side in kernel.shape]
    if min(missing) < 0 or any(m % 2 for m in missing):
        rows, columns = kernel.shape
        raise UserError(f'--kernel {path} is {rows} x {columns}, the network takes kernels of up to {size} x {size}')
    return np.pad(kernel, [(m // 2, m // 2) for m in missing])


@torch.inference_mode()
def probe_scale(loaded: Loaded, conditions: dict[str, Any], device: torch.device) -> int:
    """Find by how much the network enlarges, by trying it.

    Raises:
        UserError: If its output is no image of as many channels, and of a multiple of the size, as its input.
    """
    x = torch.zeros(1, loaded.channels, PROBE, PROBE, device=device)
    y = loaded.net(x, **conditions)
    scale = y.shape[-1] // PROBE if isinstance(y, torch.Tensor) and y.ndim == 4 else 0
    if scale < 1 or y.shape != (1, loaded.channels, scale * PROBE, scale * PROBE):
        shape = tuple(y.shape) if isinstance(y, torch.Tensor) else type(y).__name__
        raise UserError(
            f'{loaded.name} cannot restore images: it makes {shape} of {tuple(x.shape)}, not an image of as many '
            'channels and of a multiple of the size'
        )
    return scale
