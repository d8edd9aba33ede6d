"""Blocks in a row: the body of most networks."""

from collections.abc import Callable

from torch import nn

from converse_basicsr.blocks.checks import check_positive


def stack(num_block: int, make_block: Callable[[], nn.Module]) -> nn.Sequential:
    """Put ``num_block`` blocks in a row, each with weights of its own.

    Args:
        num_block: Number of blocks.
        make_block: Makes one block; called once per block.

    Returns:
        The blocks; their keys in the state dict begin with ``0.``, ``1.``, ...

    Raises:
        ValueError: If ``num_block`` is not a positive integer.

    Example:
        >>> len(stack(3, lambda: nn.Conv2d(8, 8, 3, padding=1)))
        3
    """
    check_positive(num_block=num_block)
    return nn.Sequential(*(make_block() for _ in range(num_block)))
