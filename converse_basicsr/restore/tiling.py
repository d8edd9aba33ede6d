"""Run a network over an image of any size in tiles, so that memory depends on the tile, not on the image.

The reverse convolution is global: every output depends on every input, and a network treats the borders of a
tile like borders of an image. The result of a tile is therefore right in its middle only, and of two tiles that overlap
each contributes the part that is nearer to its middle. Tiles are not averaged: where the dependence ends within half
the overlap (plain convolutions) cutting makes the result exact, which averaging would not; docs/restore.md measures
both.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

ALIGNMENT = 8
"""Tiles start at multiples of this, so that networks that downsample see the grid that they see in the whole image."""


class Span(NamedTuple):
    """One tile along one axis, in input pixels.

    Attributes:
        start: First pixel that is read.
        stop: End of what is read.
        first: First pixel that is kept.
        last: End of what is kept.
    """

    start: int
    stop: int
    first: int
    last: int


def spans(size: int, tile: int, overlap: int) -> list[Span]:
    """Cut an axis into tiles.

    Args:
        size: Length of the axis.
        tile: Length of a tile; an axis that is not longer is one tile.
        overlap: The least that neighbours share, at most ``tile - ALIGNMENT``.

    Returns:
        The tiles in order. What they keep partitions the axis, half an overlap away from the ends of what they read.

    Example:
        >>> spans(100, 64, 16)
        [Span(start=0, stop=64, first=0, last=52), Span(start=40, stop=100, first=52, last=100)]
    """
    if size <= tile:
        return [Span(0, size, 0, size)]
    stride = (tile - overlap) // ALIGNMENT * ALIGNMENT
    last_start = -(-(size - tile) // ALIGNMENT) * ALIGNMENT
    starts = [*range(0, last_start, stride), last_start]
    stops = [min(start + tile, size) for start in starts]
    cuts = [0, *((stop + start) // 2 for stop, start in zip(stops, starts[1:])), size]
    return [Span(*span) for span in zip(starts, stops, cuts, cuts[1:])]


def tiles(height: int, width: int, tile: int, overlap: int) -> Iterator[tuple[Span, Span]]:
    """Yield the tiles of an image, (rows, columns), row by row."""
    for rows in spans(height, tile, overlap):
        for columns in spans(width, tile, overlap):
            yield rows, columns


def run_tiled(
    restore: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    *,
    scale: int,
    tile: int,
    overlap: int,
    progress: Callable[[int], object],
) -> np.ndarray:
    """Restore an image tile by tile.

    Args:
        restore: Turns (h, w, C) into (scale * h, scale * w, C) of the same dtype.
        image: The image (H, W, C).
        scale: Ratio of the sizes.
        tile: Side of a tile in input pixels.
        overlap: Input pixels that neighbouring tiles share at least.
        progress: Called with the number of input pixels that a tile has completed.

    Returns:
        The restored image (scale * H, scale * W, C), in the dtype of ``image``.
    """
    height, width, channels = image.shape
    out = np.empty((scale * height, scale * width, channels), image.dtype)
    for rows, columns in tiles(height, width, tile, overlap):
        restored = restore(image[rows.start : rows.stop, columns.start : columns.stop])
        into, part = zip(*(_scaled(span, scale) for span in (rows, columns)))
        out[into] = restored[part]
        progress((rows.last - rows.first) * (columns.last - columns.first))
    return out


def _scaled(span: Span, scale: int) -> tuple[slice, slice]:
    """Return where the kept part of a tile lies in the whole output, and where in the output of the tile."""
    first, last = scale * span.first, scale * span.last
    return slice(first, last), slice(first - scale * span.start, last - scale * span.start)
