import pytest
import torch
import torch.nn.functional as F
from devices import seeded
from torch_versions import compiles_networks

from converse_basicsr.blocks import OPERATORS, ConverseBlock


def randomise(module):
    """Move every parameter off its start, so that zero gains hide nothing."""
    generator = seeded(0)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return module


@pytest.mark.parametrize('alpha', [False, True])
@pytest.mark.parametrize('operator', OPERATORS)
def test_equals_its_formula(operator, alpha):
    block = randomise(ConverseBlock(4, kernel_size=3, operator=operator, alpha=alpha).double())
    x = torch.randn(2, 4, 7, 6, dtype=torch.float64)

    def norm(y, layer):
        return F.layer_norm(y.permute(0, 2, 3, 1), (4,), layer.weight, layer.bias, 1e-5).permute(0, 3, 1, 2)

    a, b = block.conv1, block.conv2
    gain1, gain2 = (block.alpha1, block.alpha2) if alpha else (1, 1)
    y = x + gain1 * a[5](F.gelu(a[3](F.gelu(a[1](norm(x, a[0]))))))
    y = y + gain2 * b[3](F.gelu(b[1](norm(y, b[0]))))
    torch.testing.assert_close(block(x), y)


def test_alpha_starts_as_identity():
    x = torch.randn(1, 4, 5, 5)
    assert torch.equal(ConverseBlock(4, alpha=True)(x), x)
    assert 'alpha1' not in ConverseBlock(4).state_dict()


@pytest.mark.parametrize('operator', OPERATORS)
def test_parameter_count_does_not_depend_on_the_operator(operator):
    assert sum(p.numel() for p in ConverseBlock(64, kernel_size=5, operator=operator).parameters()) == 36736


@pytest.mark.parametrize('operator', OPERATORS)
def test_inference_equals_training_and_spares_the_input(operator):
    block = randomise(ConverseBlock(4, operator=operator))
    x = torch.randn(2, 4, 8, 8)
    before, trained = x.clone(), block(x)
    with torch.inference_mode():
        torch.testing.assert_close(block.eval()(x), trained.detach(), atol=1e-5, rtol=1e-5)
    assert torch.equal(x, before)


@compiles_networks
@pytest.mark.parametrize('alpha', [False, True])
def test_compiles_to_one_graph(alpha):
    block = randomise(ConverseBlock(4, kernel_size=3, alpha=alpha))
    compiled = torch.compile(block, fullgraph=True, backend='aot_eager')
    x = torch.randn(1, 4, 6, 5)
    torch.testing.assert_close(compiled(x), block(x))
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), block(x))
    compiled(x).square().sum().backward()
    assert all(p.grad is not None for p in block.parameters())
