"""Checkpoints that would run code, wherever BasicSR or a plugin loads one, whatever the environment says."""

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from converse_basicsr import compat
from converse_basicsr.compat import weights
from converse_basicsr.errors import UserError

Run = Callable[..., int]


class Exploding:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ('exploded',)


class Loader(torch.nn.Module):
    """A plugin's network that loads weights as one did before torch 2.6."""

    def __init__(self, weights: str) -> None:
        super().__init__()
        self.weights = torch.load(weights)


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A checkpoint that makes a folder in the current one, with the protection of torch turned off."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    torch.save({'params': Exploding()}, 'evil.pth')
    return 'evil.pth'


@pytest.fixture
def plugin() -> Iterator[None]:
    from basicsr.utils.registry import ARCH_REGISTRY

    ARCH_REGISTRY.register(Loader)
    yield
    del ARCH_REGISTRY._obj_map['Loader']


NETWORKS = [
    {'type': 'SpyNet', 'load_path': 'evil.pth'},
    {'type': 'BasicVSR', 'num_feat': 4, 'num_block': 1, 'spynet_path': 'evil.pth'},
    {'type': 'IconVSR', 'num_feat': 4, 'num_block': 1, 'edvr_path': 'evil.pth'},
    {'type': 'BasicVSRPlusPlus', 'mid_channels': 4, 'num_blocks': 1, 'spynet_path': 'evil.pth'},
    {'type': 'DFDNet', 'num_feat': 4, 'dict_path': 'evil.pth'},
    {'type': 'Loader', 'weights': 'evil.pth'},
]


@pytest.mark.promise('a checkpoint that a network, loss or plugin loads itself and that would run code')
@pytest.mark.usefixtures('plugin', 'evil')
@pytest.mark.parametrize('command', ['check', 'train', 'test'])
@pytest.mark.parametrize('network', NETWORKS, ids=lambda network: network['type'])
def test_networks_that_load_weights_themselves_run_no_code(
    basicsr: Run,
    run_options: dict[str, Any],
    network: dict[str, Any],
    command: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_options['network_g'] = network
    if command == 'test':
        run_options['datasets'] = {'test': run_options['datasets']['val']}
        del run_options['train'], run_options['logger']
        torch.save({'params': {'weight': torch.zeros(1)}}, 'weights.pth')
        run_options['path']['pretrain_network_g'] = 'weights.pth'
    assert basicsr(command, run_options) == 2
    message = capsys.readouterr().err
    assert not Path('exploded').exists()
    assert 'evil.pth' in message
    assert 'weights_only' not in message
    assert 'Traceback' not in message
    assert not Path('experiments').exists()


@pytest.mark.promise('a checkpoint that a network, loss or plugin loads itself and that would run code')
def test_so_do_losses(evil: str) -> None:
    """The perceptual loss looks for its weights in the current folder, where an archive may have put them."""
    from basicsr.archs.vgg_arch import VGG_PRETRAIN_PATH
    from basicsr.losses import build_loss

    Path(VGG_PRETRAIN_PATH).parent.mkdir(parents=True)
    Path(evil).rename(VGG_PRETRAIN_PATH)
    with pytest.raises(pickle.UnpicklingError, match='could run code: it is not loaded'):
        build_loss({'type': 'PerceptualLoss', 'layer_weights': {'conv1_2': 1}})
    assert not Path('exploded').exists()


@pytest.mark.filterwarnings('ignore')
def test_no_message_advises_to_turn_the_protection_off(evil: str) -> None:
    torch.jit.script(torch.nn.Linear(1, 1)).save('script.pth')
    Path('page.pth').write_text('<html>')
    for name in (evil, 'script.pth', 'page.pth'):
        with pytest.raises(pickle.UnpicklingError, match=f'checkpoint {name} is damaged, or holds more than') as caught:
            torch.load(name)
        assert 'weights_only' not in str(caught.value)
    Path('cut.pth').write_bytes(Path('script.pth').read_bytes()[:300])
    with pytest.raises(RuntimeError, match='PytorchStreamReader'):
        torch.load('cut.pth')


def test_without_the_patch_the_environment_turns_the_protection_off(evil: str) -> None:
    with compat.disabled('loading_without_code'):
        torch.load(evil)
    assert Path('exploded').exists()


def test_who_says_how_to_load_is_left_alone(evil: str) -> None:
    torch.load(evil, weights_only=False)
    assert Path('exploded').exists()


def test_all_versions_of_torch_are_told_to_run_no_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = []
    monkeypatch.setattr(torch, 'load', lambda *args, **others: given.append((args, others)))
    monkeypatch.chdir(tmp_path)
    Path('net.pth').touch()
    ((owner, name, load),) = weights.loading_without_code()
    assert (owner, name) == (torch, 'load')
    load('net.pth', map_location='cpu')
    load('net.pth', weights_only=False)
    load('net.pth', pickle_module=pickle)
    assert given == [
        (('net.pth', 'cpu'), {'weights_only': True}),
        (('net.pth', None, None), {'weights_only': False}),
        (('net.pth', None, pickle), {}),
    ]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'weights.pth')
    with pytest.raises(UserError, match=r'weights\.pth is a pipe, not a file'):
        torch.load(tmp_path / 'weights.pth')


@pytest.mark.promise('a network that downloads weights while it is built')
def test_a_check_downloads_nothing(
    basicsr: Run, run_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """DFDNet builds a VGG, whose weights are half a gigabyte."""
    monkeypatch.setattr(torch.hub, 'download_url_to_file', lambda *_, **__: pytest.fail('it downloads'))
    monkeypatch.setenv('TORCH_HOME', 'empty')
    parts = ('left_eye', 'right_eye', 'nose', 'mouth')
    basicsr('list', None, 'arch')  # moves into the folder of the test
    torch.save({size: dict.fromkeys(parts, torch.zeros(1)) for size in (256, 128, 64, 32)}, 'parts.pth')
    run_options['network_g'] = {'type': 'DFDNet', 'num_feat': 64, 'dict_path': 'parts.pth'}
    capsys.readouterr()
    assert basicsr('check', run_options) == 0, capsys.readouterr().err
    assert 'network_g: DFDNet is not checked: building it downloads https://' in capsys.readouterr().err
