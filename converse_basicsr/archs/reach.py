"""How far a network looks: what cutting images into tiles for it depends on."""

from typing import NamedTuple

from torch import nn


class Reach(NamedTuple):
    """How far the outputs of a network depend on its inputs, and the tiles that suit it.

    A network whose reach is not the default states it as its class attribute ``reach``. docs/restore.md tells how the
    values were measured.

    Attributes:
        tile: Side of a tile in input pixels; None for the default of the network's scale.
        overlap: Input pixels that neighbouring tiles share.
        border: Width in input pixels of the strip that closes a tile to a torus.
        spans_image: Whether every output depends on the whole input, so that tiles always change the result.
    """

    tile: int | None = None
    overlap: int = 32
    border: int = 0
    spans_image: bool = False


def reach_of(network: nn.Module | type[nn.Module]) -> Reach:
    """The reach that a network or its class states, or the default.

    Example:
        >>> reach_of(nn.Conv2d)
        Reach(tile=None, overlap=32, border=0, spans_image=False)
    """
    reach = getattr(network, 'reach', None)
    return reach if isinstance(reach, Reach) else Reach()
