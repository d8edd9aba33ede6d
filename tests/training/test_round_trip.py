"""A checkpoint that training wrote is enough to build its network again, whatever its arguments were."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import converse_basicsr
from converse_basicsr.checkpoints import files
from converse_basicsr.register import REGISTERED
from converse_basicsr.restore.checkpoint import load

Run = Callable[..., int]

OPERATORS = ('conv', 'converse', 'convtranspose')

SMALL = {'num_feat': 4, 'num_block': 1}
"""Sizes that the shapes of the weights tell."""

# Arguments that no shape tells, none at its default.
BORDER = {'converse': {'padding': 3, 'padding_mode': 'reflect'}}
TWIN = {'padding_mode': 'reflect'}

NETWORKS: dict[str, dict[str, Any]] = {
    'ConverseDnCNN': {'num_in_ch': 3, 'num_out_ch': 3, **SMALL},
    'ConverseNet': {**SMALL, 'num_iter': 3},
    'ConverseSRResNet': {**SMALL, 'upscale': 4},
    'ConverseUSRNet': {**SMALL, 'num_iter': 2, 'num_kernel_feat': 4, 'num_hidden': 8, 'blur_kernel_size': 5},
    'ConverseUpSRResNet': {**SMALL, 'upscale': 4},
}
OTHERS: list[dict[str, Any]] = [
    {'type': 'DnCNN', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 4, 'num_layer': 4},
    {'type': 'USRNet', 'num_feat': 4, 'num_block': 1, 'num_iter': 2, 'num_hidden': 8},
    {
        'type': 'EDSR',
        'num_in_ch': 3,
        'num_out_ch': 3,
        'num_feat': 4,
        'num_block': 1,
        'upscale': 4,
        'img_range': 255.0,
        'rgb_mean': [0.4, 0.5, 0.6],
        'converse': {'upsample': True},
    },
]


def sections() -> list[dict[str, Any]]:
    found = []
    for name, arguments in NETWORKS.items():
        for operator in OPERATORS:
            border = BORDER.get(operator, TWIN)
            if name == 'ConverseUpSRResNet':  # takes no padding; its kernels stay within the blocks
                border = {'padding_mode': 'reflect'}
            found.append({'type': name, **arguments, 'operator': operator, **border})
    return [*found, *OTHERS]


def test_every_registered_network_is_tried() -> None:
    assert {section['type'] for section in sections()} >= {
        name for names in REGISTERED['arch'].values() for name in names
    }


def train(basicsr: Run, run_options: dict[str, Any], pairs: Path, section: dict[str, Any]) -> None:
    """Two iterations, on the data that the network is for."""
    run_options.update(model_type='RestorationModel', network_g=section)
    run_options['train']['total_iter'] = 2
    if 'upscale' not in section:
        run_options['scale'] = 1
        data: dict[str, Any] = {'dataroot_gt': str(pairs / 'val_gt'), 'io_backend': {'type': 'disk'}, 'sigma': 2.55}
        if section['type'] in ('ConverseUSRNet', 'USRNet'):
            data.update(type='BlurDataset', kernel_size=5, kernel_kinds=['gaussian'])
        else:
            data.update(type='GaussianNoiseDataset')
        loading = {'gt_size': 16, 'num_worker_per_gpu': 0, 'batch_size_per_gpu': 2}
        run_options['datasets'] = {'train': {'name': 'train', **data, **loading}}
        del run_options['val']
    assert basicsr('train', run_options) == 0


@pytest.mark.parametrize('section', sections(), ids=lambda section: f'{section["type"]}-{section.get("operator", "")}')
def test_it_is_restored_by_its_checkpoint_alone(
    basicsr: Run, run_options: dict[str, Any], pairs: Path, section: dict[str, Any]
) -> None:
    converse_basicsr.register()
    from basicsr.archs import build_network

    train(basicsr, run_options, pairs, section)
    path = Path('experiments/tiny/models/net_g_latest.pth')
    trained = build_network(section).eval()
    trained.load_state_dict(torch.load(path, weights_only=True)['params'], strict=True)

    loaded = load(str(path))
    assert loaded.assumed == {}
    assert section.items() <= loaded.network_g.items()
    x = torch.rand(1, 3, 12, 14, generator=torch.Generator().manual_seed(0))
    conditions: dict[str, Any] = {}
    if 'kernel' in loaded.conditions:
        conditions['kernel'] = torch.full((1, 1, 5, 5), 1 / 25)
    if 'sigma' in loaded.conditions:
        conditions['sigma'] = torch.full((1, 1, 1, 1), 0.01)
    with torch.no_grad():
        assert torch.equal(loaded.net(x, **conditions), trained(x, **conditions))


def test_what_no_shape_tells_does_matter() -> None:
    """Else the test above would pass with what is guessed by the shapes."""
    converse_basicsr.register()
    from basicsr.archs import build_network

    x = torch.rand(1, 3, 12, 14)
    for section in sections():
        if section['type'] in ('ConverseDnCNN', 'ConverseNet', 'ConverseSRResNet'):
            net = build_network(section).eval()
            plain = {key: value for key, value in section.items() if key not in ('padding', 'padding_mode', 'num_iter')}
            other = build_network(plain).eval()
            other.load_state_dict(net.state_dict())
            with torch.no_grad():
                assert not torch.allclose(net(x), other(x))


def test_a_file_without_its_network_is_recognised_as_before(tmp_path: Path) -> None:
    net = converse_basicsr.archs.ConverseNet(num_feat=4, num_block=1).eval()
    files.write({'params': net.state_dict()}, tmp_path / 'old.pth')
    loaded = load(str(tmp_path / 'old.pth'))
    assert loaded.assumed['num_iter'] == 5
    x = torch.rand(1, 3, 12, 14)
    with torch.no_grad():
        assert torch.equal(loaded.net(x), net(x))
