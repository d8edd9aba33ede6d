"""A checkpoint that states its network is not scored as another one."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import converse_basicsr

converse_basicsr.register()

from basicsr.utils.registry import ARCH_REGISTRY  # noqa: E402

from converse_basicsr import cli  # noqa: E402
from converse_basicsr.checkpoints import files  # noqa: E402
from converse_basicsr.compat.weights import stated_network  # noqa: E402
from converse_basicsr.errors import UserError  # noqa: E402
from converse_basicsr.evaluation.stated_network import network_to_build  # noqa: E402
from converse_basicsr.options.file import OptionFile, read_option_file  # noqa: E402

SAID = {'type': 'ConverseDnCNN', 'num_feat': 4, 'num_block': 1, 'padding_mode': 'circular'}
USED = "the checkpoint's is used\n"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def option_file(section: dict[str, Any], *overrides: str) -> OptionFile:
    Path('run.yml').write_text(yaml.safe_dump({'name': 'run', 'network_g': section}, sort_keys=False))
    return read_option_file('run.yml', list(overrides))


def build(section: dict[str, Any]) -> torch.nn.Module:
    """Build a network as BasicSR does, which would log it."""
    return ARCH_REGISTRY.get(section['type'])(**{name: value for name, value in section.items() if name != 'type'})


def checkpoint(section: dict[str, Any], *, name: str = 'net.pth') -> Path:
    """Weights as training writes them: the section that built the network is in the file, with its defaults."""
    network = build(section)
    files.write({'params': network.state_dict(), 'network_g': stated_network(section, type(network))}, name)
    return Path(name)


@pytest.mark.parametrize('name', ['net.pth', 'net.safetensors'])
def test_the_stated_network_is_built_and_a_line_says_so(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = checkpoint({**SAID, 'padding_mode': 'reflect'}, name=name)
    section = network_to_build(option_file(SAID), path)
    assert section == files.network_of(files.read(path))
    assert section['padding_mode'] == 'reflect'
    assert capsys.readouterr().err == (
        f'note: {name} states padding_mode=reflect for ConverseDnCNN, run.yml:2 network_g says circular; ' + USED
    )


def test_defaults_that_one_side_leaves_out_make_no_difference(capsys: pytest.CaptureFixture[str]) -> None:
    without = {name: value for name, value in SAID.items() if name != 'padding_mode'}
    for trained, said in ((without, SAID), (SAID, without)):
        assert network_to_build(option_file(said), checkpoint(trained)) == said
    assert capsys.readouterr().err == ''


def test_what_the_option_file_leaves_out_counts_as_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    section = {**SAID, 'padding': 2, 'kernel_size': 3}
    assert network_to_build(option_file(SAID), checkpoint(section))['padding'] == 2
    expected = 'note: net.pth states kernel_size=3 and padding=2 for ConverseDnCNN, run.yml:2 network_g says 5 and 4; '
    assert capsys.readouterr().err == expected + USED


def test_another_class_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    section = {'type': 'DnCNN', 'num_in_ch': 1, 'num_out_ch': 1, 'num_feat': 4, 'num_layer': 3}
    assert network_to_build(option_file(SAID), checkpoint(section))['type'] == 'DnCNN'
    expected = f'note: net.pth states DnCNN, run.yml:2 network_g says ConverseDnCNN; {USED}'
    assert capsys.readouterr().err == expected


def test_exchanged_parts_belong_to_the_network(capsys: pytest.CaptureFixture[str]) -> None:
    section = {'type': 'MSRResNet', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 4, 'num_block': 1, 'upscale': 4}
    path = checkpoint(section)
    assert 'converse' not in network_to_build(option_file({**section, 'converse': {'upsample': True}}), path)
    assert 'net.pth states no converse for MSRResNet' in capsys.readouterr().err


def test_a_checkpoint_that_states_none_is_what_the_option_file_says(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(build(SAID).state_dict(), 'flat.pth')
    assert network_to_build(option_file(SAID), Path('flat.pth')) == SAID
    assert capsys.readouterr().err == ''


def test_a_stated_network_that_is_not_installed_is_refused() -> None:
    files.write({'params': build(SAID).state_dict(), 'network_g': {'type': 'ConverseDnCN'}}, 'net.pth')
    with pytest.raises(UserError, match=r'net\.pth states network_g type ConverseDnCN, which is not installed; did'):
        network_to_build(option_file(SAID), Path('net.pth'))


def scores(folder: str) -> list[str]:
    return [row['network'] for row in csv.DictReader(Path(folder, 'report.csv').read_text().splitlines())]


def test_report_scores_the_stated_network(
    basicsr: Callable[..., int], run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    trained = {**run_options['network_g'], 'padding_mode': 'reflect', 'num_block': 2}
    torch.manual_seed(0)
    path = str(checkpoint(trained, name='net.safetensors'))
    assert basicsr('report', run_options, '--checkpoint', path, '--output', 'stated') == 0
    error = capsys.readouterr().err
    assert error.count('note: ') == 1
    assert 'padding_mode=reflect' in error
    run_options['network_g'] = trained
    assert basicsr('report', run_options, '--checkpoint', path, '--output', 'said') == 0
    assert 'note: ' not in capsys.readouterr().err
    assert scores('stated') == scores('said')

    # The same weights in another network give other images, which nothing but the statement tells.
    torch.save(files.read(path)['params'], 'flat.pth')
    run_options['network_g'] = {**trained, 'padding_mode': 'circular'}
    assert basicsr('report', run_options, '--checkpoint', 'flat.pth', '--output', 'flat') == 0
    assert scores('flat') != scores('stated')


def test_the_weights_of_a_run_are_its_newest(
    basicsr: Callable[..., int], run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run_options['logger']['save_format'] = 'safetensors'
    assert basicsr('train', run_options) == 0
    assert Path('experiments/tiny/models/net_g_latest.safetensors').is_file()
    assert cli.main(['report', '-opt', 'run.yml', '--output', 'first']) == 0
    checkpoint(run_options['network_g'], name='experiments/tiny/models/net_g_latest.pth')  # others, and newer
    assert cli.main(['report', '-opt', 'run.yml', '--output', 'second']) == 0
    assert scores('first') != scores('second')
