"""Reverse convolution through mmcv's builders, and in a neck that is built from a config."""

from typing import Any

import pytest
import torch
from torch import nn

mmcv_cnn = pytest.importorskip('mmcv.cnn', reason='mmcv or mmcv-lite is not installed')

from converse_basicsr.mmcv import Converse  # noqa: E402
from converse_basicsr.ops import Converse2D  # noqa: E402
from converse_basicsr.ops.roles import parameters_of  # noqa: E402
from converse_basicsr.ops.start import KERNEL_LAWS  # noqa: E402


@pytest.mark.parametrize('scale_factor', [2, 3, 4])
def test_upsample_layer(scale_factor: int) -> None:
    layer = mmcv_cnn.build_upsample_layer({'type': 'Converse', 'in_channels': 6, 'scale_factor': scale_factor})
    assert isinstance(layer, Converse)
    assert layer.kernel_size == (scale_factor, scale_factor)
    assert layer(torch.rand(2, 6, 5, 7)).shape == (2, 6, 5 * scale_factor, 7 * scale_factor)


def test_plugin_layer() -> None:
    name, layer = mmcv_cnn.build_plugin_layer({'type': 'Converse', 'kernel_size': 3}, postfix='_after', in_channels=6)
    assert name == 'converse_after'
    assert layer.kernel_size == (3, 3)
    assert layer(torch.rand(2, 6, 5, 7)).shape == (2, 6, 5, 7)


@pytest.mark.parametrize('groups', [1, 6])
def test_conv_module_keeps_its_start(groups: int) -> None:
    module = mmcv_cnn.ConvModule(
        6, 6, 5, padding=2, groups=groups, conv_cfg={'type': 'Converse'}, norm_cfg={'type': 'BN'}
    )
    assert isinstance(module.conv, Converse)
    # ConvModule starts convolutions by He's rule, which would leave kernels that do not sum to 1.
    torch.testing.assert_close(module.conv.weight.sum((-2, -1)), torch.ones(1, 6))
    y = module(torch.rand(2, 6, 9, 8))
    assert y.shape == (2, 6, 9, 8)
    y.square().sum().backward()
    assert all(p.grad is not None for p in module.parameters())


@pytest.mark.parametrize('law', KERNEL_LAWS)
def test_every_start_can_be_chosen(law: str) -> None:
    layer = mmcv_cnn.build_plugin_layer({'type': 'Converse', 'kernel_init': law, 'lam_init': 0.1}, in_channels=6)[1]
    torch.manual_seed(0)
    layer.init_weights()
    torch.manual_seed(0)
    assert torch.equal(layer.weight, KERNEL_LAWS[law](torch.empty(1, 6, 5, 5)))
    torch.testing.assert_close(layer.lam, torch.full((1, 6, 1, 1), 0.1))
    assert parameters_of(layer, 'lam') == [layer.bias]


def test_it_computes_what_converse2d_does() -> None:
    layer, operator = Converse(4, scale_factor=2, kernel_size=5), Converse2D(4, 4, 5, 2, padding_mode='replicate')
    operator.load_state_dict(layer.state_dict())
    x = torch.rand(1, 4, 6, 6)
    assert torch.equal(layer(x), operator(x))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'stride': 2, 'padding': 1}, 'stride must be 1'),
        ({'dilation': 2, 'padding': 1}, 'dilation must be 1'),
        ({'padding': 0}, 'padding must be None or .* got 0'),
        ({'padding': 1, 'groups': 2}, 'groups must be 1 or 4, got 2'),
        ({'out_channels': 8, 'padding': 1}, r'out_channels must be in_channels \(4\), got 8'),
    ],
)
def test_what_the_operator_does_not_do_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Converse(**{'in_channels': 4, 'kernel_size': 3, **options})


@pytest.fixture
def neck() -> nn.Module:
    from mmengine.model import BaseModule
    from mmengine.registry import MODELS

    class ConverseFPN(BaseModule):
        """Lateral 1x1 convolutions, a top-down path, and a convolution a level, all built from configs."""

        def __init__(
            self, in_channels: list[int], out_channels: int, upsample_cfg: dict[str, Any], conv_cfg: dict[str, Any]
        ) -> None:
            super().__init__()
            build = mmcv_cnn.ConvModule
            self.lateral = nn.ModuleList(build(c, out_channels, 1, act_cfg=None) for c in in_channels)
            self.up = nn.ModuleList(
                mmcv_cnn.build_upsample_layer({**upsample_cfg, 'in_channels': out_channels}) for _ in in_channels[1:]
            )
            self.out = nn.ModuleList(
                build(out_channels, out_channels, 3, padding=1, conv_cfg=conv_cfg) for _ in in_channels
            )

        def forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
            levels = [lateral(x) for lateral, x in zip(self.lateral, maps)]
            for i in range(len(levels) - 1, 0, -1):
                levels[i - 1] = levels[i - 1] + self.up[i - 1](levels[i])
            return [out(x) for out, x in zip(self.out, levels)]

    MODELS.register_module(module=ConverseFPN, force=True)
    torch.manual_seed(0)
    return MODELS.build(
        {
            'type': 'ConverseFPN',
            'in_channels': [4, 8, 16],
            'out_channels': 6,
            'upsample_cfg': {'type': 'Converse', 'scale_factor': 2},
            'conv_cfg': {'type': 'Converse'},
        }
    )


def test_a_neck_built_from_a_config_learns(neck: nn.Module) -> None:
    neck.init_weights()
    maps = [torch.rand(2, c, 32 // s, 48 // s) for c, s in ((4, 1), (8, 2), (16, 4))]
    goals = [torch.rand(2, 6, *x.shape[-2:]) for x in maps]
    assert sum(isinstance(m, Converse) for m in neck.modules()) == 5
    optimizer = torch.optim.Adam(neck.parameters(), 1e-2)
    losses = []
    for _ in range(20):
        loss = sum((y - goal).square().mean() for y, goal in zip(neck(maps), goals))
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in neck.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
