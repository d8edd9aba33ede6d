"""The torch operators in every mode of torch: autograd of any order, compile, export, fake tensors, torch.func."""

import functools
import shutil

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch_versions import compiles_networks

from converse_basicsr.blocks import ConverseBlock
from converse_basicsr.ops import Converse2D, converse2d, torch_library
from converse_basicsr.ops.inference import solve_op
from converse_basicsr.ops.transfer import TERMS

# A GPU may take a sum in another order each time.
gradcheck = functools.partial(torch.autograd.gradcheck, nondet_tol=1e-10)
gradgradcheck = functools.partial(torch.autograd.gradgradcheck, nondet_tol=1e-10)

MODES = ['circular', 'constant', 'reflect', 'replicate']
# A kernel above the scale (filter), at it (taps only), and within the blocks (gains).
LAYERS = [(3, 1), ((2, 5), 2), (3, 3), (2, 2)]


def operands(batch, taps, scale, with_x0):
    torch.manual_seed(0)
    x = torch.randn(2, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(batch, 2, *taps, dtype=torch.float64, requires_grad=True)
    lam = (torch.rand(1, 2, 1, 1, dtype=torch.float64) + 0.1).requires_grad_()
    x0 = torch.randn(2, 2, 2 * scale, 3 * scale, dtype=torch.float64, requires_grad=True) if with_x0 else None
    return x, kernel, lam, x0


@pytest.mark.parametrize('scale', [1, 2, 3])
@pytest.mark.parametrize('batch', [1, 2])
@pytest.mark.parametrize(('taps', 'with_x0'), [((2, 2), False), ((3, 3), False), ((4, 5), False), ((2, 3), True)])
def test_first_and_second_derivatives(scale, batch, taps, with_x0):
    inputs = operands(batch, taps, scale, with_x0)

    def function(x, kernel, lam, x0):
        return converse2d(x, kernel, lam, scale, x0)

    assert gradcheck(function, inputs, fast_mode=True)
    assert gradgradcheck(function, inputs, fast_mode=True)


def test_every_entry_of_the_jacobian():
    x, kernel, lam, _ = operands(1, (3, 2), 1, False)
    assert gradcheck(converse2d, (x[:, :1].detach().requires_grad_(), kernel[:, :1], lam[:, :1]))
    assert gradgradcheck(converse2d, (x[:1, :1, :2, :2].detach().requires_grad_(), kernel[:, :1], lam[:, :1]))


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize(('size', 'scale'), [(3, 1), ((3, 4), 2)])
def test_derivatives_through_the_padding(mode, size, scale):
    torch.manual_seed(0)
    layer = Converse2D(1, 1, size, scale, padding=(1, 2), padding_mode=mode, lam_init=0.1).double()
    x = torch.randn(2, 1, 3, 4, dtype=torch.float64, requires_grad=True)

    def function(x, weight, bias):
        return torch.func.functional_call(layer, {'weight': weight, 'bias': bias}, (x,))

    assert gradcheck(function, (x, layer.weight, layer.bias), fast_mode=True)
    assert gradgradcheck(function, (x, layer.weight, layer.bias), fast_mode=True)


def test_third_derivative():
    kernel = torch.randn(1, 1, 2, 3, dtype=torch.float64)
    x, base = torch.randn(1, 1, 3, 4, dtype=torch.float64), torch.tensor(0.3, dtype=torch.float64)

    def derivatives(lam, order):
        value = converse2d(x, kernel, lam.view(1, 1, 1, 1)).square().sum()
        for _ in range(order):
            (value,) = torch.autograd.grad(value, lam, create_graph=True)
        return value.detach()

    step = 1e-4
    above, below = ((base + sign * step).requires_grad_() for sign in (1, -1))
    numeric = (derivatives(above, 2) - derivatives(below, 2)) / (2 * step)
    torch.testing.assert_close(derivatives(base.clone().requires_grad_(), 3), numeric, rtol=1e-5, atol=1e-6)


def test_only_small_tensors_and_the_input_are_kept():
    x, layer = torch.rand(8, 4, 20, 20, requires_grad=True), Converse2D(4, 4, 5)
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        layer(x)
    kept.pop(x.untyped_storage().data_ptr())
    assert 0 < sum(kept.values()) < x.nbytes / 2


def test_frozen_kernel_still_passes_the_gradient_on():
    layer = Converse2D(2, 2, 3).requires_grad_(False)
    x = torch.rand(1, 2, 6, 6, requires_grad=True)
    (grad,) = torch.autograd.grad(layer(x).square().sum(), x)
    layer.requires_grad_()
    torch.testing.assert_close(grad, torch.autograd.grad(layer(x).square().sum(), x)[0])


def complex_randn(*shape):
    return torch.randn(*shape, dtype=torch.complex64, requires_grad=True)


def real_randn(*shape):
    return torch.randn(*shape, requires_grad=True)


@pytest.mark.parametrize('geometry', [(0, 0, 'circular', False), (1, 2, 'reflect', True), (2, 1, 'circular', False)])
def test_opcheck_of_applying_the_filter(geometry):
    rows, columns, _, crop = geometry
    grid = (5 + 2 * rows, 6 + 2 * columns)
    x, otf = real_randn(2, 3, 5, 6), complex_randn(1, 3, grid[0], grid[1] // 2 + 1)
    torch.library.opcheck(torch_library.spectral_filter_op, (x, otf, *geometry))
    grad = real_randn(*(x.shape if crop else (2, 3, *grid)))
    torch.library.opcheck(torch_library.spectral_filter_backward_op, (grad, x, otf, *geometry))


@pytest.mark.slow
@pytest.mark.parametrize(('scale', 'term'), [*((1, term) for term in TERMS), (2, 'both'), (2, 'data')])
def test_opcheck_of_making_the_filter(scale, term):
    kernel, lam = real_randn(2, 3, 3, 4), (torch.rand(2, 3, 1, 1) + 0.1).requires_grad_()
    torch.library.opcheck(torch_library.inverse_filter_op, (kernel, lam, scale, 5, 6, term, torch.complex64))
    torch.library.opcheck(
        torch_library.inverse_filter_backward_op, (complex_randn(2, 3, 5, 4), kernel, lam, scale, term, 6)
    )


def loss_and_gradients(function, x, parameters):
    y = function(x)
    return [y, *torch.autograd.grad(y.square().mean(), (x, *parameters))]


@pytest.mark.slow
@pytest.mark.parametrize('dynamic', [False, True])
@pytest.mark.parametrize(('size', 'scale'), LAYERS)
def test_compile(size, scale, dynamic):
    torch.manual_seed(0)
    torch._dynamo.reset()
    layer = Converse2D(3, 3, size, scale)
    compiled = torch.compile(layer, fullgraph=True, dynamic=dynamic, backend='aot_eager')
    for height in (7, 9):
        x = torch.rand(2, 3, height, 8, requires_grad=True)
        expected = loss_and_gradients(layer, x, layer.parameters())
        for ours, theirs in zip(loss_and_gradients(compiled, x, layer.parameters()), expected):
            torch.testing.assert_close(ours, theirs)
        with torch.no_grad():
            torch.testing.assert_close(compiled(x), expected[0])


def test_compile_of_a_whole_block():
    torch.manual_seed(0)
    torch._dynamo.reset()
    block, x = ConverseBlock(4, kernel_size=3), torch.rand(1, 4, 7, 8, requires_grad=True)
    compiled = torch.compile(block, fullgraph=True, backend='aot_eager')
    expected = loss_and_gradients(block, x, block.parameters())
    for ours, theirs in zip(loss_and_gradients(compiled, x, block.parameters()), expected):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@compiles_networks
@pytest.mark.skipif(shutil.which('g++') is None, reason='the default backend of torch.compile needs a C++ compiler')
@pytest.mark.parametrize('build', [lambda: Converse2D(3, 3, 3), lambda: ConverseBlock(3, kernel_size=3)])
def test_compile_with_the_default_backend(build):
    torch.manual_seed(0)
    torch._dynamo.reset()
    net, x = build(), torch.rand(1, 3, 7, 8, requires_grad=True)
    expected = loss_and_gradients(net, x, net.parameters())
    for ours, theirs in zip(loss_and_gradients(torch.compile(net, fullgraph=True), x, net.parameters()), expected):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_compiled_inference_follows_the_parameters():
    torch._dynamo.reset()
    layer, x = Converse2D(3, 3, 3).eval(), torch.rand(1, 3, 7, 8)
    compiled = torch.compile(layer, fullgraph=True, backend='aot_eager')
    for _ in range(2):
        for _ in range(3):
            expected = layer(x).detach()
            with torch.no_grad():
                torch.testing.assert_close(compiled(x), expected)
        layer.weight.data.mul_(0.5)


def test_opcheck_of_inference():
    kernel, lam = torch.randn(1, 3, 3, 4), torch.rand(1, 3, 1, 1) + 0.1
    for scale in (1, 2):
        torch.library.opcheck(solve_op, (torch.rand(2, 3, 6, 5), kernel, lam, scale, 2, 3, 'circular'))


@pytest.mark.parametrize('context', [torch.no_grad, torch.enable_grad])
@pytest.mark.parametrize(('size', 'scale'), LAYERS)
def test_export(size, scale, context):
    layer, x = Converse2D(3, 3, size, scale).eval(), torch.rand(1, 3, 7, 8)
    height = torch.export.Dim('height', min=6, max=64)
    with context():
        program = torch.export.export(layer, (x,), dynamic_shapes={'x': {2: height}})
        for other in (x, torch.rand(1, 3, 12, 8)):
            torch.testing.assert_close(program.module()(other), layer(other))


@pytest.mark.parametrize('context', [torch.no_grad, torch.enable_grad])
@pytest.mark.parametrize(('size', 'scale'), LAYERS)
def test_shapes_without_data(size, scale, context):
    with context():
        layer = Converse2D(3, 3, size, scale)
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            assert layer(mode.from_tensor(torch.rand(2, 3, 7, 8))).shape == (2, 3, 7 * scale, 8 * scale)
        meta = layer.to('meta')(torch.rand(2, 3, 7, 8, device='meta'))
        assert meta.shape == (2, 3, 7 * scale, 8 * scale)
        assert meta.device.type == 'meta'


@pytest.mark.parametrize('scale', [1, 2])
def test_func_transforms(scale):
    x, kernel, lam, _ = (None if t is None else t.detach() for t in operands(1, (3, 3), scale, False))

    def loss(x, kernel, lam):
        return converse2d(x, kernel, lam, scale).square().sum()

    inputs = [t.clone().requires_grad_() for t in (x, kernel, lam)]
    expected = torch.autograd.grad(loss(*inputs), inputs)
    for ours, theirs in zip(torch.func.grad(loss, (0, 1, 2))(x, kernel, lam), expected):
        torch.testing.assert_close(ours, theirs)
    singly = torch.stack([converse2d(item[None], kernel, lam, scale) for item in x])
    torch.testing.assert_close(torch.func.vmap(lambda item: converse2d(item[None], kernel, lam, scale))(x), singly)
    per_sample = torch.func.vmap(torch.func.grad(lambda k, item: loss(item[None], k, lam)), in_dims=(None, 0))(
        kernel, x
    )
    torch.testing.assert_close(per_sample.sum(0), expected[1])
    second = torch.func.jacrev(torch.func.grad(loss, 2), 2)(x, kernel, lam).reshape(2, 2)
    assert gradcheck(lambda lam: torch.func.grad(loss, 2)(x, kernel, lam), (lam.clone().requires_grad_(),))
    torch.testing.assert_close(second, second.T)


@pytest.mark.parametrize('context', [torch.no_grad, torch.enable_grad])
def test_forward_mode_is_refused_and_not_silently_zero(context):
    layer, x = Converse2D(2, 2, 3), torch.rand(1, 2, 6, 6)
    with context():
        with pytest.raises(NotImplementedError, match='jvp'):
            torch.func.jvp(layer, (x,), (x,))
        with forward_ad.dual_level(), pytest.raises(NotImplementedError, match='jvp'):
            layer(forward_ad.make_dual(x, x))
