import copy

import pytest
import torch
from torch import nn

from converse_basicsr import archs, surgery
from converse_basicsr.archs.converse_usrnet import ConverseDataStep
from converse_basicsr.errors import ArgumentError, UserError
from converse_basicsr.inspection import Layer, inspect_network
from converse_basicsr.ops import Converse2D

SMALL = {'num_feat': 4, 'num_block': 1}


def usrnet() -> archs.ConverseUSRNet:
    torch.manual_seed(0)
    return archs.ConverseUSRNet(**SMALL, num_iter=3, blur_kernel_size=5, num_kernel_feat=2, num_hidden=4)


@pytest.mark.parametrize(
    ('net', 'names'),
    [
        (archs.ConverseDnCNN(num_feat=4, num_block=2), ['m_body.0.conv1.3', 'm_body.1.conv1.3']),
        (
            archs.ConverseSRResNet(**SMALL, upscale=4),
            ['conv_body.0.conv1.3', 'upconv1.conv1.3', 'up1', 'upconv2.conv1.3', 'up2', 'conv_hres.conv1.3'],
        ),
        (usrnet(), ['d', 'p.m_body.0.conv1.3']),
        (Converse2D(2, 2, 3), ['Converse2D']),
        (nn.Sequential(nn.Conv2d(2, 2, 3), nn.ModuleDict({'a': Converse2D(2, 2, (3, 5), scale=3)})), ['1.a']),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_reverse_convolution_is_found(net: nn.Module, names: list[str]) -> None:
    layers = inspect_network(net, grid=8)
    assert sorted(layer.name for layer in layers) == sorted(names)
    modules = dict(net.named_modules()) | {'Converse2D': net}
    assert [layer.name for layer in layers] == [name for name in modules if name in names]
    for layer in layers:
        module = modules[layer.name]
        assert torch.equal(layer.lam, module.lam.double().flatten())
        assert layer.scale == getattr(module, 'scale', 1)
        if isinstance(module, Converse2D):
            assert torch.equal(layer.filters.kernel, module.weight[0].double())


def test_those_that_surgery_puts_in_are_found() -> None:
    net = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.PixelShuffle(2), nn.Conv2d(8, 3, 3, padding=1))
    (layer,) = inspect_network(surgery.replace(net, input_shape=(1, 3, 8, 8)), grid=8)
    assert (layer.name, layer.scale, len(layer.lam)) == ('0.up', 2, 8)


def test_those_of_mmcv_are_found() -> None:
    pytest.importorskip('mmengine')
    from converse_basicsr.mmcv import Converse

    assert [layer.name for layer in inspect_network(nn.Sequential(Converse(4)), grid=8)] == ['0']


def test_a_module_that_is_used_twice_is_one_layer_and_weights_may_be_computed() -> None:
    shared = Converse2D(2, 2, 3)
    assert len(inspect_network(nn.Sequential(shared, shared), grid=8)) == 1
    normal = nn.utils.parametrizations.weight_norm(Converse2D(2, 2, 3))
    (layer,) = inspect_network(normal, grid=8)
    assert torch.equal(layer.filters.kernel, normal.weight[0].detach().double())


def test_the_network_stays_as_it_is() -> None:
    net = usrnet().train()
    before = copy.deepcopy(net.state_dict())
    image, kernel = torch.rand(1, 3, 8, 8), torch.full((1, 1, 5, 5), 1 / 25)
    layers = inspect_network(net, grid=8, call=lambda: net(image, kernel))
    assert all(not layer.lam.requires_grad and not layer.filters.rms.requires_grad for layer in layers)
    assert net.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not net.d._forward_pre_hooks


def test_data_steps_are_measured_with_the_kernels_they_are_given() -> None:
    net = usrnet()
    with torch.no_grad():
        net.kernelnet.fc3.weight.normal_()
    image, kernel = torch.rand(1, 3, 8, 8), torch.rand(1, 1, 5, 5)
    layers = inspect_network(net, grid=8, call=lambda: net(image, kernel, scale=2))
    steps = [layer for layer in layers if layer.name.startswith('d ')]
    assert [(step.name, step.scale) for step in steps] == [('d (1)', 2), ('d (2)', 1), ('d (3)', 1)]
    for step, conv in zip(steps, net.convs):
        expected = conv(net.kernelnet(kernel))[0].double()
        torch.testing.assert_close(step.filters.kernel, expected, atol=0, rtol=0)
        assert torch.equal(step.lam, net.d.lam.double().flatten())


def test_without_their_kernels_the_lam_of_data_steps_is_known() -> None:
    step, *others = inspect_network(usrnet(), grid=8)
    assert (step.name, step.filters, len(step.lam)) == ('d', None, 4)
    assert all(layer.filters is not None for layer in others)


def test_hooks_go_when_the_call_fails() -> None:
    net = usrnet()
    with pytest.raises(ZeroDivisionError):
        inspect_network(net, call=lambda: 1 / 0)
    assert not net.d._forward_pre_hooks


def layer_with(bias: float, eps: float) -> Layer:
    module = Converse2D(1, 1, 3, eps=eps)
    nn.init.constant_(module.bias, bias)
    return inspect_network(module, grid=4)[0]


@pytest.mark.parametrize('eps', [0.0, 1e-5, 1e-3])
@pytest.mark.parametrize('bias', [-60, -20, -10, -5, 0, 5, 9, 11, 12, 20, 60])
def test_lam_is_saturated_where_its_logit_has_no_slope(bias: float, eps: float) -> None:
    if eps == 0 and bias == -60:
        bias = -30  # below that lam is so small that the filters are not finite
    logit = torch.tensor(bias - 9.0).double().requires_grad_()
    lam = logit.sigmoid() + eps
    (slope,) = torch.autograd.grad(lam.log(), logit)
    assert layer_with(bias, eps).saturated.item() == (slope.item() <= 0.1)


def test_both_data_steps_and_layers_can_be_saturated() -> None:
    step = ConverseDataStep(3)
    with torch.no_grad():
        step.alpha[0, :, 0, 0] = torch.tensor([-20.0, 5.0, 30.0])
    assert inspect_network(step)[0].saturated.tolist() == [True, False, True]


@pytest.mark.promise('`basicsr inspect` on a network without reverse convolutions')
@pytest.mark.parametrize('net', [archs.DnCNN(num_feat=4), archs.ConverseDnCNN(**SMALL, operator='conv'), nn.Identity()])
def test_networks_without_reverse_convolutions_are_refused(net: nn.Module) -> None:
    with pytest.raises(UserError, match=f'^{type(net).__name__} has no reverse convolution'):
        inspect_network(net)


@pytest.mark.promise('`basicsr inspect` on reverse convolutions whose weights or filters are not finite')
@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize('name', ['weight', 'bias'])
def test_layers_that_are_not_finite_are_named(value: float, name: str) -> None:
    net = archs.ConverseDnCNN(num_feat=2, num_block=6).double()
    for block in net.m_body[1:]:
        getattr(block.conv1[3], name).data[0, 1] = value
    if name == 'bias' and value > 0:  # a lam of 1 + eps, which is finite
        assert all(layer.saturated[1] for layer in inspect_network(net, grid=4)[1:])
        return
    with pytest.raises(UserError, match=r'm_body\.1\.conv1\.3, .*m_body\.3\.conv1\.3 and 2 more hold infinity or NaN'):
        inspect_network(net, grid=4)


def test_filters_that_are_not_finite_are_named() -> None:
    layer = Converse2D(1, 1, 3, eps=0)
    nn.init.zeros_(layer.weight)
    nn.init.constant_(layer.bias, -1000)  # lam is 0, and the filter 0 / 0
    with pytest.raises(UserError, match='filters of Converse2D hold infinity or NaN'):
        inspect_network(layer)


def test_kernels_from_outside_that_are_not_finite_are_named() -> None:
    net = usrnet()
    net.convs[1].weight.data[0] = float('nan')
    image, kernel = torch.rand(1, 3, 8, 8), torch.rand(1, 1, 5, 5)
    with pytest.raises(UserError, match=r'of d \(2\) hold'):
        inspect_network(net, grid=4, call=lambda: net(image, kernel))


@pytest.mark.parametrize('grid', [0, -1, 513])
def test_grids_out_of_range_are_refused(grid: int) -> None:
    with pytest.raises(ArgumentError, match=f'grid must be between 1 and 512, got {grid}'):
        inspect_network(Converse2D(1, 1, 3), grid=grid)
