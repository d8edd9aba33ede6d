"""The parts that take the place of upsampling steps, against those steps."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from devices import assert_identical
from torch import nn

from converse_basicsr.ops import Converse2D
from converse_basicsr.ops.start import RECOMMENDED_LAM_INIT
from converse_basicsr.surgery.parts import (
    ConverseShuffle,
    ConvThenConverse,
    Start,
    UpsampledConv2d,
    build_converse_upsampler,
    prime_steps,
    replace_depthwise,
    replace_transposed,
)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


# lam of the paper's networks, the recommended one, and the ends of the range
LAMS = [None, 0.002, 0.1, 0.2, 0.9]


@pytest.mark.parametrize(('scale', 'steps'), [(1, []), (2, [2]), (3, [3]), (4, [2, 2]), (6, [2, 3]), (8, [2, 2, 2])])
def test_prime_steps(scale: int, steps: list[int]) -> None:
    assert prime_steps(scale) == steps


@pytest.mark.parametrize('lam', LAMS)
@pytest.mark.parametrize('scale', [2, 4])
def test_upsampling_starts_as_nearest(scale: int, lam: float | None) -> None:
    x = torch.randn(2, 5, 6, 7)
    up = build_converse_upsampler(5, scale, Start(lam_init=lam))
    torch.testing.assert_close(up(x), F.interpolate(x, scale_factor=scale, mode='nearest'))


@pytest.mark.parametrize('lam', LAMS)
def test_upsampling_by_3_keeps_flat_maps(lam: float | None) -> None:
    up = build_converse_upsampler(5, 3, Start(lam_init=lam))
    torch.testing.assert_close(up(torch.ones(1, 5, 6, 7)), torch.ones(1, 5, 18, 21))


def test_upsampling_by_3_starts_the_nearer_to_nearest_the_larger_lam_is() -> None:
    x = torch.randn(1, 5, 6, 7)
    away = []
    for lam in (0.002, 0.1, 0.9):
        torch.manual_seed(0)
        y = build_converse_upsampler(5, 3, Start(lam_init=lam))(x)
        away.append((y - F.interpolate(x, scale_factor=3, mode='nearest')).square().mean().item())
    assert away == sorted(away, reverse=True)


@pytest.mark.parametrize('scale', [2, 3, 4, 6])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('lam', LAMS)
def test_shuffle_starts_as_pixel_shuffle(scale: int, dtype: torch.dtype, lam: float | None) -> None:
    x = torch.randn(2, 3 * scale**2, 5, 4, dtype=dtype)
    part = ConverseShuffle(3, scale, Start(lam_init=lam)).to(dtype)
    # lam is a float32 number at the start, in either dtype.
    torch.testing.assert_close(part(x), nn.PixelShuffle(scale)(x), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize('lam', LAMS)
def test_kernels_and_mixing_of_the_shuffle_are_of_ordinary_size(lam: float | None) -> None:
    part = ConverseShuffle(3, 3, Start(lam_init=lam))
    taps = part.up[0].weight[..., :3, :3].abs()
    assert 0.4 < taps.min() <= taps.max() < 2.5
    assert 0.4 < part.mix[0].weight.min() <= part.mix[0].weight.max() < 1


def test_parts_start_with_the_recommended_lam_and_softmax_kernels() -> None:
    conv = nn.Conv2d(4, 24, 3, padding=1)
    parts = [
        build_converse_upsampler(4, 2),
        ConvThenConverse(conv, 2),
        UpsampledConv2d(nn.Conv2d(4, 4, 3), 2),
        ConverseShuffle(3, 2),
        replace_transposed(nn.ConvTranspose2d(6, 4, 4, 2, 1)),
        replace_depthwise(nn.Conv2d(6, 6, 3, padding=1, groups=6)),
    ]
    for operator in (module for part in parts for module in part.modules() if isinstance(module, Converse2D)):
        torch.testing.assert_close(operator.lam, torch.full_like(operator.lam, RECOMMENDED_LAM_INIT))
        assert operator.kernel_init == 'softmax'


def test_a_start_reaches_every_part() -> None:
    start = Start('normal', 0.3)
    parts = [
        build_converse_upsampler(4, 6, start),
        ConvThenConverse(nn.Conv2d(4, 24, 3, padding=1), 2, start),
        UpsampledConv2d(nn.Conv2d(4, 4, 3), 2, start),
        replace_transposed(nn.ConvTranspose2d(6, 4, 4, 2, 1), start),
        replace_depthwise(nn.Conv2d(6, 6, 3, padding=1, groups=6), start),
    ]
    operators = [module for part in parts for module in part.modules() if isinstance(module, Converse2D)]
    assert len(operators) == 6
    assert {(one.kernel_init, one.lam_init) for one in operators} == {('normal', 0.3)}


def test_a_shuffle_of_an_earlier_version_is_restored() -> None:
    """It had lam of a zero logit, taps of one size and a gain of 2."""
    part = ConverseShuffle(3, 2)
    assert {key: tuple(value.shape) for key, value in part.state_dict().items()} == {
        'up.0.weight': (1, 12, 2, 2),
        'up.0.bias': (1, 12, 1, 1),
        'mix.0.weight': (3, 4, 1, 1),
    }
    a = (-1 - (1 - 8 * Converse2D(1, 1, 1).lam.item()) ** 0.5) / 4
    kernels = torch.full((12, 4), a)
    kernels[torch.arange(12), 3 - torch.arange(12) % 4] *= -1
    earlier = {
        'up.0.weight': kernels.view(1, 12, 2, 2),
        'up.0.bias': torch.zeros(1, 12, 1, 1),
        'mix.0.weight': torch.full((3, 4, 1, 1), 0.5),
    }
    part.load_state_dict(earlier, strict=True)
    x = torch.randn(1, 12, 5, 4)
    torch.testing.assert_close(part(x), nn.PixelShuffle(2)(x), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize(
    'start', [{'kernel_init': 'ones'}, {'kernel_init': None}, {'lam_init': 0}, {'lam_init': '0.1'}, {'lam_init': 1.1}]
)
def test_what_is_no_start_is_refused(start: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r'_init must be .*, got '):
        Start(**start)


def test_shuffle_refuses_scale_1() -> None:
    with pytest.raises(ValueError, match='scale must be at least 2, got 1'):
        ConverseShuffle(3, 1)


@pytest.mark.parametrize('scale', [2, 3, 4])
def test_every_parameter_of_the_shuffle_learns(scale: int) -> None:
    part = ConverseShuffle(2, scale)
    part(torch.randn(1, 2 * scale**2, 5, 4)).square().sum().backward()
    assert all(p.grad.abs().max() > 0 for p in part.parameters())


@pytest.mark.parametrize('scale', [2, 4])
@pytest.mark.parametrize(('bias', 'groups'), [(True, 1), (False, 2)])
def test_convolution_before_it_starts_as_the_mean_over_each_block(scale: int, bias: bool, groups: int) -> None:
    conv = nn.Conv2d(4, 6 * scale**2, 3, padding=1, bias=bias, groups=groups)
    part = ConvThenConverse(conv, scale)
    x = torch.randn(2, 4, 6, 5)
    original = F.pixel_shuffle(conv(x), scale)
    blocks = F.interpolate(F.avg_pool2d(original, scale), scale_factor=scale, mode='nearest')
    torch.testing.assert_close(part(x), blocks, atol=1e-5, rtol=1e-5)


def test_original_filters_are_taken_from_a_checkpoint() -> None:
    conv, other = (nn.Conv2d(4, 24, 3, padding=1) for _ in range(2))
    net = nn.Sequential(ConvThenConverse(conv, 2))
    keys = net.load_state_dict({f'0.{name}': value for name, value in other.state_dict().items()}, strict=False)
    assert set(keys.missing_keys) == {'0.up.weight', '0.up.bias'}
    assert keys.unexpected_keys == []
    assert torch.equal(net[0].conv.weight, other.weight.view(6, 4, 4, 3, 3).mean(1))


def test_its_own_checkpoints_load_strictly() -> None:
    first, second = (ConvThenConverse(nn.Conv2d(4, 24, 3, padding=1), 2) for _ in range(2))
    with torch.no_grad():
        first.up.weight.mul_(2)
    second.load_state_dict(first.state_dict())
    x = torch.randn(1, 4, 5, 5)
    assert_identical(first(x), second(x))


def test_filters_of_another_shape_are_unexpected() -> None:
    part = ConvThenConverse(nn.Conv2d(4, 24, 3, padding=1), 2)
    before = part.conv.weight.clone()
    keys = part.load_state_dict(nn.Conv2d(4, 8, 3).state_dict(), strict=False)
    assert set(keys.unexpected_keys) == {'weight', 'bias'}
    assert torch.equal(part.conv.weight, before)


@pytest.mark.parametrize('scale', [2, 4])
def test_nearest_and_convolution_start_alike(scale: int) -> None:
    conv = nn.Conv2d(4, 6, 3, padding=1)
    part = UpsampledConv2d(conv, scale)
    x = F.interpolate(torch.randn(2, 4, 6, 5), scale_factor=scale, mode='nearest')
    torch.testing.assert_close(part(x), conv(x))
    assert part.weight is conv.weight
    assert set(part.state_dict()) > {'weight', 'bias'}


@pytest.mark.parametrize(
    ('channels', 'kernel_size', 'groups'),
    [((6, 4), 4, 1), ((6, 4), 2, 2), ((12, 3), 4, 1), ((5, 5), 4, 5), ((3, 6), 3, 3)],
)
def test_transposed_convolution_keeps_its_answer_to_flat_maps(
    channels: tuple[int, int], kernel_size: int, groups: int
) -> None:
    conv = nn.ConvTranspose2d(
        *channels, kernel_size, 2, (kernel_size - 1) // 2, output_padding=kernel_size % 2, groups=groups
    )
    part = replace_transposed(conv)
    x = torch.randn(1, channels[0], 1, 1).expand(1, channels[0], 6, 6)
    answer = part(x)
    assert answer.shape == conv(x).shape
    if groups < channels[0] or channels[0] != channels[1]:
        mean = conv(x)[..., 4:8, 4:8].mean((-2, -1))
        torch.testing.assert_close(answer.mean((-2, -1)), mean, atol=1e-5, rtol=1e-4)
    else:
        torch.testing.assert_close(answer.mean((-2, -1)), x.mean((-2, -1)), atol=1e-5, rtol=1e-4)


def test_an_image_is_mixed_after_the_operator() -> None:
    assert [name for name, _ in replace_transposed(nn.ConvTranspose2d(12, 3, 4, 2, 1)).named_children()] == [
        'up',
        'conv',
    ]
    assert [name for name, _ in replace_transposed(nn.ConvTranspose2d(12, 6, 4, 2, 1)).named_children()] == [
        'conv',
        'up',
    ]


@pytest.mark.parametrize(
    ('mode', 'expected'), [('zeros', 'constant'), ('reflect', 'reflect'), ('circular', 'circular')]
)
def test_depthwise_convolution_keeps_kernel_size_and_border(mode: str, expected: str) -> None:
    conv = nn.Conv2d(6, 6, (3, 5), padding=(1, 2), groups=6, padding_mode=mode)
    part = replace_depthwise(conv)
    operator = part.converse
    assert isinstance(operator, Converse2D)
    assert (operator.kernel_size, operator.scale, operator.padding_mode) == ((3, 5), 1, expected)
    x = torch.randn(1, 6, 9, 8)
    assert part(x).shape == conv(x).shape
    # No key of the original under another shape: its checkpoints load with strict=False.
    assert part.state_dict().keys().isdisjoint(conv.state_dict())
