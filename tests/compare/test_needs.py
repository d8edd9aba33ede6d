"""What a comparison lacks is said before its first training; no name of it leads out of its folders."""

import importlib.util
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_comparison import finish, measured, write

from converse_basicsr import cli
from converse_basicsr.compare.comparison import read_comparison
from converse_basicsr.compare.figures import picture_names
from converse_basicsr.errors import UserError

NAMES = ['../../README', '..', '/tmp/x', 'a/b', 'a\\b', 'a\nb', '', ' ', 'nul', 'x' * 300, 7, None, '\x1b[2J']


@pytest.mark.promise('a `name`, `label` or `experiment` of a comparison that leads out of its folders')
@pytest.mark.parametrize('name', NAMES)
def test_names_that_are_none_are_refused(
    comparison: dict[str, Any], capsys: pytest.CaptureFixture[str], tmp_path: Path, name: object
) -> None:
    outside = tmp_path.parent / 'README_curves.csv'
    comparison['name'] = name
    for arguments in ([], ['--report-only']):
        assert cli.main(['compare', write(comparison), *arguments]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert 'name' in errors[0]
    assert [path.name for path in tmp_path.iterdir()] == ['tiny.yml']
    assert not outside.exists()


@pytest.mark.promise('a `name`, `label` or `experiment` of a comparison that leads out of its folders')
@pytest.mark.parametrize('name', ['../../x', '..', '/tmp/x', 'a/b', 'a\\b', 'a\nb', ' ', 'x' * 300, 7, '\x1b[2J'])
def test_an_experiment_that_is_no_name_is_refused(comparison: dict[str, Any], name: object) -> None:
    comparison['compare']['runs'][0]['experiment'] = name
    if name in (' ', '..', 7):  # with the seed behind them they are names
        assert read_comparison(write(comparison)).runs[0].name == f'{name}_s0'
        return
    with pytest.raises(UserError, match='the run Converse: '):
        read_comparison(write(comparison))


def test_labels_of_any_kind_give_plain_names(comparison: dict[str, Any]) -> None:
    labels = ['../../x', '=cmd|x', '<b>', 'a\x1b[2Jb', '山', '$\\frac$']
    comparison['compare']['runs'] = [{'label': label} for label in labels]
    runs = read_comparison(write(comparison)).runs
    assert [run.name for run in runs[:6]] == [
        'tiny_x_s0', 'tiny_cmd_x_s0', 'tiny_b_s0', 'tiny_a_x1b_2jb_s0', 'tiny__s0', 'tiny_frac_s0'
    ]  # fmt: skip
    assert all(label.isprintable() for label in read_comparison('tiny.yml').labels)


def test_pictures_of_different_images_have_different_names() -> None:
    images = ['Bird (1)', 'bird 1', '山', '川', '../../x', 'x', 'y' * 300, 'y' * 300 + 'z']
    names = picture_names(images)
    assert len(set(names)) == len(images)
    assert all(re.fullmatch('[a-z0-9_]{1,60}', name) for name in names)
    assert picture_names(['val0', 'val1']) == ['val0', 'val1']


def held_out(comparison: dict[str, Any]) -> dict[str, Any]:
    section = {**comparison['compare']['picture']}
    return comparison['compare'].setdefault('held_out', {'Kodak': section})['Kodak']


NEEDS: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda o: o['logger'].update(use_tb_logger=False), 'logger:use_tb_logger: must be true, as the curves are read'),
    (lambda o: o['logger'].pop('use_tb_logger'), 'logger:use_tb_logger: must be true, as the curves are read'),
    (lambda o: o['val'].pop('metrics'), 'val:metrics: a comparison needs a validation set with a name, and a metric'),
    (lambda o: o['datasets'].pop('val'), 'val:metrics: a comparison needs a validation set with a name, and a metric'),
    (
        lambda o: o['compare']['runs'][1].update(datasets={'val': {'name': 'other'}}),
        'all runs must have validation sets of the same names',
    ),
    (lambda o: o['compare']['runs'][0].update(network_g={'kernel_size': -1}), '(in the run Converse)'),
    (lambda o: o['compare']['runs'][1].update(network_g={'operator': 'none'}), '(in the run Conv (twin))'),
    (lambda o: o['compare']['runs'][1].update(train={'total_iter': 'x'}), 'total_iter'),
    (lambda o: o['compare']['runs'][1].update(datasets={'train': {'dataroot_gt': 'gone.lmdb'}}), 'gone.lmdb'),
    (lambda o: o['compare']['picture'].update(dataroot_gt='gone'), 'compare:picture:dataroot_gt: gone does not exist'),
    (lambda o: o['compare']['picture'].update(type='PairedImageDatset'), 'did you mean PairedImageDataset?'),
    (lambda o: o['compare']['picture'].update(name='val'), 'val'),
    (lambda o: held_out(o).update(dataroot_gt='gone'), 'compare:held_out:Kodak:dataroot_gt: gone does not exist'),
    (lambda o: held_out(o).update(type='PairedImageDatset'), 'compare:held_out:Kodak:type'),
    (lambda o: held_out(o).update(on_bad_sample='skip'), 'compare:held_out:Kodak:on_bad_sample: is for training only'),
    (lambda o: held_out(o).update(dataroot_lq=held_out(o)['dataroot_gt']), 'Kodak'),
    (
        lambda o: (held_out(o), o['compare']['runs'][1].update(datasets={'val': {'name': 'Kodak'}})),
        'all runs must have validation sets of the same names',
    ),
]


@pytest.mark.promise('a comparison whose page could not be made')
@pytest.mark.parametrize(('change', 'message'), NEEDS)
def test_what_a_comparison_lacks_is_said_before_the_first_training(
    comparison: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    change: Callable[[dict[str, Any]], object],
    message: str,
) -> None:
    change(comparison)
    assert cli.main(['compare', write(comparison)]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith('basicsr: error: ')]
    assert sum(message in line for line in errors) == 1, errors
    assert sorted(path.name for path in Path().iterdir()) == ['tiny.yml']


@pytest.mark.promise('a comparison whose page could not be made')
@pytest.mark.parametrize('root', ['dataroot_gt', 'dataroot_lq'])
def test_what_a_held_out_set_of_trained_networks_lacks_is_said(
    comparison: dict[str, Any], capsys: pytest.CaptureFixture[str], root: str
) -> None:
    section = held_out(comparison)
    section[root] = 'gone' if root == 'dataroot_gt' else section['dataroot_gt']  # inputs as large as the outputs
    for run in read_comparison(write(comparison)).runs:
        finish(run)
        events = Path('tb_logger', run.name, 'events.out.tfevents.0')
        events.parent.mkdir(parents=True)
        events.touch()
    assert cli.main(['compare', 'tiny.yml']) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith('basicsr: error: ')]
    assert len(errors) == 1
    lines = Path('tiny.yml').read_text().splitlines()
    number = next(n for n in range(lines.index('    Kodak:'), len(lines)) if lines[n].startswith(f'      {root}: ')) + 1
    assert f'tiny.yml:{number} compare:held_out:Kodak:{root}: ' in errors[0]


@pytest.mark.promise('a comparison whose page could not be made')
@pytest.mark.parametrize('module', ['matplotlib', 'tensorboard'])
def test_a_missing_package_is_said_before_the_first_training(
    comparison: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name, *rest: None if name == module else find_spec(name, *rest)
    )
    assert cli.main(['compare', write(comparison)]) == 2
    assert module in capsys.readouterr().err
    assert not Path('experiments').exists()


@pytest.mark.promise('files of yours under the names of a report, a page or a table')
@pytest.mark.parametrize('name', ['tiny.md', 'tiny_curves.csv', 'tiny_runs.csv', 'tiny_time.svg', 'tiny_val0.png'])
def test_files_of_others_are_not_replaced(
    comparison: dict[str, Any], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    Path('comparison').mkdir()
    Path('comparison', name).write_text('mine')
    assert cli.main(['compare', write(comparison)]) == 2
    assert f'comparison/{name} is in the way: this command did not write it' in capsys.readouterr().err
    assert Path('comparison', name).read_text() == 'mine'
    assert not Path('experiments').exists()


@pytest.mark.promise('a place for results that is read-only, or no folder')
@pytest.mark.parametrize('arguments', [[], ['--report-only']])
def test_a_read_only_place_is_said_before_the_work(
    comparison: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
) -> None:
    measured(comparison)
    monkeypatch.setattr(os, 'access', lambda path, mode: False)  # whoever runs the tests as root may write everywhere
    assert cli.main(['compare', write(comparison), *arguments]) == 2
    assert 'cannot be written into; choose another one' in capsys.readouterr().err
    assert not Path('experiments').exists()


@pytest.mark.promise('a comparison whose page could not be made')
def test_a_finished_run_without_its_curves_is_named(
    comparison: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('converse_basicsr.compare.needs._try', lambda run, comparison: None)
    run = read_comparison(write(comparison)).runs[0]
    models = Path('experiments', run.name, 'models')
    models.mkdir(parents=True)
    Path('experiments', run.name, f'{run.name}.yml').write_text(run.option_file.dump())
    (models / 'net_g_latest.pth').touch()
    assert cli.main(['compare', 'tiny.yml']) == 2
    assert 'tb_logger/tiny_converse_s0 has no curve of Converse: remove experiments/' in capsys.readouterr().err
