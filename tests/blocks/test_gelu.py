import torch
import torch.nn.functional as F

from converse_basicsr.blocks import GELU, gelu


def test_equals_exact_gelu_with_and_without_gradients():
    x = torch.randn(50, requires_grad=True)
    expected = F.gelu(x)
    assert torch.equal(gelu(x), expected)
    with torch.no_grad():
        assert torch.equal(GELU()(x.clone()), expected)


def test_memory_is_reused_only_without_gradients():
    x = torch.randn(50)
    assert gelu(x).data_ptr() != x.data_ptr()
    with torch.inference_mode():
        assert gelu(x).data_ptr() == x.data_ptr()


def test_gradient():
    x = torch.randn(9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(gelu, (x,))
