"""Inputs made by ``expand``, whose axes of stride 0 some FFTs refuse."""

import pytest
import torch

from converse_basicsr.ops import Converse2D


@pytest.mark.parametrize('scale', [1, 2])
@pytest.mark.parametrize('padding', [0, 2])
def test_they_give_what_their_copies_give(scale: int, padding: int) -> None:
    layer = Converse2D(3, 3, 3, scale=scale, padding=padding)
    x = torch.rand(1, 1, 6, 1).expand(2, 3, 6, 7)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), layer(x.contiguous()))
    torch.testing.assert_close(layer(x), layer(x.contiguous()))
