"""Networks and training states: moving averages, loading, and writing."""

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from converse_basicsr import compat
from converse_basicsr.archs import ConverseDnCNN
from converse_basicsr.checkpoints import files
from converse_basicsr.compat import weights
from converse_basicsr.errors import UserError

Run = Callable[..., int]


def model_in(folder: Path, **options: Any) -> Any:
    """A model of BasicSR that saves into a folder."""
    from basicsr.models.base_model import BaseModel

    paths = {'models': str(folder), 'training_states': str(folder)}
    return BaseModel({'num_gpu': 0, 'is_train': True, 'dist': False, 'path': paths, **options})


def test_ema_keeps_batch_norm_statistics(tmp_path: Path) -> None:
    def statistics() -> tuple[torch.Tensor, torch.Tensor]:
        model = model_in(tmp_path)
        model.net_g = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2))
        model.net_g_ema = copy.deepcopy(model.net_g)
        model.net_g(torch.randn(4, 1, 8, 8))
        model.model_ema(0.5)
        return model.net_g[1].running_mean, model.net_g_ema[1].running_mean

    assert torch.equal(*statistics())
    with compat.disabled('ema_buffers'):
        assert not torch.equal(*statistics())


def test_a_flat_state_dict_is_loaded_whatever_the_key(tmp_path: Path) -> None:
    net = torch.nn.Linear(1, 1)
    torch.save(net.state_dict(), tmp_path / 'flat.pth')
    model, other = model_in(tmp_path), torch.nn.Linear(1, 1)
    model.load_network(other, str(tmp_path / 'flat.pth'), True, 'params_ema')
    assert torch.equal(other.weight, net.weight)
    with compat.disabled('loading_networks'), pytest.raises(KeyError, match='params_ema'):
        model.load_network(other, str(tmp_path / 'flat.pth'), True, 'params_ema')


def test_a_network_that_cannot_be_written_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, 'No space left on device')

    model = model_in(tmp_path)
    monkeypatch.setattr(torch, 'save', fail)
    monkeypatch.setattr(time, 'sleep', lambda seconds: None)
    with pytest.raises(UserError, match='cannot write checkpoint'):
        model.save_network(torch.nn.Linear(1, 1), 'net_g', 5)
    model.optimizers = []
    with pytest.raises(UserError, match='cannot write checkpoint'):
        model.save_training_state(0, 5)
    with compat.disabled('writing_networks'), compat.disabled('writing_states'):
        model.save_network(torch.nn.Linear(1, 1), 'net_g', 5)  # nothing is raised, nothing is there
        model.save_training_state(0, 5)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_ends_the_run(
    basicsr: Run, run_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(torch, 'save', fail)
    assert basicsr('train', run_options) == 2
    assert 'cannot write checkpoint' in capsys.readouterr().err


def test_a_state_holds_what_the_loop_hands_over(tmp_path: Path) -> None:
    model = model_in(tmp_path)
    model.run_state = {'data_position': 8}
    model.save_training_state(2, 7)
    model.save_training_state(2, -1)  # the last networks have no state
    (path,) = tmp_path.iterdir()
    assert files.read(path) == {'epoch': 2, 'iter': 7, 'optimizers': [], 'schedulers': [], 'data_position': 8}


@pytest.mark.parametrize('suffix', ['pth', 'safetensors'])
def test_a_file_states_its_network(tmp_path: Path, suffix: str) -> None:
    section = {'type': 'ConverseDnCNN', 'num_feat': 4, 'num_block': 1, 'operator': 'convtranspose'}
    model = model_in(tmp_path, network_g=section, network_d={'type': 'Linear'}, logger={'save_format': suffix})
    net = ConverseDnCNN(num_feat=4, num_block=1, operator='convtranspose')
    model.save_network([net, net], 'net_g', -1, ['params', 'params_ema'])
    model.save_network(torch.nn.Linear(1, 1), 'net_d', -1)
    content = files.read(tmp_path / f'net_g_latest.{suffix}')
    stated = files.network_of(content)
    assert stated is not None
    assert section.items() <= stated.items()
    assert stated['padding_mode'] == 'circular'  # a default, which a later version may change
    assert set(content['params']) == set(content['params_ema']) == set(net.state_dict())
    assert content[files.VERSION_KEY]
    other = files.read(tmp_path / f'net_d_latest.{suffix}')
    assert files.network_of(other) is None
    assert files.network_of(other, 'network_d') is not None


def test_a_stated_network_is_made_of_plain_values() -> None:
    from collections import OrderedDict

    def network(a: int, b: tuple[int, ...] = (1,), c: Any = torch.nn.ReLU, d: float = 0.5) -> None:
        """Stand in for a class."""

    stated = weights.stated_network(OrderedDict(type='X', a=(1, OrderedDict(e=2))), network)  # type: ignore[arg-type]
    assert stated == {'type': 'X', 'a': [1, {'e': 2}], 'd': 0.5}


@pytest.mark.slow
def test_flat_checkpoint_with_ema_then_resume(basicsr: Run, run_options: dict[str, Any], tmp_path: Path) -> None:
    from basicsr.archs import build_network

    torch.save(build_network(run_options['network_g']).state_dict(), tmp_path / 'flat.pth')
    run_options['path'].update(pretrain_network_g='flat.pth', param_key_g=None)
    run_options['train']['ema_decay'] = 0.9
    assert basicsr('train', run_options) == 0
    run_options['train']['total_iter'] = 6
    assert basicsr('train', run_options, '--auto_resume') == 0
    states = sorted(int(path.stem) for path in Path('experiments/tiny/training_states').glob('*.state'))
    assert states == [2, 4, 6]


def test_weights_of_another_network_are_refused(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({'params': {'w': torch.ones(1)}}, 'other.pth')
    run_options['path']['pretrain_network_g'] = 'other.pth'
    assert basicsr('train', run_options) == 2
    message = capsys.readouterr().err
    assert 'other.pth does not fit ConverseSRResNet' in message
    assert 'Traceback' not in message
    assert not Path('experiments').exists()
