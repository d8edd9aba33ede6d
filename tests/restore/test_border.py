import pytest
import torch

from converse_basicsr.restore.border import close


@pytest.mark.parametrize(('height', 'width', 'strip'), [(20, 30, 8), (5, 30, 8), (1, 1, 4), (9, 7, 0)])
def test_the_image_stays_and_the_strip_is_within_its_values(height: int, width: int, strip: int) -> None:
    x = torch.rand(2, 3, height, width)
    y = close(x, strip)
    assert y.shape == (2, 3, height + min(strip, height), width + min(strip, width))
    assert torch.equal(y[..., :height, :width], x)
    assert y.min() >= x.min()
    assert y.max() <= x.max()


def test_no_step_of_the_torus_is_larger_than_inside() -> None:
    ramp = torch.linspace(0, 1, 40).expand(1, 1, 40, 40) + torch.linspace(0, 2, 40)[:, None]
    y = close(ramp, 16)
    for axis in (-2, -1):
        jump = (torch.roll(ramp, -1, axis) - ramp).abs().amax()
        steps = (torch.roll(y, -1, axis) - y).abs().amax()
        assert steps < jump / 5
