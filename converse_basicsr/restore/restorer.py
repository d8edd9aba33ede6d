"""Apply a network to pictures: grey and colour, transparency, bit depth, tiles."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from converse_basicsr.prepare.images import BadImage
from converse_basicsr.restore.border import close
from converse_basicsr.restore.image_file import Picture
from converse_basicsr.restore.tiling import run_tiled


@dataclass(eq=False)
class Restorer:
    """A network with all that it needs beside an image.

    - A grey network restores a colour image channel by channel: each is a grey image to it.
    - A colour network is given a grey image three times; the mean of its three outputs is the grey result.
    - A network that enlarges gets the alpha channel too, as a grey image. Any other leaves it as it is: transparency
      is drawn, not photographed, so it has neither noise nor blur.

    Attributes:
        net: The network, in eval mode, on its device.
        channels: Number of its channels, 1 or 3.
        scale: Ratio of the output's size to the input's.
        tile: Side of a tile in input pixels.
        overlap: What neighbouring tiles share at least, in input pixels.
        border: Length of the strip that closes each tile to a torus, in input pixels; 0 for none.
        conditions: What the network takes beside the image, by name.
    """

    net: nn.Module
    channels: int
    scale: int
    tile: int
    overlap: int
    border: int = 0
    conditions: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, picture: Picture, progress: Callable[[int], object] = lambda pixels: None) -> Picture:
        """Restore a picture.

        Args:
            picture: The picture; it is left as it is.
            progress: Called with the number of input pixels that have been completed, after every tile.

        Raises:
            BadImage: If the picture does not suit the network.
        """
        channels = picture.pixels.shape[2]
        if self.channels not in (1, 3):
            raise BadImage(f'has {channels} channels, the network takes {self.channels}')
        pixels = self._tiled(picture.pixels, progress)
        return Picture(pixels, self._alpha(picture.alpha), picture.icc_profile)

    def _alpha(self, alpha: np.ndarray | None) -> np.ndarray | None:
        if alpha is None or self.scale == 1:
            return alpha
        if (alpha == alpha[0, 0]).all():
            return np.full((self.scale * alpha.shape[0], self.scale * alpha.shape[1]), alpha[0, 0])
        return self._tiled(alpha[..., None], lambda pixels: None)[..., 0]

    def _tiled(self, image: np.ndarray, progress: Callable[[int], object]) -> np.ndarray:
        return run_tiled(
            self._restore, image, scale=self.scale, tile=self.tile, overlap=self.overlap, progress=progress
        )

    @torch.inference_mode()
    def _restore(self, image: np.ndarray) -> np.ndarray:
        """One tile, (h, w, C) to (scale * h, scale * w, C) of the same dtype."""
        peak = np.iinfo(image.dtype).max
        x = torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32) / peak)[:, None]  # (C, 1, h, w)
        x = close(x.to(next(self.net.parameters()).device), self.border)
        if self.channels == 1:
            # One channel after the other: memory is bound by a tile, not by three.
            y = torch.cat([self.net(channel[None], **self.conditions) for channel in x])
        elif len(x) == 1:
            y = self.net(x.expand(-1, 3, -1, -1), **self.conditions)
            y = y.mean(1, keepdim=True)
        else:
            y = self.net(x.transpose(0, 1), **self.conditions).transpose(0, 1)
        y = y[:, 0, : self.scale * image.shape[0], : self.scale * image.shape[1]]
        return (y.clamp(0, 1) * peak).round().permute(1, 2, 0).cpu().numpy().astype(image.dtype)
