import pytest
import torch
import torch.nn.functional as F

from converse_basicsr.ops.padding import PADDING_MODES, pad2d, pad2d_adjoint_

PADDINGS = [(0, 0, 0, 0), (1, 2, 3, 0), (4, 4, 3, 3), (0, 5, 2, 4)]


@pytest.mark.parametrize('mode', PADDING_MODES)
@pytest.mark.parametrize('padding', PADDINGS)
def test_equals_torch(mode, padding):
    x = torch.randn(2, 3, 5, 6)
    assert torch.equal(pad2d(x, padding, mode), F.pad(x, padding, mode=mode))


def test_circular_wraps_as_often_as_it_takes():
    x = torch.arange(6.0).view(1, 1, 2, 3)
    padded = pad2d(x, (7, 5, 3, 6))
    for i in range(padded.shape[-2]):
        for j in range(padded.shape[-1]):
            assert padded[0, 0, i, j] == x[0, 0, (i - 3) % 2, (j - 7) % 3]


@pytest.mark.parametrize(
    ('mode', 'padding'),
    [
        *((mode, padding) for mode in PADDING_MODES for padding in PADDINGS),
        *((mode, (9, 14, 11, 7)) for mode in PADDING_MODES if mode != 'reflect'),
    ],
)
def test_adjoint(mode, padding):
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    padded = pad2d(x, padding, mode)
    y = torch.randn_like(padded)
    torch.testing.assert_close((padded * y).sum(), (x * pad2d_adjoint_(y.clone(), padding, mode)).sum())


@pytest.mark.parametrize('padding', [(6, 0, 0, 0), (0, 0, 0, 5)])
def test_reflect_wider_than_the_map(padding):
    with pytest.raises(ValueError, match=r'padding must be smaller than the map .* for a map of 5x6'):
        pad2d(torch.rand(1, 1, 5, 6), padding, 'reflect')
