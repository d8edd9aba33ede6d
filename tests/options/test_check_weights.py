"""Networks and weights: what does not fit is refused; weights that fit, but are of another network, are noted."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from converse_basicsr.checkpoints import files
from converse_basicsr.errors import UserError
from converse_basicsr.options import check
from converse_basicsr.options.file import OptionFile

Run = Callable[..., int]
Change = Callable[[dict[str, Any]], object]

CONVERSENET = {'type': 'ConverseNet', 'num_feat': 4, 'num_block': 1, 'kernel_size': 5}


def build(section: dict[str, Any]) -> torch.nn.Module:
    import converse_basicsr

    converse_basicsr.register()
    from basicsr.archs import build_network

    return build_network(copy.deepcopy(section))


def write(path: Path, section: dict[str, Any]) -> None:
    """Write weights that state their network."""
    files.write({'params': build(section).state_dict(), 'network_g': section}, path)


@pytest.fixture
def option_file(run_options: dict[str, Any], tmp_path: Path) -> OptionFile:
    """The tiny run with a ConverseNet, as if from a file."""
    import converse_basicsr

    converse_basicsr.register()
    run_options['network_g'] = dict(CONVERSENET)
    run_options['scale'] = 1
    for dataset in run_options['datasets'].values():
        dataset['type'] = 'BicubicSRDataset'
        dataset.pop('dataroot_lq')
    return OptionFile(Path('run.yml'), run_options)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The types of the networks that the check builds."""
    from converse_basicsr.options.check import building

    types: list[str] = []
    original = building.build

    def note(options: dict[str, Any]) -> Any:
        types.append(options['type'])
        return original(options)

    monkeypatch.setattr(building, 'build', note)
    return types


def test_a_run_may_leave_the_building_to_itself(option_file: OptionFile, built: list[str]) -> None:
    check.require_runnable(option_file, is_train=True, build_networks=False)
    assert built == []
    check.require_runnable(option_file, is_train=True)
    assert built == ['ConverseNet']
    check.network_diagnosis(option_file, is_train=True)


def test_with_other_problems_those_of_networks_are_listed_too(option_file: OptionFile, built: list[str]) -> None:
    option_file.options['network_g']['kernel_size'] = -5
    check.require_runnable(option_file, is_train=True, build_networks=False)
    option_file.options['name'] = '..'
    with pytest.raises(UserError) as refusal:
        check.require_runnable(option_file, is_train=True, build_networks=False)
    first, second = str(refusal.value).splitlines()
    assert 'name: must be text without slashes' in first
    assert 'network_g: ConverseNet cannot be built: kernel_size must be' in second


def test_weights_that_cannot_be_read_are_found_without_building(option_file: OptionFile, tmp_path: Path) -> None:
    (tmp_path / 'text.pth').write_text('no weights')
    option_file.options['path']['pretrain_network_g'] = str(tmp_path / 'text.pth')
    with pytest.raises(UserError, match=r'path:pretrain_network_g: checkpoint .* cannot be read') as refusal:
        check.require_runnable(option_file, is_train=True, build_networks=False)
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize('suffix', files.SUFFIXES)
def test_the_diagnosis_names_what_the_run_failed_on(option_file: OptionFile, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f'net{suffix}'
    write(path, {**CONVERSENET, 'num_feat': 8})
    option_file.options['path']['pretrain_network_g'] = str(path)
    with pytest.raises(UserError, match=r'path:pretrain_network_g: .* does not fit ConverseNet'):
        check.network_diagnosis(option_file, is_train=True)
    option_file.options['path']['strict_load_g'] = False
    check.network_diagnosis(option_file, is_train=True)
    path.unlink()
    with pytest.raises(UserError, match=r'path:pretrain_network_g: .* does not exist'):
        check.network_diagnosis(option_file, is_train=True)


@pytest.mark.parametrize('suffix', files.SUFFIXES)
@pytest.mark.parametrize(
    ('there', 'here', 'notes'),
    [
        ({}, {}, []),
        ({'num_iter': 3}, {}, ['num_iter: is 5 here, but 3']),
        ({'num_iter': 3}, {'num_iter': 3}, []),
        ({'num_iter': 5}, {}, []),
        ({'padding_mode': 'replicate'}, {}, ["padding_mode: is 'circular' here, but 'replicate'"]),
        ({'padding': 2}, {}, ['padding: is 4 here, but 2']),
        ({'padding': 4}, {}, []),
        ({'kernel_init': 'normal', 'lam_init': 0.5}, {}, []),
        ({'operator': 'conv'}, {'operator': 'convtranspose'}, ["operator: is 'convtranspose' here, but 'conv'"]),
        (
            {'operator': 'conv', 'num_iter': 1},
            {'operator': 'convtranspose', 'num_iter': 2},
            ['num_iter: is 2 here, but 1', "operator: is 'convtranspose' here, but 'conv'"],
        ),
    ],
)
@pytest.mark.parametrize('build_networks', [True, False])
@pytest.mark.promise('weights that fit, of a network with another `operator`, `padding`, `padding_mode` or `num_iter`')
def test_weights_that_fit_but_are_of_another_network_are_noted(
    option_file: OptionFile,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    suffix: str,
    there: dict[str, Any],
    here: dict[str, Any],
    notes: list[str],
    build_networks: bool,
) -> None:
    path = tmp_path / f'net{suffix}'
    write(path, {**CONVERSENET, **there})
    option_file.options['network_g'].update(here)
    option_file.options['path']['pretrain_network_g'] = str(path)
    check.require_runnable(option_file, is_train=True, build_networks=build_networks)
    lines = [line for line in capsys.readouterr().err.splitlines() if 'network_g' in line]
    end = f' in the network that {path} is of; its weights fit both'
    assert lines == [f'note: run.yml network_g:{note}{end}' for note in notes]


def test_a_note_stops_neither_check_nor_training_nor_testing(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    write(Path('net.pth'), {**run_options['network_g'], 'padding_mode': 'circular'})
    run_options['path']['pretrain_network_g'] = 'net.pth'
    val = copy.deepcopy(run_options['datasets']['val'])
    for command in ('check', 'train', 'test'):
        if command == 'test':
            run_options['datasets'] = {'test': val}
            del run_options['train'], run_options['logger'], run_options['val']['val_freq']
        assert basicsr(command, run_options) == 0
        assert "network_g:padding_mode: is 'replicate' here, but 'circular' in the" in capsys.readouterr().err


def test_weights_that_do_not_say_what_they_are_of_are_taken_as_they_are(
    option_file: OptionFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({'params': build({**CONVERSENET, 'num_iter': 3}).state_dict()}, tmp_path / 'net.pth')
    option_file.options['path']['pretrain_network_g'] = str(tmp_path / 'net.pth')
    check.require_runnable(option_file, is_train=True)
    assert 'note' not in capsys.readouterr().err


def test_weights_for_fine_tuning_another_shape_are_not_noted(
    option_file: OptionFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / 'net.pth', {**CONVERSENET, 'num_feat': 8})
    option_file.options['path'].update(pretrain_network_g=str(tmp_path / 'net.pth'), strict_load_g=False)
    check.require_runnable(option_file, is_train=True)
    assert 'note' not in capsys.readouterr().err


@pytest.mark.parametrize(
    ('first', 'second', 'differing'),
    [
        ({'type': 'ConverseUSRNet', 'data_lam_init': 0.1}, {'type': 'ConverseUSRNet', 'lam_init': 0.2}, {}),
        ({'type': 'ConverseSRResNet', 'up_lam_init': 0.1}, {'type': 'ConverseSRResNet'}, {}),
        ({'type': 'EDSR', 'converse': {'kernel_init': 'normal'}}, {'type': 'EDSR', 'converse': {'lam_init': None}}, {}),
        (
            {'type': 'EDSR', 'converse': {'conv3x3': True, 'lam_init': 0.2}},
            {'type': 'EDSR', 'converse': {}},
            {'converse'},
        ),
        ({'type': 'EDSR', 'converse': {'lam_init': 0.2}}, {'type': 'EDSR'}, {'converse'}),
    ],
)
def test_where_parameters_start_is_no_difference_of_networks(
    first: dict[str, Any], second: dict[str, Any], differing: set[str]
) -> None:
    import converse_basicsr
    from converse_basicsr.options.check.network_difference import differing_arguments

    converse_basicsr.register()
    before = copy.deepcopy((first, second))
    assert differing_arguments(first, second).keys() == set(differing)
    assert (first, second) == before
