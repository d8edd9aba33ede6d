import pytest
import torch
import torch.nn.functional as F

from converse_basicsr.blocks import DepthwiseConv2d, DepthwiseConvTranspose2d

MODES = ['circular', 'constant', 'reflect', 'replicate']
BOTH = [DepthwiseConv2d, DepthwiseConvTranspose2d]


def double(cls, *args, **options):
    return cls(*args, **options).double()


def zero_insert(x, scale):
    y = x.new_zeros(*x.shape[:2], scale * x.shape[2], scale * x.shape[3])
    y[..., ::scale, ::scale] = x
    return y


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('kernel_size', [1, 2, 3, 4, 5])
def test_conv_is_torch_same_convolution(mode, kernel_size):
    op = double(DepthwiseConv2d, 3, kernel_size, padding_mode=mode)
    x = torch.randn(2, 3, 7, 6, dtype=torch.float64)
    torch_mode = 'zeros' if mode == 'constant' else mode
    conv = torch.nn.Conv2d(3, 3, kernel_size, padding='same', padding_mode=torch_mode, groups=3).double()
    conv.load_state_dict(op.state_dict())
    torch.testing.assert_close(op(x), conv(x))


@pytest.mark.parametrize('scale', [1, 2, 3, 4])
@pytest.mark.parametrize('kernel_size', [1, 2, 3, 4, 5])
def test_transposed_is_zero_insertion_and_true_convolution(scale, kernel_size):
    op = double(DepthwiseConvTranspose2d, 2, kernel_size, scale=scale, padding_mode='circular')
    x = torch.randn(1, 2, 5, 6, dtype=torch.float64)
    up, centre = zero_insert(x, scale), (kernel_size - 1) // 2
    expected = op.bias.view(1, -1, 1, 1).expand_as(up).clone()
    for a in range(kernel_size):
        for b in range(kernel_size):
            expected = expected + op.weight[:, 0, a, b].view(1, -1, 1, 1) * up.roll((a - centre, b - centre), (2, 3))
    torch.testing.assert_close(op(x), expected)


@pytest.mark.parametrize('mode', MODES)
def test_twins_agree_up_to_the_turn_of_the_kernel(mode):
    conv = double(DepthwiseConv2d, 3, 5, padding_mode=mode)
    transposed = double(DepthwiseConvTranspose2d, 3, 5, padding_mode=mode)
    transposed.load_state_dict({'weight': conv.weight.flip(-2, -1), 'bias': conv.bias})
    x = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(conv(x), transposed(x))


def test_transposed_with_kernel_2_and_scale_2_is_torchs():
    op = double(DepthwiseConvTranspose2d, 2, 2, scale=2)
    x = torch.randn(1, 2, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(op(x), F.conv_transpose2d(x, op.weight, op.bias, stride=2, groups=2))


@pytest.mark.parametrize('scale', [2, 3])
def test_conv_upsamples_nearest_first(scale):
    op = double(DepthwiseConv2d, 2, 3, scale=scale)
    same = double(DepthwiseConv2d, 2, 3)
    same.load_state_dict(op.state_dict())
    x = torch.randn(1, 2, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(op(x), same(x.repeat_interleave(scale, -1).repeat_interleave(scale, -2)))


@pytest.mark.parametrize('cls', BOTH)
def test_parameters(cls):
    op = cls(6, 5)
    assert sum(p.numel() for p in op.parameters()) == 6 * 25 + 6
    op(torch.rand(1, 6, 8, 8)).square().sum().backward()
    assert all(p.grad.abs().max() > 0 for p in op.parameters())


@pytest.mark.parametrize('cls', BOTH)
def test_bad_arguments(cls):
    with pytest.raises(ValueError, match='kernel_size must be a positive integer, got 0'):
        cls(4, 0)
    with pytest.raises(ValueError, match=r"padding_mode must be one of \['circular'.*\], got 'zeros'"):
        cls(4, 3, padding_mode='zeros')
