"""Apply a network to images: grey and colour, transparency, bit depth, tiles."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
import torch
from torch import nn

from converse_basicsr import devices
from converse_basicsr.archs.reach import reach_of
from converse_basicsr.errors import ArgumentError
from converse_basicsr.files.decoding import BadImage
from converse_basicsr.files.picture import Picture
from converse_basicsr.restore.border import close
from converse_basicsr.restore.checkpoint import Loaded, load
from converse_basicsr.restore.conditions import choose_conditions, choose_tiling, probe_scale
from converse_basicsr.restore.tiling import run_tiled

Progress = Callable[[int], object]


@dataclass(eq=False)
class Restorer:
    """A network with everything that it needs besides an image; :meth:`from_checkpoint` makes one.

    - A grey network restores a colour image channel by channel: each is a grey image to it.
    - A colour network is given a grey image three times; the mean of its three outputs is the grey result.
    - A network that enlarges gets the alpha channel too, as a grey image. Any other leaves it as it is: transparency
      is drawn, not photographed, so it has neither noise nor blur.

    Attributes:
        net: The network, in eval mode, on its device.
        channels: Number of its channels, 1 or 3.
        scale: Ratio of the output's size to the input's.
        tile: Side of a tile in input pixels.
        overlap: The least that neighbouring tiles share, in input pixels.
        border: Length of the strip that closes each tile to a torus, in input pixels; 0 for none.
        conditions: What the network takes besides the image, by name.

    Shape:
        (H, W), (H, W, 1) or (H, W, 3) -> (scale * H, scale * W), with the same channels
    """

    net: nn.Module
    channels: int
    scale: int
    tile: int
    overlap: int
    border: int = 0
    conditions: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: str | os.PathLike[str],
        *,
        kernel: np.ndarray | None = None,
        scale: int | None = None,
        sigma: float | None = None,
        tile: int | None = None,
        overlap: int | None = None,
        border: int | None = None,
        device: str | torch.device | None = None,
        opt: str | os.PathLike[str] | None = None,
        network_g: Mapping[str, Any] | None = None,
    ) -> 'Restorer':
        """Load a network as ``basicsr restore`` does; docs/restore.md explains the arguments.

        Args:
            checkpoint: File (``.pth`` or ``.safetensors``), or name of released weights in ``model_zoo/``.
            kernel: Blur kernel (kh, kw) with odd sides, for networks that take one.
            scale: Upscaling factor, for networks that accept any; 1 if None.
            sigma: Noise level, from 0 to 255, for networks that take one; 0 if None.
            tile: Side of a tile in input pixels; the network's default if None.
            overlap: Input pixels that neighbouring tiles share at least; the network's default if None.
            border: Length of the strip that closes a tile to a torus; the network's default if None.
            device: Where to compute, see :func:`converse_basicsr.devices.choose`; ``auto`` if None.
            opt: Option file whose ``network_g`` the weights belong to; recognised from the checkpoint if None.
            network_g: Arguments of the network, which override those found.

        Raises:
            converse_basicsr.errors.UserError: If the checkpoint cannot be used.
            converse_basicsr.errors.ArgumentError: If an argument does not suit the network; it is a ``ValueError`` too.
        """
        loaded = load(checkpoint, opt=opt, network_g=network_g)
        return cls.from_loaded(
            loaded,
            kernel=kernel,
            scale=scale,
            sigma=sigma,
            tile=tile,
            overlap=overlap,
            border=border,
            device=device,
        )

    @classmethod
    def from_loaded(
        cls,
        loaded: Loaded,
        *,
        kernel: np.ndarray | None = None,
        scale: int | None = None,
        sigma: float | None = None,
        tile: int | None = None,
        overlap: int | None = None,
        border: int | None = None,
        device: str | torch.device | None = None,
    ) -> 'Restorer':
        """Make a restorer of a loaded network; the arguments are those of :meth:`from_checkpoint`.

        Args:
            loaded: The network, which is moved to the device.
            kernel: Blur kernel.
            scale: Upscaling factor.
            sigma: Noise level.
            tile: Side of a tile.
            overlap: What tiles share.
            border: Length of the closing strip.
            device: Where to compute.

        Raises:
            converse_basicsr.errors.ArgumentError: If an argument does not suit the network.
        """
        where = devices.choose(device)
        conditions = {
            name: value.to(where) if isinstance(value, torch.Tensor) else value
            for name, value in choose_conditions(loaded, kernel=kernel, scale=scale, sigma=sigma).items()
        }
        net = loaded.net.to(where)
        enlargement = probe_scale(loaded, conditions, where)
        tiling = choose_tiling(reach_of(net), enlargement, tile=tile, overlap=overlap, border=border)
        return cls(net, loaded.channels, enlargement, tiling.tile, tiling.overlap, tiling.border, conditions)

    @overload
    def __call__(self, image: np.ndarray, progress: Progress = ...) -> np.ndarray: ...

    @overload
    def __call__(self, image: Picture, progress: Progress = ...) -> Picture: ...

    def __call__(self, image: np.ndarray | Picture, progress: Progress = lambda pixels: None) -> np.ndarray | Picture:
        """Restore an image; the input is not changed.

        Args:
            image: Grey or RGB: an array of uint8, uint16 or floating point, where 1 is white, or a picture. Floating
                point may go beyond [0, 1], as noise does, and is passed to the network unclipped.
            progress: Called with the number of input pixels that have been completed, after every tile.

        Returns:
            An array of the same dtype and channels (floating point in [0, 1]); for a picture, a picture.

        Raises:
            ValueError: If the array is no image, or the network does not take it.
            BadImage: If the picture does not suit the network, or the network returns values that are not finite.
        """
        if isinstance(image, Picture):
            if self.channels not in (1, 3):
                raise BadImage(f'has {image.pixels.shape[2]} channels, the network takes {self.channels}')
            pixels = self._tiled(image.pixels, progress)
            return Picture(pixels, self._alpha(image.alpha), image.icc_profile)
        _require_image(image)
        if self.channels not in (1, 3):
            raise ArgumentError(f'image is {image.shape}, the network takes {self.channels} channels')
        if image.ndim == 2:
            return self._tiled(image[..., None], progress)[..., 0]
        return self._tiled(image, progress)

    def _alpha(self, alpha: np.ndarray | None) -> np.ndarray | None:
        if alpha is None or self.scale == 1:
            return alpha
        if (alpha == alpha[0, 0]).all():
            return np.full((self.scale * alpha.shape[0], self.scale * alpha.shape[1]), alpha[0, 0])
        return self._tiled(alpha[..., None], lambda pixels: None)[..., 0]

    def _tiled(self, image: np.ndarray, progress: Progress) -> np.ndarray:
        return run_tiled(
            self._restore, image, scale=self.scale, tile=self.tile, overlap=self.overlap, progress=progress
        )

    @torch.inference_mode()
    def _restore(self, image: np.ndarray) -> np.ndarray:
        """One tile, (h, w, C) to (scale * h, scale * w, C) of the same dtype."""
        is_float = np.issubdtype(image.dtype, np.floating)
        peak = 1 if is_float else np.iinfo(image.dtype).max
        x = torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32) / peak)[:, None]  # (C, 1, h, w)
        x = close(x.to(next(self.net.parameters()).device), self.border)
        if self.channels == 1:
            # One channel after the other, so that memory holds one tile, not three.
            y = torch.cat([self.net(channel[None], **self.conditions) for channel in x])
        elif len(x) == 1:
            y = self.net(x.expand(-1, 3, -1, -1), **self.conditions)
            y = y.mean(1, keepdim=True)
        else:
            y = self.net(x.transpose(0, 1), **self.conditions).transpose(0, 1)
        y = y[:, 0, : self.scale * image.shape[0], : self.scale * image.shape[1]]
        if not y.isfinite().all():
            raise BadImage(f'makes {type(self.net).__name__} return values that are not finite: restore it by another')
        y = y.clamp(0, 1) * peak
        restored: np.ndarray = (y if is_float else y.round()).permute(1, 2, 0).cpu().numpy()
        return restored.astype(image.dtype)


def _require_image(image: np.ndarray) -> None:
    """Refuse what is no grey or RGB image.

    Raises:
        ArgumentError: If it is not.
    """
    if not isinstance(image, np.ndarray):
        raise ArgumentError(f'image must be a NumPy array or a Picture, got {type(image).__name__}')
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)) or not image.size:
        raise ArgumentError(f'image must be (H, W), (H, W, 1) or (H, W, 3), got {image.shape}')
    if np.issubdtype(image.dtype, np.floating):
        # Noise may go beyond white; an image that does so on average was not divided by 255.
        mean = float(image.mean(dtype=np.float64))
        if not abs(mean) <= 1:
            raise ArgumentError(f'image must hold finite numbers where 1 is white, got a mean of {mean:.4g}')
    elif image.dtype not in (np.uint8, np.uint16):
        raise ArgumentError(f'image must be of uint8, uint16 or floating point, got {image.dtype}')
