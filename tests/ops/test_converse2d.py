"""The operator against the dense least-squares solution of its definition, and its layer."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from devices import seeded
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from converse_basicsr.ops import Converse2D, converse2d

MODES = ['circular', 'constant', 'reflect', 'replicate']


def degradation_matrix(kernel, height, width, scale):
    """T of one channel, from the definition, sample by sample."""
    kh, kw = kernel.shape
    matrix = torch.zeros(height * width, height * width * scale**2, dtype=torch.float64)
    for i in range(height):
        for j in range(width):
            for a in range(kh):
                for b in range(kw):
                    row, column = scale * i - (a - kh // 2), scale * j - (b - kw // 2)
                    target = (row % (scale * height)) * scale * width + column % (scale * width)
                    matrix[i * width + j, target] += kernel[a, b]
    return matrix


def dense(y, kernel, lam, scale, x0=None):
    """The minimiser for (N, C, H, W) by a dense solve a channel."""
    n, c, h, w = y.shape
    kernel, lam = kernel.expand(n, c, -1, -1), lam.expand(n, c, 1, 1)
    x0 = y.repeat_interleave(scale, -2).repeat_interleave(scale, -1) if x0 is None else x0
    out = torch.empty_like(x0)
    for i in range(n):
        for j in range(c):
            t = degradation_matrix(kernel[i, j], h, w, scale)
            normal = t.T @ t + lam[i, j].item() * torch.eye(t.shape[1], dtype=t.dtype)
            right = t.T @ y[i, j].flatten() + lam[i, j].item() * x0[i, j].flatten()
            out[i, j] = torch.linalg.solve(normal, right).view(x0.shape[-2:])
    return out


def relative(a, b):
    return ((a - b).norm() / b.norm()).item()


@settings(max_examples=60, deadline=None)
@given(
    scale=st.integers(1, 4),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    taps=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    lead=st.sampled_from([(1, 1), (1, 2), (2, 1), (2, 2)]),
    lam_lead=st.sampled_from([(1, 1), (1, 2), (2, 1), (2, 2)]),
    with_x0=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_equals_the_dense_solution(scale, size, taps, lead, lam_lead, with_x0, seed):
    generator = seeded(seed)
    y = torch.randn(2, 2, *size, dtype=torch.float64, generator=generator)
    kernel = torch.randn(*lead, *taps, dtype=torch.float64, generator=generator)
    lam = torch.rand(*lam_lead, 1, 1, dtype=torch.float64, generator=generator) + 0.01
    grid = (scale * size[0], scale * size[1])
    x0 = torch.randn(2, 2, *grid, dtype=torch.float64, generator=generator) if with_x0 else None
    expected = dense(y, kernel, lam, scale, x0)
    assert relative(converse2d(y, kernel, lam, scale, x0), expected) < 1e-9
    assert relative(converse2d(y.requires_grad_(), kernel, lam, scale, x0), expected) < 1e-9


@pytest.mark.parametrize('scale', range(1, 9))
@pytest.mark.parametrize('taps', [(1, 1), (1, 2), (2, 2), (3, 3), (4, 5), (8, 8), (7, 6)])
def test_satisfies_the_normal_equations(scale, taps):
    torch.manual_seed(0)
    y, lam = torch.randn(1, 1, 3, 5, dtype=torch.float64), torch.tensor(0.02, dtype=torch.float64).view(1, 1, 1, 1)
    kernel = torch.randn(1, 1, *taps, dtype=torch.float64)
    x = converse2d(y, kernel, lam, scale).flatten()
    t = degradation_matrix(kernel[0, 0], 3, 5, scale)
    x0 = F.interpolate(y, scale_factor=scale).flatten()
    residual = t.T @ (t @ x - y.flatten()) + lam.item() * (x - x0)
    assert residual.norm() < 1e-10 * x.norm()


def test_undoes_a_well_conditioned_blur():
    x = torch.randn(1, 3, 12, 9, dtype=torch.float64)
    kernel = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    kernel[0, 0, 1, 1], kernel[0, 0, 1, 2] = 1.0, 0.5
    # The centre is tap (1, 1), the other tap brings the sample on the left: x[n] + x[n - 1] / 2.
    blurred = x + 0.5 * x.roll(1, -1)
    restored = converse2d(blurred, kernel, torch.full((1, 1, 1, 1), 1e-12, dtype=torch.float64))
    assert relative(restored, x) < 1e-10


def test_a_batch_equals_its_singles():
    torch.manual_seed(0)
    x, kernel, lam = torch.randn(5, 7, 13, 11), torch.randn(5, 7, 4, 3), torch.rand(5, 1, 1, 1) + 0.01
    together = converse2d(x, kernel, lam, 2)
    for i in range(5):
        single = converse2d(x[i : i + 1], kernel[i : i + 1], lam[i : i + 1], 2)
        torch.testing.assert_close(together[i : i + 1], single)


@pytest.mark.usefixtures('cpu_only')
@pytest.mark.parametrize('scale', [1, 2])
def test_blocks_cut_anywhere_give_the_same(scale, monkeypatch):
    torch.manual_seed(0)
    x, lam = torch.randn(3, 5, 8, 9), torch.rand(1, 1, 1, 1) + 0.01
    for kernel in (torch.randn(1, 5, 3, 4), torch.randn(3, 1, 3, 4), torch.randn(3, 5, 3, 4)):
        inputs = [t.clone().requires_grad_() for t in (x, kernel, lam)]
        whole = converse2d(*inputs, scale)
        gradients = torch.autograd.grad(whole.square().sum(), inputs)
        for num_bytes in (1, 2 * 8 * 9 * 4, 7 * 8 * 9 * 4):
            monkeypatch.setattr('converse_basicsr.ops.blocking.BLOCK_BYTES', num_bytes)
            torch.testing.assert_close(converse2d(x, kernel, lam, scale), whole.detach())
            cut = converse2d(*inputs, scale)
            torch.testing.assert_close(cut, whole)
            for ours, theirs in zip(torch.autograd.grad(cut.square().sum(), inputs), gradients):
                torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
            monkeypatch.undo()


@pytest.mark.parametrize('scale', [1, 2, 3])
@pytest.mark.parametrize('lam', [1e-30, 1e-8, 1e8, 1e30])
@pytest.mark.parametrize('kind', ['random', 'zero kernel', 'constant input'])
@pytest.mark.parametrize('size', [2, 5])
def test_extremes_are_finite_and_right(scale, lam, kind, size):
    torch.manual_seed(0)
    y = torch.full((1, 2, 8, 6), 3.0) if kind == 'constant input' else torch.rand(1, 2, 8, 6)
    kernel = torch.randn(1, 2, size, size)
    if kind == 'zero kernel':
        kernel.zero_()
    elif kind == 'constant input':
        kernel = kernel.flatten(-2).softmax(-1).view_as(kernel)
    x = converse2d(y, kernel, torch.full((1, 1, 1, 1), lam), scale)
    assert x.isfinite().all()
    if kind != 'random' or lam > 1:
        # A zero kernel and a huge lam leave the start alone, and so does a constant under kernels of sum 1.
        torch.testing.assert_close(x, F.interpolate(y, scale_factor=scale), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('scale', [1, 2, 3])
@pytest.mark.parametrize('init', ['softmax', 'normal'])
def test_float32_is_as_good_as_float32_can_be(scale, init):
    torch.manual_seed(0)
    layer = Converse2D(16, 16, 5, scale, kernel_init=init)
    x = torch.randn(1, 16, 24, 22)
    for context in (torch.no_grad(), torch.enable_grad()):
        with context:
            low = layer(x)
            high = copy.deepcopy(layer).double()(x.double())
            assert relative(low, high) < 5e-7


def test_released_layers_are_accurate(shared_data):
    for name in ('converse_dncnn', 'converse_srresnet', 'conversenet'):
        state = torch.load(shared_data / 'model_zoo' / f'{name}.pth', map_location='cpu', weights_only=True)
        weights = [
            key for key, value in state.items() if value.ndim == 4 and value.shape[0] == 1 and value.shape[-1] > 1
        ]
        assert weights
        for key in weights:
            channels, size = state[key].shape[1:3]
            layer = Converse2D(channels, channels, size, scale=2 if size == 2 else 1)
            layer.load_state_dict({'weight': state[key], 'bias': state[key[: -len('weight')] + 'bias']})
            x = torch.randn(1, channels, 24, 22)
            with torch.no_grad():
                assert relative(layer(x), layer.double()(x.double())) < 1e-6


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtype_comes_back(dtype):
    x = torch.rand(1, 2, 6, 7, dtype=dtype)
    kernel, lam = torch.rand(1, 2, 3, 3, dtype=dtype), torch.full((1, 2, 1, 1), 0.1, dtype=dtype)
    for scale in (1, 2, 3):
        assert converse2d(x, kernel, lam, scale).dtype == dtype


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(('size', 'scale'), [(3, 1), (5, 2), (3, 3), (2, 2)])
def test_autocast_solves_in_float32(dtype, size, scale):
    torch.manual_seed(0)
    layer = Converse2D(4, 4, size, scale)
    x = torch.rand(2, 4, 7, 9)
    expected = layer(x)
    for context in (torch.no_grad(), torch.enable_grad()):
        with context, torch.autocast(x.device.type, dtype=dtype):
            assert torch.equal(layer(x), expected) or relative(layer(x), expected) < 1e-6
            rounded = layer(x.to(dtype))
            assert rounded.dtype == dtype
            torch.testing.assert_close(rounded, layer(x.to(dtype).float()).to(dtype))
    with torch.autocast(x.device.type, dtype=dtype):
        layer(x.to(dtype)).float().square().mean().backward()
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in layer.parameters())


@pytest.mark.parametrize('scale', [1, 2, 3])
@pytest.mark.parametrize('context', [torch.no_grad, torch.enable_grad])
def test_any_memory_layout(scale, context):
    torch.manual_seed(0)
    layer = Converse2D(4, 4, 3, scale)
    x = torch.rand(3, 4, 10, 9)
    with context():
        expected = layer(x)
        views = [
            x.to(memory_format=torch.channels_last),
            x.transpose(2, 3).contiguous().transpose(2, 3),
            torch.stack([x, x], -1)[..., 0],
            torch.cat([x, x], 1)[:, :4],
        ]
        for view in views:
            torch.testing.assert_close(layer(view), expected)


@pytest.mark.parametrize('scale', [1, 2, 3])
def test_empty_batch(scale):
    layer = Converse2D(4, 4, 3, scale)
    with torch.no_grad():
        assert layer(torch.rand(0, 4, 6, 5)).shape == (0, 4, 6 * scale, 5 * scale)
    x = torch.rand(0, 4, 6, 5, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.shape == x.shape
    assert all(p.grad.abs().sum() == 0 for p in layer.parameters())
    assert converse2d(x, torch.rand(0, 4, 3, 3), torch.rand(1, 1, 1, 1), scale).shape == (0, 4, 6 * scale, 5 * scale)


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize(
    ('taps', 'scale', 'padding'), [(3, 1, None), ((4, 5), 1, (2, 3)), (5, 2, None), (3, 3, 1), (2, 2, 2)]
)
def test_layer_is_pad_solve_crop(mode, taps, scale, padding):
    torch.manual_seed(0)
    layer = Converse2D(3, 3, taps, scale, padding, mode).double()
    rows, columns = layer.padding
    x = torch.randn(2, 3, 7, 8, dtype=torch.float64)
    padded = F.pad(x, (columns, columns, rows, rows), mode=mode)
    full = converse2d(padded, layer.weight, layer.lam, scale)
    expected = full[..., scale * rows : scale * (rows + 7), scale * columns : scale * (columns + 8)]
    with torch.no_grad():
        torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(layer(x), expected)


def test_padding_is_kernel_size_less_one_unless_given():
    assert Converse2D(1, 1, 5).padding == (4, 4)
    assert Converse2D(1, 1, (2, 7)).padding == (1, 6)
    assert Converse2D(1, 1, 5, padding=0).padding == (0, 0)


def test_circular_padding_is_not_a_no_op():
    torch.manual_seed(0)
    layer, bare = Converse2D(1, 1, 5), Converse2D(1, 1, 5, padding=0)
    bare.load_state_dict(layer.state_dict())
    x = torch.rand(1, 1, 9, 9)
    assert relative(layer(x), bare(x)) > 1e-3


def test_circular_padding_wraps_more_than_once():
    layer = Converse2D(1, 1, 3, padding=(7, 4)).double()
    x = torch.randn(1, 1, 3, 2, dtype=torch.float64)
    # 3 + 2 * 7 = 17 rows, 2 + 2 * 4 = 10 columns, beginning 7 and 4 samples before the map.
    tiled = x.repeat(1, 1, 7, 7)[..., 2 : 2 + 17, 0:10]
    expected = converse2d(tiled, layer.weight, layer.lam)[..., 7:10, 4:6]
    torch.testing.assert_close(layer(x), expected)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize('context', [torch.no_grad, torch.enable_grad])
def test_reflect_wider_than_the_map_is_refused(context):
    with context(), pytest.raises(ValueError, match='padding must be smaller than the map'):
        Converse2D(2, 2, 5, padding_mode='reflect')(torch.rand(1, 2, 4, 9))


def test_initialisation():
    torch.manual_seed(0)
    softmax = Converse2D(64, 64, 5)
    torch.testing.assert_close(softmax.weight.sum((-2, -1)), torch.ones(1, 64))
    assert (softmax.weight > 0).all()
    assert (softmax.bias == 0).all()
    torch.testing.assert_close(softmax.lam, torch.full((1, 64, 1, 1), torch.sigmoid(torch.tensor(-9.0)).item() + 1e-5))
    normal = Converse2D(64, 64, 5, kernel_init='normal').weight
    assert abs(normal.mean()) < 0.1
    assert abs(normal.std() - 1) < 0.1
    uniform = Converse2D(64, 64, 5, kernel_init='uniform').weight
    assert 0 <= uniform.min() < 0.01 < 0.99 < uniform.max() < 1
    given_lam = Converse2D(2, 2, 3, eps=1e-3, lam_init=0.05)
    torch.testing.assert_close(given_lam.lam, torch.full((1, 2, 1, 1), 0.05))


def test_state_dict_has_the_released_names_only():
    layer = Converse2D(6, 6, (3, 5))
    with torch.no_grad():
        layer(torch.rand(1, 6, 8, 8))
        layer(torch.rand(1, 6, 8, 8))
    shapes = {key: tuple(value.shape) for key, value in layer.state_dict().items()}
    assert shapes == {'weight': (1, 6, 3, 5), 'bias': (1, 6, 1, 1)}
    assert not list(layer.buffers())


def test_forward_leaves_the_module_as_it_was():
    layer = Converse2D(2, 2, 3).eval()
    before = dict(vars(layer))
    with torch.no_grad():
        layer(torch.rand(1, 2, 6, 6))
        layer(torch.rand(1, 2, 6, 6))
    assert vars(layer) == before
    assert torch.equal(pickle.loads(pickle.dumps(layer)).weight, layer.weight)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'out_channels': 5}, r'out_channels must be in_channels \(4\), got 5'),
        ({'in_channels': 0, 'out_channels': 0}, 'in_channels must be at least 1'),
        ({'kernel_size': 0}, 'kernel_size must be'),
        ({'kernel_size': (3, 3, 3)}, 'kernel_size must be'),
        ({'scale': 0}, 'scale must be'),
        ({'scale': 1.5}, 'scale must be'),
        ({'padding': -1}, 'padding must be'),
        ({'padding_mode': 'zeros'}, r"padding_mode must be one of \['circular', 'constant', 'reflect', 'replicate'\]"),
        ({'eps': -1.0}, 'eps must be'),
        ({'kernel_init': 'ones'}, r"kernel_init must be one of \[.*'softmax', .*\], got 'ones'"),
        ({'lam_init': 1e-6}, 'lam_init must be between'),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Converse2D(**{'in_channels': 4, 'out_channels': 4, 'kernel_size': 3, **arguments})


@pytest.mark.parametrize(
    ('shapes', 'message'),
    [
        (((2, 3, 4), (1, 3, 3, 3), (1, 3, 1, 1), None), 'x must be of shape'),
        (((2, 3, 4, 4), (3, 3, 3, 3), (1, 3, 1, 1), None), 'kernel must be of shape'),
        (((2, 3, 4, 4), (1, 2, 3, 3), (1, 3, 1, 1), None), 'kernel must be of shape'),
        (((2, 3, 4, 4), (1, 3, 3, 3), (1, 3, 2, 1), None), 'lam must be of shape'),
        (((2, 3, 4, 4), (1, 3, 3, 3), (3,), None), 'lam must be of shape'),
        (((2, 3, 4, 4), (1, 3, 3, 3), (1, 3, 1, 1), (2, 3, 4, 4)), 'x0 must be of shape'),
    ],
)
def test_wrong_shapes(shapes, message):
    x, kernel, lam, x0 = (None if shape is None else torch.rand(shape) for shape in shapes)
    with pytest.raises(ValueError, match=message):
        converse2d(x, kernel, lam, 2, x0)


def test_wrong_dtype_and_channels():
    with pytest.raises(ValueError, match='x must be of a floating dtype'):
        converse2d(torch.zeros(1, 1, 4, 4, dtype=torch.int64), torch.rand(1, 1, 3, 3), torch.rand(1, 1, 1, 1))
    with pytest.raises(ValueError, match=r'x must be of shape \(N, 4, H, W\), got \(1, 3, 8, 8\)'):
        Converse2D(4, 4, 3)(torch.rand(1, 3, 8, 8))


def test_threads_do_not_disturb_each_other():
    from concurrent.futures import ThreadPoolExecutor

    torch.manual_seed(0)
    layers = [Converse2D(3, 3, 3).eval() for _ in range(4)]
    inputs = [torch.rand(1, 3, size, size + 1) for size in (8, 9, 10)]
    expected = [[layer(x).detach() for x in inputs] for layer in layers]

    @torch.no_grad()
    def work(turn):
        i, j = turn % 4, turn % 3
        return torch.allclose(layers[i](inputs[j]), expected[i][j], atol=1e-6)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(400)))


def test_wrapped_replicas_agree():
    # What DataParallel does to a module on every call: its parameters become plain tensors that have a graph.
    layer = Converse2D(3, 3, 3)
    x = torch.rand(2, 3, 8, 8)
    replica = copy.copy(layer)
    replica.__dict__ = {**layer.__dict__, '_parameters': {}}
    replica.weight, replica.bias = layer.weight * 1, layer.bias * 1
    torch.testing.assert_close(replica(x), layer(x))
    with torch.no_grad():
        torch.testing.assert_close(replica(x), layer(x))
    if x.is_cuda or not torch.cuda.is_available():  # where there are GPUs, it wants the module on them
        assert isinstance(nn.DataParallel(layer)(x), torch.Tensor)
