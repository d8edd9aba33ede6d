import pytest
import torch

from converse_basicsr.ops.sampling import blur_and_decimate, blur_and_decimate_adjoint, nearest


@pytest.mark.parametrize('scale', [1, 2, 3, 5])
@pytest.mark.parametrize('taps', [(1, 1), (2, 3), (3, 3), (4, 4), (9, 2)])
@pytest.mark.parametrize('lead', [(1, 1), (1, 3), (2, 3), (2, 1)])
def test_adjointness(scale, taps, lead):
    kernel = torch.randn(*lead, *taps, dtype=torch.float64)
    x = torch.randn(2, 3, 4 * scale, 3 * scale, dtype=torch.float64)
    z = torch.randn(2, 3, 4, 3, dtype=torch.float64)
    left = (blur_and_decimate(x, kernel, scale) * z).sum()
    torch.testing.assert_close(left, (x * blur_and_decimate_adjoint(z, kernel, scale)).sum())


@pytest.mark.parametrize('scale', [1, 2, 3])
@pytest.mark.parametrize('taps', [(2, 2), (3, 4), (5, 5)])
def test_blur_equals_its_definition(scale, taps):
    kernel = torch.randn(1, 1, *taps)
    x = torch.randn(1, 1, 4 * scale, 5 * scale)
    blurred = torch.zeros_like(x)
    for a in range(taps[0]):
        for b in range(taps[1]):
            blurred += kernel[0, 0, a, b] * x.roll((a - taps[0] // 2, b - taps[1] // 2), (-2, -1))
    torch.testing.assert_close(blur_and_decimate(x, kernel, scale), blurred[..., ::scale, ::scale])


def test_nearest():
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(nearest(x, 3), x.repeat_interleave(3, -2).repeat_interleave(3, -1))
    assert nearest(x, 1) is x
