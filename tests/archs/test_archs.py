"""What every network has to satisfy, at a tiny size."""

import copy
import inspect

import pytest
import torch
from devices import assert_identical, seeded
from torch_versions import compiles_networks

from converse_basicsr import archs
from converse_basicsr.archs import (
    ConverseDnCNN,
    ConverseNet,
    ConverseSRResNet,
    ConverseUpSRResNet,
    ConverseUSRNet,
    DnCNN,
    USRNet,
)

OPERATORS = ['conv', 'converse', 'convtranspose']
NETWORKS = {
    'DnCNN': (DnCNN, {'num_feat': 4, 'num_layer': 4}),
    'DnCNN-merged': (DnCNN, {'num_feat': 4, 'num_layer': 4, 'norm': 'none'}),
    'USRNet': (USRNet, {'num_feat': 2, 'num_block': 1, 'num_iter': 2, 'num_hidden': 4}),
}
for _operator in OPERATORS:
    _options = {'num_feat': 4, 'num_block': 2, 'operator': _operator}
    NETWORKS |= {
        f'ConverseDnCNN-{_operator}': (ConverseDnCNN, _options),
        f'ConverseSRResNet-{_operator}': (ConverseSRResNet, _options),
        f'ConverseUpSRResNet-{_operator}': (ConverseUpSRResNet, _options),
        f'ConverseNet-{_operator}': (ConverseNet, _options | {'num_iter': 2}),
        f'ConverseUSRNet-{_operator}': (ConverseUSRNet, _options | {'num_iter': 2, 'num_kernel_feat': 3}),
    }
every_network = pytest.mark.parametrize('name', NETWORKS)


def build(name, seed=0, **options):
    """The network with every parameter moved off its start, so that zero gains and biases hide nothing."""
    cls, defaults = NETWORKS[name]
    torch.manual_seed(seed)
    net = cls(**(defaults | options))
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn(p.shape))
    return net.eval()


def inputs(net, batch=2, height=11, width=9, dtype=torch.float32, scale=1):
    generator = seeded(7)
    channels = net.model[0].in_channels if isinstance(net, DnCNN) else 3
    if isinstance(net, ConverseDnCNN):
        channels = net.m_head[0].in_channels
    x = torch.rand(batch, channels, height, width, generator=generator).to(dtype)
    kernel = torch.rand(batch, 1, 7, 7, generator=generator).to(dtype)
    kernel = kernel / kernel.sum((-2, -1), keepdim=True)
    if isinstance(net, ConverseUSRNet):
        return x, kernel, scale
    if isinstance(net, USRNet):
        return x, kernel, scale, torch.linspace(0.01, 0.05, batch)
    return (x,)


def output_scale(net):
    return getattr(net, 'upscale', 1)


@every_network
@pytest.mark.parametrize(('height', 'width'), [(16, 16), (11, 7), (5, 12)])
def test_any_size(name, height, width):
    net = build(name)
    x, *rest = inputs(net, 1, height, width)
    with torch.no_grad():
        y = net(x, *rest)
    assert y.shape == (1, x.shape[1], output_scale(net) * height, output_scale(net) * width)
    assert y.isfinite().all()


@every_network
def test_every_parameter_gets_a_gradient(name):
    net = build(name).train()
    net(*inputs(net)).square().sum().backward()
    missing = [key for key, p in net.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    if name == 'DnCNN':  # a constant added before batch normalisation is subtracted again
        missing = [key for key in missing if not is_before_batchnorm(net, key)]
    assert not missing


def is_before_batchnorm(net, key):
    _, index, kind = key.split('.')
    return kind == 'bias' and isinstance(net.model[int(index) + 1], torch.nn.BatchNorm2d)


@every_network
def test_batch_equals_its_singles(name):
    net = build(name)
    x, *rest = inputs(net, batch=3)
    with torch.no_grad():
        batch = net(x, *rest)
        singles = [net(x[i : i + 1], *(r[i : i + 1] if torch.is_tensor(r) else r for r in rest)) for i in range(3)]
    torch.testing.assert_close(batch, torch.cat(singles), atol=1e-5, rtol=1e-4)


@every_network
def test_copies_are_equal(name):
    net = build(name)
    arguments = inputs(net)
    other = build(name, seed=1)
    with torch.no_grad():
        expected = net(*arguments)
        assert not torch.allclose(other(*arguments), expected)
        other.load_state_dict(net.state_dict(), strict=True)
        assert_identical(other(*arguments), expected)
        assert_identical(copy.deepcopy(net)(*arguments), expected)


@pytest.mark.parametrize('name', [name for name in NETWORKS if name != 'DnCNN'])
def test_train_equals_eval_without_batchnorm(name):
    net = build(name)
    arguments = inputs(net)
    with torch.no_grad():
        expected = net(*arguments)
    torch.testing.assert_close(net.train()(*arguments), expected, atol=1e-5, rtol=1e-4)


@every_network
def test_double_precision(name):
    net = build(name)
    with torch.no_grad():
        single = net(*inputs(net))
        double = net.double()(*inputs(net, dtype=torch.float64))
    assert double.dtype == torch.float64
    torch.testing.assert_close(single.double(), double, atol=1e-4, rtol=1e-3)


@every_network
def test_autocast_trains(name, device):
    net = build(name).train()
    with torch.no_grad():
        expected = copy.deepcopy(net)(*inputs(net))
    with torch.autocast(device.type, torch.bfloat16):
        y = net(*inputs(net))
    y.float().square().sum().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())
    assert (y - expected).abs().mean() < 0.1 * expected.abs().mean()


@every_network
def test_it_runs_where_there_is_no_autocast(name):
    """On ``meta``, say, which tells shapes; ``mps`` had none before torch 2.5."""
    with torch.device('cpu'):
        net = build(name)
        arguments = inputs(net)
        shape = net(*arguments).shape
    there = (value.to('meta') if torch.is_tensor(value) else value for value in arguments)
    assert net.to('meta')(*there).shape == shape


@every_network
def test_it_computes_on_its_device_what_it_computes_on_the_cpu(name, device):
    """Whatever torch's default device is, a network makes its tensors where its parameters are."""
    with torch.device('cpu'):
        net = build(name)
        arguments = inputs(net)
        moved = copy.deepcopy(net).to(device)
        y = moved(*(value.to(device) if torch.is_tensor(value) else value for value in arguments))
        y.square().mean().backward()
    assert y.device.type == device.type
    torch.testing.assert_close(y.cpu(), net(*arguments), atol=1e-4, rtol=1e-3)


@pytest.mark.slow
@compiles_networks
@every_network
def test_compiles_to_one_graph(name):
    net = build(name)
    arguments = inputs(net)
    compiled = torch.compile(net, fullgraph=True, backend='aot_eager', dynamic=False)
    with torch.no_grad():
        torch.testing.assert_close(compiled(*arguments), net(*arguments), atol=1e-5, rtol=1e-4)


EFFECTS = {
    'DnCNN': [{'num_in_ch': 3, 'num_out_ch': 3}, {'num_feat': 6}, {'num_layer': 5}, {'norm': 'none'}],
    'USRNet': [
        {'num_in_ch': 1, 'num_out_ch': 1},
        {'num_feat': 3},
        {'num_block': 2},
        {'num_iter': 3},
        {'num_hidden': 5},
    ],
}
_CONVERSE = [
    {'num_feat': 6},
    {'num_block': 3},
    {'operator': 'conv'},
    {'operator': 'convtranspose'},
    {'kernel_init': 'normal'},
    {'kernel_init': 'uniform'},
    {'lam_init': 0.1},
]
_BLOCKS = [*_CONVERSE, {'kernel_size': 4}, {'padding': 1}, {'padding_mode': 'constant'}, {'padding_mode': 'reflect'}]
_COLOUR = {'num_in_ch': 1, 'num_out_ch': 1}
EFFECTS |= {
    'ConverseDnCNN-converse': [*_BLOCKS, {'num_in_ch': 2}, {'num_out_ch': 2}],
    'ConverseNet-converse': [*_BLOCKS, {'num_in_ch': 1}, {'num_out_ch': 1}, {'num_iter': 3}],
    'ConverseSRResNet-converse': [
        *_BLOCKS,
        _COLOUR,
        {'upscale': 2},
        {'upscale': 3},
        {'up_kernel_init': 'normal'},
        {'up_lam_init': 0.1},
    ],
    'ConverseUpSRResNet-converse': [*_CONVERSE, _COLOUR, {'upscale': 2}, {'upscale': 3}],
    'ConverseUSRNet-converse': [
        *_BLOCKS,
        {'num_in_ch': 1},
        {'num_out_ch': 1},
        {'num_iter': 3},
        {'blur_kernel_size': 5},
        {'num_kernel_feat': 2},
        {'num_hidden': 5},
        {'data_lam_init': 0.1},
    ],
}


def start(name, **options):
    """State and (where the input fits) output of a network at a fixed seed."""
    net = build(name, **options)
    shapes = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    if options.keys() & {'num_in_ch', 'num_out_ch', 'blur_kernel_size'}:
        return shapes, None
    with torch.no_grad():
        return shapes, net(*inputs(net))


@pytest.mark.parametrize(('name', 'options'), [(name, options) for name in EFFECTS for options in EFFECTS[name]])
def test_every_argument_has_an_effect(name, options):
    (shapes, output), (other_shapes, other_output) = start(name), start(name, **options)
    if shapes == other_shapes:
        assert output.shape != other_output.shape or not torch.allclose(output, other_output, atol=1e-4)


@pytest.mark.parametrize('name', EFFECTS)
def test_no_argument_is_left_out_above(name):
    tried = {key for options in EFFECTS[name] for key in options}
    untried = set(inspect.signature(NETWORKS[name][0]).parameters) - tried
    # At scale 4 the upsampler's kernels stay within a sample's block: the border shows at scale 3 (next test).
    assert untried == ({'padding_mode'} if name == 'ConverseUpSRResNet-converse' else set())


@pytest.mark.parametrize('operator', OPERATORS)
def test_padding_mode_of_the_upsampler(operator):
    name = f'ConverseUpSRResNet-{operator}'
    outputs = [start(name, upscale=3, padding_mode=mode)[1] for mode in ('replicate', 'constant')]
    assert not torch.allclose(*outputs, atol=1e-4)


@every_network
@pytest.mark.parametrize('argument', ['num_feat', 'num_block', 'num_iter', 'num_layer', 'num_in_ch'])
def test_bad_sizes_are_refused(name, argument):
    cls, options = NETWORKS[name]
    if argument not in inspect.signature(cls).parameters:
        return
    with pytest.raises(ValueError, match=r'must be .*, got'):
        cls(**(options | {argument: 0}))


@every_network
def test_bad_choices_are_refused(name):
    cls, options = NETWORKS[name]
    choices = inspect.signature(cls).parameters.keys() & {'operator', 'padding_mode', 'norm', 'upscale'}
    for argument in choices:
        with pytest.raises(ValueError, match=f'{argument} must be one of .*, got'):
            cls(**(options | {argument: 'other' if argument != 'upscale' else 5}))


@pytest.mark.parametrize('cls', [DnCNN, USRNet, ConverseSRResNet, ConverseUpSRResNet])
def test_channels_that_must_agree(cls):
    with pytest.raises(ValueError, match=r'num_out_ch must be num_in_ch \(3\), got 1'):
        cls(3, 1)


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ('cls', 'options', 'expected'),
    [
        (DnCNN, {}, 557_057),
        (DnCNN, {'norm': 'none'}, 555_137),
        (USRNet, {}, 17_016_016),
        *(
            (cls, {'operator': operator} | options, expected)
            for operator in OPERATORS
            for cls, options, expected in [
                (ConverseDnCNN, {}, 734_913),
                (ConverseDnCNN, {'kernel_size': 7}, 796_353),
                (ConverseSRResNet, {'upscale': 2}, 662_016),
                (ConverseSRResNet, {'upscale': 3}, 662_336),
                (ConverseSRResNet, {}, 699_072),
                (ConverseUpSRResNet, {'upscale': 2}, 1_259_395),
                (ConverseUpSRResNet, {'upscale': 3}, 1_259_715),
                (ConverseUpSRResNet, {}, 1_296_643),
                (ConverseNet, {}, 243_267),
                # The reverse convolution's data step has a lam a channel, the twins' has none.
                (ConverseUSRNet, {}, 307_987 if operator == 'converse' else 307_923),
            ]
        ),
    ],
)
def test_parameter_count(cls, options, expected):
    with torch.device('meta'):
        net = cls(**options)
    assert count(net) == expected


def test_everything_exported_is_tried():
    tried = {cls.__name__ for cls, _ in NETWORKS.values()}
    assert tried == set(archs.__all__) - {'merge_batchnorm'}
