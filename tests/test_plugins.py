"""Plugins of other distributions beside this one, installed as pip would leave them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import only_log

TOY = """
import torch
from torch import nn


class ToyUpscaler(nn.Module):
    def __init__(self, num_feat, upscale):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, num_feat, 3, padding=1), nn.Conv2d(num_feat, num_feat, 5, padding=2, groups=num_feat)
        )
        self.up = nn.Sequential(nn.Upsample(scale_factor=upscale), nn.Conv2d(num_feat, 3, 3, padding=1))

    def forward(self, x):
        return self.up(self.body(x))


def register():
    from basicsr.utils.registry import ARCH_REGISTRY

    if 'ToyUpscaler' not in ARCH_REGISTRY:
        ARCH_REGISTRY.register(ToyUpscaler)
"""


def install(folder: Path, name: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay out a module and its metadata as an installed distribution does."""
    (folder / f'{name}.py').write_text(code)
    info = folder / f'{name}-1.2.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n')
    (info / 'top_level.txt').write_text(f'{name}\n')
    (info / 'entry_points.txt').write_text(f'[basicsr.plugins]\n{name} = {name}:register\n')
    monkeypatch.syspath_prepend(folder)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / 'site'
    folder.mkdir()
    install(folder, 'toy_plugin', TOY, monkeypatch)
    install(folder, 'broken_plugin', 'import a_module_that_is_nowhere\n', monkeypatch)
    install(folder, 'quitting_plugin', 'def register():\n    raise SystemExit("no licence")\n', monkeypatch)
    yield
    from basicsr.utils.registry import ARCH_REGISTRY

    ARCH_REGISTRY._obj_map.pop('ToyUpscaler', None)


@pytest.mark.usefixtures('toy')
def test_a_second_plugin_is_listed_and_broken_ones_are_named(
    basicsr: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.warns(UserWarning, match='is left out') as warned:
        assert basicsr('list', None, 'arch', '--json') == 0
    archs = json.loads(capsys.readouterr().out)['arch']
    assert archs['ToyUpscaler'] == 'toy_plugin 1.2 (toy_plugin)'
    assert archs['ConverseSRResNet'].startswith('converse-basicsr ')
    messages = ' '.join(str(warning.message) for warning in warned)
    assert 'broken_plugin (broken_plugin:register) is left out: ModuleNotFoundError' in messages
    assert 'quitting_plugin (quitting_plugin:register) is left out: SystemExit: no licence' in messages


@pytest.mark.usefixtures('toy')
@pytest.mark.filterwarnings('ignore:BasicSR plugin')
def test_its_networks_train_with_reverse_convolutions(
    run_options: dict[str, Any], basicsr: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    run_options['network_g'] = {
        'type': 'ToyUpscaler',
        'num_feat': 4,
        'upscale': 4,
        'converse': {'upsample': True, 'depthwise': True},
    }
    assert basicsr('train', run_options) == 0, capsys.readouterr().err
    assert 'up.0: nearest upsampling x4 -> Converse2D x4 of 4 channels' in only_log()
    state = torch.load('experiments/tiny/models/net_g_latest.pth', weights_only=True)['params']
    assert {'body.1.converse.weight', 'up.0.0.weight', 'up.0.1.weight'} <= state.keys()
