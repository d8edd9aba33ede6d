from pathlib import Path

import pytest
import torch
import yaml

from converse_basicsr.archs import ConverseDnCNN, ConverseNet
from converse_basicsr.checkpoints import files
from converse_basicsr.checkpoints.released import RELEASED, WEIGHTS
from converse_basicsr.errors import UserError
from converse_basicsr.restore import checkpoint


@pytest.fixture
def saved(tmp_path: Path) -> tuple[ConverseNet, Path]:
    net = ConverseNet(num_feat=4, num_block=1, operator='conv')
    torch.save(net.state_dict(), tmp_path / 'net.pth')
    return net, tmp_path / 'net.pth'


def test_a_recognised_network_says_what_it_assumes(saved: tuple[ConverseNet, Path]) -> None:
    loaded = checkpoint.load(str(saved[1]))
    assert loaded.name == 'ConverseNet'
    assert (loaded.channels, loaded.conditions) == (3, [])
    assert loaded.assumed == {'operator': 'conv', 'padding_mode': 'circular', 'num_iter': 5}
    for name in ('operator=conv', 'padding_mode=circular', 'num_iter=5'):
        assert name in loaded.describe()
    assert not loaded.net.training


def test_what_is_told_is_not_assumed(saved: tuple[ConverseNet, Path]) -> None:
    told = {'num_iter': 2, 'operator': 'convtranspose', 'padding_mode': 'reflect'}
    loaded = checkpoint.load(saved[1], network_g=told)
    assert loaded.assumed == {}
    assert loaded.net.num_iter == 2
    assert loaded.describe() == f'ConverseNet from {saved[1]}'


TWIN = {'num_feat': 4, 'num_block': 1, 'operator': 'convtranspose', 'padding_mode': 'reflect'}


@pytest.mark.parametrize('suffix', files.SUFFIXES)
@pytest.mark.parametrize('keys', [('params',), ('params', 'params_ema')], ids=len)
def test_a_checkpoint_that_states_its_network_gives_its_outputs(
    tmp_path: Path, suffix: str, keys: tuple[str, ...]
) -> None:
    torch.manual_seed(0)
    net = ConverseDnCNN(**TWIN).eval()
    path = tmp_path / f'net{suffix}'
    files.write({**{key: net.state_dict() for key in keys}, 'network_g': {'type': 'ConverseDnCNN', **TWIN}}, path)
    loaded = checkpoint.load(path)
    assert loaded.assumed == {}
    assert loaded.describe() == f'ConverseDnCNN from {path}'
    x = torch.rand(1, 1, 16, 17)
    with torch.no_grad():
        assert torch.equal(loaded.net(x), net(x))


def test_what_is_said_goes_before_what_the_checkpoint_states(tmp_path: Path) -> None:
    net, path = ConverseDnCNN(**TWIN), tmp_path / 'net.pth'
    files.write({'params': net.state_dict(), 'network_g': {'type': 'ConverseDnCNN', **TWIN}}, path)
    loaded = checkpoint.load(path, network_g={'padding_mode': 'constant'})
    assert loaded.network_g == {'type': 'ConverseDnCNN', **TWIN, 'padding_mode': 'constant'}
    assert loaded.assumed == {}
    section = {'type': 'ConverseDnCNN', **TWIN, 'operator': 'conv'}
    (tmp_path / 'net.yml').write_text(yaml.safe_dump({'network_g': section}))
    assert checkpoint.load(path, opt=tmp_path / 'net.yml').network_g == section
    assert checkpoint.load(path, network_g=section).network_g == section


def test_averaged_weights_come_first(saved: tuple[ConverseNet, Path], tmp_path: Path) -> None:
    average = {f'module.{name}': value + 1 for name, value in saved[0].state_dict().items()}
    torch.save({'params': saved[0].state_dict(), 'params_ema': average}, tmp_path / 'both.pth')
    loaded = checkpoint.load(str(tmp_path / 'both.pth'))
    assert torch.equal(loaded.net.conv1.bias, saved[0].conv1.bias + 1)


def test_an_option_file_names_any_network(tmp_path: Path) -> None:
    import converse_basicsr

    converse_basicsr.register()
    from basicsr.archs import build_network

    section = {'type': 'EDSR', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 4, 'num_block': 1, 'upscale': 2}
    torch.save({'params': build_network(dict(section)).state_dict()}, tmp_path / 'edsr.pth')
    with pytest.raises(UserError, match='is of no network known here'):
        checkpoint.load(str(tmp_path / 'edsr.pth'))
    (tmp_path / 'edsr.yml').write_text(yaml.safe_dump({'network_g': section}))
    loaded = checkpoint.load(tmp_path / 'edsr.pth', opt=tmp_path / 'edsr.yml')
    assert (loaded.name, loaded.channels, loaded.assumed) == ('EDSR', 3, {})
    assert checkpoint.load(tmp_path / 'edsr.pth', network_g=section).name == 'EDSR'


def test_mistakes_are_named(saved: tuple[ConverseNet, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path('net.yml').write_text('network_g: {num_feat: 4}')
    for name, arguments, message in [
        ('none.pth', {}, 'none.pth is no file'),
        ('conversent', {}, 'conversent is no file; did you mean conversenet?'),
        ('conversenet', {}, 'basicsr prepare weights conversenet.pth'),
        ('net.pth', {'opt': 'net.yml'}, 'network_g: must be a section with a type'),
        ('net.pth', {'network_g': {'num_feat': 5}}, 'does not fit ConverseNet'),
        ('net.pth', {'network_g': {'num_fet': 5}}, 'ConverseNet cannot be built'),
        ('net.pth', {'network_g': {'type': 'ConverseNt'}}, 'did you mean ConverseNet?'),
    ]:
        with pytest.raises(UserError) as caught:
            checkpoint.load(name, **arguments)
        assert message in str(caught.value)
        assert '\n' not in str(caught.value)


def test_every_name_is_of_a_released_file_and_of_an_option_file() -> None:
    assert set(RELEASED.values()) == set(WEIGHTS)
    for name, file in RELEASED.items():
        assert f'model_zoo/{file}' in (Path(__file__).parents[2] / f'options/test/{name}.yml').read_text()
