from pathlib import Path

import pytest
import torch
import yaml

from converse_basicsr import checkpoint
from converse_basicsr.archs import ConverseNet
from converse_basicsr.errors import UserError
from converse_basicsr.published import RELEASED, WEIGHTS


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
    loaded = checkpoint.load(str(saved[1]), overrides=['num_iter=2', 'operator=convtranspose', 'padding_mode=reflect'])
    assert loaded.assumed == {}
    assert loaded.net.num_iter == 2
    assert loaded.describe() == f'ConverseNet from {saved[1]}'


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
    loaded = checkpoint.load(str(tmp_path / 'edsr.pth'), str(tmp_path / 'edsr.yml'))
    assert (loaded.name, loaded.channels, loaded.assumed) == ('EDSR', 3, {})
    told = [f'{name}={value}' for name, value in section.items()]
    assert checkpoint.load(str(tmp_path / 'edsr.pth'), overrides=told).name == 'EDSR'


def test_mistakes_are_named(saved: tuple[ConverseNet, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path('net.yml').write_text('network_g: {num_feat: 4}')
    for arguments, message in [
        (('none.pth',), 'none.pth is no file'),
        (('conversent',), 'conversent is no file; did you mean conversenet?'),
        (('conversenet',), 'basicsr prepare weights conversenet.pth'),
        (('net.pth', 'net.yml'), 'network_g: must be a section with a type'),
        (('net.pth', None, ['num_iter']), 'must look like key=value'),
        (('net.pth', None, ['num_iter=[']), 'no valid YAML'),
        (('net.pth', None, ['num_feat=5']), 'does not fit ConverseNet'),
        (('net.pth', None, ['num_fet=5']), 'ConverseNet cannot be built'),
        (('net.pth', None, ['type=ConverseNt']), 'did you mean ConverseNet?'),
    ]:
        with pytest.raises(UserError) as caught:
            checkpoint.load(*arguments)
        assert message in str(caught.value)
        assert '\n' not in str(caught.value)


def test_every_name_is_of_a_released_file_and_of_an_option_file() -> None:
    assert set(RELEASED.values()) == set(WEIGHTS)
    for name, file in RELEASED.items():
        assert f'model_zoo/{file}' in (Path(__file__).parents[1] / f'options/test/{name}.yml').read_text()
