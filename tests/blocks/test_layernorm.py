import pytest
import torch
import torch.nn.functional as F
from devices import seeded

from converse_basicsr.blocks import LayerNorm2d, layer_norm2d


def reference(x, weight, bias, eps=1e-5):
    return F.layer_norm(x.permute(0, 2, 3, 1), weight.shape, weight, bias, eps).permute(0, 3, 1, 2)


def parameters(channels, dtype=torch.float64):
    generator = seeded(1)
    return [torch.randn(channels, generator=generator, dtype=dtype) for _ in range(2)]


@pytest.mark.parametrize('shape', [(2, 7, 5, 3), (1, 1, 4, 4), (3, 8, 1, 1), (0, 8, 4, 4)])
@pytest.mark.parametrize('eps', [1e-5, 1e-1])
def test_equals_layer_norm_over_channels(shape, eps):
    x = torch.randn(shape, dtype=torch.float64)
    weight, bias = parameters(shape[1])
    torch.testing.assert_close(layer_norm2d(x, weight, bias, eps), reference(x, weight, bias, eps))


def test_large_mean_costs_no_precision():
    x = torch.randn(2, 16, 5, 5) + 1e3
    weight, bias = parameters(16, torch.float32)
    expected = reference(x.double(), weight.double(), bias.double())
    assert (layer_norm2d(x, weight, bias) - expected).abs().max() < 1e-3


@pytest.mark.parametrize('layout', ['channels_last', 'strided', 'transposed'])
def test_memory_layout_is_irrelevant(layout):
    x = torch.randn(2, 6, 8, 8, dtype=torch.float64)
    other = {
        'channels_last': lambda: x.contiguous(memory_format=torch.channels_last),
        'strided': lambda: x.repeat_interleave(2, -1)[..., ::2],
        'transposed': lambda: x.mT.contiguous().mT,
    }[layout]()
    torch.testing.assert_close(layer_norm2d(other, *parameters(6)), layer_norm2d(x, *parameters(6)))


def test_input_is_left_alone():
    x = torch.randn(1, 4, 3, 3)
    before = x.clone()
    with torch.no_grad():
        LayerNorm2d(4)(x)
    assert torch.equal(x, before)


def test_first_and_second_derivatives():
    x = torch.randn(2, 5, 3, 2, dtype=torch.float64, requires_grad=True)
    arguments = (x, *(p.requires_grad_() for p in parameters(5)))
    assert torch.autograd.gradcheck(layer_norm2d, arguments)
    assert torch.autograd.gradgradcheck(layer_norm2d, arguments)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    x = (100 * torch.randn(2, 64, 4, 4)).to(dtype)  # squares overflow float16
    weight, bias = parameters(64, torch.float32)
    y = layer_norm2d(x, weight, bias)
    assert y.dtype == dtype
    torch.testing.assert_close(y, reference(x.float(), weight, bias).to(dtype))


def test_vmap_over_an_ensemble():
    x = torch.randn(3, 2, 4, 3, 3)
    weights, biases = torch.randn(3, 4), torch.randn(3, 4)
    y = torch.func.vmap(layer_norm2d, in_dims=(0, 0, 0))(x, weights, biases)
    torch.testing.assert_close(y, torch.stack([layer_norm2d(*member) for member in zip(x, weights, biases)]))


def test_module_holds_gain_and_offset():
    norm = LayerNorm2d(4, eps=0.5)
    assert {k: tuple(v.shape) for k, v in norm.state_dict().items()} == {'weight': (4,), 'bias': (4,)}
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(2, 4, 3, 3)
    torch.testing.assert_close(norm(x), reference(x, norm.weight, norm.bias, 0.5))


def test_bad_input():
    with pytest.raises(ValueError, match='num_feat must be a positive integer, got 0'):
        LayerNorm2d(0)
    with pytest.raises(ValueError, match=r'x must be of shape \(N, 4, H, W\), got \(2, 3, 5, 5\)'):
        LayerNorm2d(4)(torch.rand(2, 3, 5, 5))
