"""Devices without float64: what needs it is made on the CPU, and everything else stays on the device."""

import copy
from types import SimpleNamespace

import pytest
import torch
from pretend_device import PRETENDED, pretended_device
from torch import nn

from converse_basicsr.archs import ConverseDnCNN, ConverseSRResNet, ConverseUSRNet, USRNet
from converse_basicsr.inspection.network import inspect_network
from converse_basicsr.ops import Converse2D, converse2d, transfer
from converse_basicsr.ops.cache import filter_cache
from converse_basicsr.ops.float64 import has_float64
from converse_basicsr.ops.inference import solve_in_blocks
from converse_basicsr.surgery.parts import _start_as_zero_insertion

pytestmark = pytest.mark.usefixtures('cpu_only')

KERNEL = torch.full((1, 1, 7, 7), 1 / 49)
NETWORKS = {
    'ConverseDnCNN': (lambda: ConverseDnCNN(num_feat=4, num_block=1), (1,), ()),
    'ConverseSRResNet': (lambda: ConverseSRResNet(num_feat=4, num_block=1, upscale=2), (3,), ()),
    'ConverseUSRNet': (lambda: ConverseUSRNet(num_feat=4, num_block=1, num_iter=2), (3,), (KERNEL, 2)),
    'USRNet': (lambda: USRNet(num_feat=2, num_block=1, num_iter=2), (3,), (KERNEL, 2, torch.full((2,), 0.1))),
}


def moved(values, device):
    return [value.to(device) if torch.is_tensor(value) else value for value in values]


@pytest.mark.parametrize('refused', [torch.Tensor.double, lambda x: x.to('cpu', torch.float64), lambda x: x + KERNEL])
def test_the_pretended_device_refuses_what_devices_without_float64_refuse(refused) -> None:
    with pretended_device() as device:
        x = KERNEL.to(device)
        assert (x + x).device == device
        with pytest.raises((TypeError, RuntimeError), match='pretended'):
            refused(x)


@pytest.mark.parametrize('name', NETWORKS)
def test_networks_compute_and_train_as_on_the_cpu(name: str) -> None:
    build, channels, conditions = NETWORKS[name]
    torch.manual_seed(0)
    net, x = build(), torch.rand(2, *channels, 9, 8)
    expected = net(x, *conditions)
    expected.square().mean().backward()
    with pretended_device() as device:
        there = copy.deepcopy(net)
        there.zero_grad()
        there = there.to(device)
        actual = there(*moved((x, *conditions), device))
        assert actual.device == PRETENDED
        actual.square().mean().backward()
        gradients = [parameter.grad.cpu() for parameter in there.parameters()]
        torch.testing.assert_close(actual.detach().cpu(), expected.detach(), rtol=1e-4, atol=1e-4)
    for parameter, gradient in zip(net.parameters(), gradients):
        scale = float(parameter.grad.abs().max())
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-3, atol=1e-4 * scale + 1e-9)


def test_second_derivatives_are_those_of_the_cpu() -> None:
    torch.manual_seed(0)
    values = (torch.rand(1, 2, 6, 5), torch.rand(1, 2, 3, 3), torch.rand(1, 2, 1, 1) + 0.1)

    def second(device):
        inputs = [value.to(device).requires_grad_() for value in values]
        (first,) = torch.autograd.grad(converse2d(*inputs).square().sum(), inputs[1], create_graph=True)
        return [gradient.cpu() for gradient in torch.autograd.grad(first.square().sum(), inputs)]

    expected = second('cpu')
    with pretended_device() as device:
        actual = second(device)
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize('scale', [1, 2])
def test_filters_are_stored_on_the_device_until_their_kernel_changes(monkeypatch, scale: int) -> None:
    """Making them on the CPU and moving them would otherwise be done in every call."""
    torch.manual_seed(0)
    layer, x = Converse2D(3, 3, 3, scale), torch.rand(2, 3, 7, 6)
    made = []
    original = transfer.inverse_filter
    monkeypatch.setattr(transfer, 'inverse_filter', lambda *args: made.append(1) or original(*args))
    filter_cache.clear()

    def solve(kernel, lam, x):
        return solve_in_blocks(x, kernel, lam, scale, 2, 2, 'circular', owner=layer)

    with torch.no_grad(), pretended_device() as device:
        kernel, lam, there = (value.to(device) for value in (layer.weight.detach(), layer.lam, x))
        outputs = [solve(kernel, lam, there) for _ in range(3)]
        assert len(made) == 2  # stored when asked for twice
        expected = layer(x)
        for output in outputs:
            assert output.device == PRETENDED
            torch.testing.assert_close(output.cpu(), expected, rtol=1e-5, atol=1e-5)
        kernel.mul_(2)
        layer.weight.mul_(2)
        torch.testing.assert_close(solve(kernel, lam, there).cpu(), layer(x), rtol=1e-5, atol=1e-5)
    filter_cache.clear()


def test_networks_are_inspected_and_parts_started_where_they_are() -> None:
    torch.manual_seed(0)
    net = ConverseDnCNN(num_feat=4, num_block=1)
    expected = inspect_network(net, grid=8)
    with pretended_device() as device:
        (actual,) = inspect_network(copy.deepcopy(net).to(device), grid=8)
        torch.testing.assert_close(actual.filters.peak, expected[0].filters.peak)
        with torch.device(device):
            up, mix = Converse2D(8, 8, 2, scale=2), nn.Conv2d(8, 8, 1, groups=8)
            _start_as_zero_insertion(up, mix)
        assert up.weight.detach().max().item() == 0.5


def test_gpus_of_intel_are_asked_and_unknown_devices_taken_to_be_without(monkeypatch) -> None:
    assert [has_float64(torch.device(kind)) for kind in ('cpu', 'cuda', 'meta', 'mps', 'privateuseone')] == [
        *(True, True, True),
        *(False, False),
    ]
    for has in (True, False):
        monkeypatch.setattr('torch.xpu.get_device_properties', lambda device, has=has: SimpleNamespace(has_fp64=has))
        assert has_float64(torch.device('xpu', 1)) is has
