"""Finding logits of lam and kernels, wherever reverse convolutions are."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from converse_basicsr import archs
from converse_basicsr.blocks import ConverseBlock
from converse_basicsr.ops import Converse2D
from converse_basicsr.ops.roles import parameters_of
from converse_basicsr.surgery import replace

SMALL = {'num_feat': 4, 'num_block': 1}


@pytest.mark.parametrize(
    ('name', 'options', 'lams', 'kernels'),
    [
        ('ConverseDnCNN', SMALL, 1, 1),
        ('ConverseNet', SMALL, 1, 1),
        ('ConverseSRResNet', {**SMALL, 'upscale': 4}, 6, 6),
        ('ConverseUpSRResNet', {**SMALL, 'upscale': 3}, 1, 1),
        ('ConverseUSRNet', {**SMALL, 'num_iter': 2}, 2, 1),  # the data step's kernels are predicted
        ('ConverseDnCNN', {**SMALL, 'operator': 'conv'}, 0, 0),
        ('ConverseUSRNet', {**SMALL, 'operator': 'convtranspose'}, 0, 0),
        ('DnCNN', {'num_feat': 4, 'num_layer': 3}, 0, 0),
        ('USRNet', {'num_feat': 2, 'num_block': 1, 'num_iter': 1}, 0, 0),
    ],
)
def test_all_are_found_in_networks(name: str, options: dict[str, object], lams: int, kernels: int) -> None:
    net = getattr(archs, name)(**options)
    logits = parameters_of(net, 'lam')
    assert (len(logits), len(parameters_of(net, 'kernel'))) == (lams, kernels)
    for logit in logits:
        assert logit.shape[0] == logit.shape[2] == logit.shape[3] == 1
    # A step on what was found moves lam of every module that has one.
    modules = [module for module in net.modules() if hasattr(module, 'lam')]
    before = [module.lam.clone() for module in modules]
    with torch.no_grad():
        for logit in logits:
            logit += 1
    assert all(bool((module.lam > lam).all()) for module, lam in zip(modules, before))
    assert len(modules) == lams


@pytest.mark.parametrize('wrap', [nn.DataParallel, torch.compile, nn.Sequential, copy.deepcopy])
def test_wrappers_hide_nothing(wrap: type[nn.Module]) -> None:
    net = ConverseBlock(4)
    inner = wrap(net)
    assert len(parameters_of(inner, 'lam')) == len(parameters_of(inner, 'kernel')) == 1
    if wrap is not copy.deepcopy:
        assert parameters_of(inner, 'lam')[0] is net.conv1[3].bias


@pytest.mark.skipif(not torch.distributed.is_available(), reason='needs torch.distributed')
def test_a_network_of_several_processes(tmp_path: Path) -> None:
    net = ConverseBlock(4).to('cpu')
    torch.distributed.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(net)
        assert parameters_of(wrapped, 'lam')[0] is net.conv1[3].bias
    finally:
        torch.distributed.destroy_process_group()


def test_a_network_changed_by_surgery() -> None:
    net = replace(nn.Sequential(nn.Conv2d(3, 48, 3, padding=1), nn.PixelShuffle(4), nn.Conv2d(3, 3, 1)), lam_init=0.05)
    assert {tuple(kernel.shape[-2:]) for kernel in parameters_of(net, 'kernel')} == {(2, 2)}
    assert len(parameters_of(net, 'lam')) == 2


def test_what_is_shared_is_found_once() -> None:
    first, second = Converse2D(4, 4, 3), Converse2D(4, 4, 3)
    second.bias = first.bias
    net = nn.ModuleList([first, second, first])
    assert [len(parameters_of(net, role)) for role in ('lam', 'kernel')] == [1, 2]


def test_a_subclass_and_a_parametrised_kernel() -> None:
    class Positive(nn.Module):
        def forward(self, kernel: torch.Tensor) -> torch.Tensor:
            return kernel.abs()

    class Own(Converse2D):
        """As mmcv's wrapper."""

    layer = Own(4, 4, 3)
    learned = layer.weight
    parametrize.register_parametrization(layer, 'weight', Positive())
    assert parameters_of(layer, 'kernel') == [layer.parametrizations.weight.original]
    assert parameters_of(layer, 'kernel')[0] is learned
