"""``basicsr compare``: the plan, a comparison of two tiny runs, its report, and what goes wrong."""

import copy
import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_comparison import write

from converse_basicsr import cli
from converse_basicsr.compare import runs
from converse_basicsr.compare.comparison import read_comparison, slug
from converse_basicsr.compare.runs import is_finished
from converse_basicsr.errors import UserError
from converse_basicsr.evaluation.published import TABLES
from converse_basicsr.options.library import option_files

Run = Callable[..., int]
SMALL = {name: path for name, path in option_files() if name.startswith('small/')}


def rows(path: str) -> list[dict[str, str]]:
    with open(path, encoding='utf-8', newline='') as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize('name', SMALL)
def test_the_small_comparisons_are_plans(name: str) -> None:
    comparison = read_comparison(str(SMALL[name]))
    assert len(comparison.labels) >= 3
    assert comparison.picture
    networks = [json.dumps(run.option_file.options['network_g'], sort_keys=True) for run in comparison.runs]
    assert len(set(networks)) == len(comparison.labels)
    fixed = []
    for run in comparison.runs:
        options = {**run.option_file.options}
        assert options.pop('manual_seed') == run.seed
        assert options.pop('name').startswith('small_')
        options.pop('network_g')
        options['train'] = copy.deepcopy(options['train'])
        rates = {name: options['train']['optim_g'].pop(name, 1) for name in ('kernel_lr_mult', 'lam_lr_mult')}
        network = run.option_file.options['network_g']
        if not network['type'].startswith('Converse') or network.get('operator', 'converse') != 'converse':
            assert set(rates.values()) == {1}, 'these belong to the start of reverse convolutions'
        fixed.append(options)
    assert all(options == fixed[0] for options in fixed)  # nothing but the network and how it starts differs
    assert options['train']['scheduler']['periods'] == [options['train']['total_iter']]


@pytest.mark.parametrize(
    ('start', 'kinds'), [('default', ('kernel_init', 'padding')), ('recommended', ('kernel_size', 'lam_init'))]
)
def test_ablations_from_one_start_share_the_run_that_changes_nothing(start: str, kinds: tuple[str, str]) -> None:
    ablations = [read_comparison(str(SMALL[f'small/ablation_{kind}.yml'])) for kind in kinds]
    name = f'small_ablation_{start}_s0'
    (first,), (second,) = ([run for run in comparison.runs if run.name == name] for comparison in ablations)
    assert first.option_file.options == second.option_file.options
    names = [run.name for comparison in ablations for run in comparison.runs]
    assert len(set(names)) == len(names) - 1  # and nothing else


def test_a_run_changes_what_it_names(comparison: dict[str, Any]) -> None:
    comparison['compare']['runs'][1]['train'] = {'optim_g': {'lr': 0.5}}
    comparison['compare']['runs'].append({'label': 'Other', 'network_g': {'type': 'MSRResNet', 'upscale': 4}})
    first, second, third, *_ = read_comparison(write(comparison)).runs
    assert first.name == 'tiny_converse_s0'
    assert first.option_file.options['network_g'] == comparison['network_g']
    assert second.name == 'tiny_conv_twin_s0'
    assert second.option_file.options['network_g'] == {**comparison['network_g'], 'operator': 'conv'}
    assert second.option_file.options['train']['optim_g'] == {'type': 'Adam', 'lr': 0.5}
    assert third.option_file.options['network_g'] == {'type': 'MSRResNet', 'upscale': 4}
    assert first.option_file.options['train']['optim_g']['lr'] == 1e-3


@pytest.mark.slow
@pytest.mark.promise('`basicsr compare` or `basicsr reproduce` repeated after an interruption')
@pytest.mark.promise('a test set that is held out (`compare: held_out`)')
def test_it_trains_and_reports_and_goes_on(held_out: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    comparison, section = held_out, held_out['compare'].pop('held_out')
    comparison['network_g']['lam_init'] = 0.1
    comparison['compare']['runs'][1]['network_g']['lam_init'] = None  # the twin has no lam
    file = write(comparison)
    assert cli.main(['compare', file, '--jobs', '2', '--threads', '1']) == 0
    assert '4 runs, 0 of them finished before' in capsys.readouterr().out
    text = Path('comparison/tiny.md').read_text(encoding='utf-8')
    assert '# Two tiny networks' in text
    assert '4 runs of 4 iterations with 2 patches of 16 x 16 pixels from train' in text
    assert '| 30.00 (Set9) |' in text
    assert '| 32.25 | 694,208 |' in text
    assert 'losses logged are finite' in text
    for name in ('iterations.svg', 'time.svg', 'val0.png', 'val1.png'):
        assert f'(tiny_{name})' in text
        assert Path('comparison', f'tiny_{name}').stat().st_size > 1000

    curves = rows('comparison/tiny_curves.csv')
    for label in ('Converse', 'Conv (twin)'):
        for seed in '01':
            own = [row for row in curves if (row['label'], row['seed']) == (label, seed)]
            assert [row['iteration'] for row in own if row['quantity'] == 'val/psnr'] == ['2', '4']
            assert [row['iteration'] for row in own if row['quantity'] == 'l_pix'] == ['1', '2', '3', '4']
    costs = rows('comparison/tiny_runs.csv')
    assert len(costs) == 4
    assert all(float(row['step_ms']) > 0 and float(row['kept_mib']) > 0 for row in costs)

    # finished runs are not trained again, nor overwritten by other options
    weights = Path('experiments/tiny_converse_s0/models/net_g_latest.pth')
    trained = weights.stat().st_mtime_ns
    assert cli.main(['compare', file]) == 0
    assert '4 runs, 4 of them finished before' in capsys.readouterr().out
    assert cli.main(['compare', file, '--force_yml', 'train:total_iter=6']) == 2
    assert 'tiny_converse_s0.yml differs from the options' in capsys.readouterr().err
    assert weights.stat().st_mtime_ns == trained

    # a set that is held out later is scored, by the weights as they are
    comparison['compare'] |= {'held_out': section, 'reference': 'Converse'}
    write(comparison)
    assert cli.main(['compare', file]) == 0
    output = capsys.readouterr()
    assert '4 runs, 4 of them finished before' in output.out
    assert output.err.count('scoring tiny_') == 4
    once = [row for row in rows('comparison/tiny_curves.csv') if row['quantity'] == 'Kodak/psnr']
    assert [(row['label'], row['seed'], row['iteration']) for row in once] == [
        (label, seed, '4') for seed in '01' for label in ('Converse', 'Conv (twin)')
    ]
    ends = [
        row for row in rows('comparison/tiny_curves.csv') if (row['quantity'], row['iteration']) == ('val/psnr', '4')
    ]
    for row, end in zip(once, ends, strict=True):  # the images are those of the validation set
        assert (row['label'], float(row['value'])) == (end['label'], pytest.approx(float(end['value']), abs=1e-3))
    text = Path('comparison/tiny.md').read_text(encoding='utf-8')
    assert '| network | parameters | PSNR on val, dB | PSNR on Kodak, dB | difference to Converse, dB |' in text
    assert weights.stat().st_mtime_ns == trained

    # the same again from the figures alone
    for name in ('tiny.md', 'tiny_iterations.svg', 'tiny_time.svg'):
        shutil.move(f'comparison/{name}', name)
    shutil.rmtree('experiments')
    assert cli.main(['compare', file, '--report-only']) == 0
    for name in ('tiny.md', 'tiny_iterations.svg', 'tiny_time.svg'):
        assert Path('comparison', name).read_bytes() == Path(name).read_bytes()


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_a_run_is_finished_when_its_final_weights_are_there(comparison: dict[str, Any], suffix: str) -> None:
    run = read_comparison(write(comparison)).runs[0]
    models = Path('experiments', run.name, 'models')
    models.mkdir(parents=True)
    Path('experiments', run.name, f'{run.name}.yml').write_text(run.option_file.dump())
    assert not is_finished(run)
    (models / f'net_g_latest{suffix}').touch()
    assert is_finished(run)


@pytest.mark.parametrize('name', ['small/denoise.yml', 'small/srresnet_x4.yml', 'small/deblur.yml'])
def test_comparison_files_quote_the_published_figures(name: str) -> None:
    rows = {row.title: row for rows in TABLES.values() for row in rows.values()}
    first_sets = {'small/denoise.yml': 'Set12', 'small/srresnet_x4.yml': 'Set5', 'small/deblur.yml': 'BSD100_k1'}
    for run in read_comparison(str(SMALL[name])).runs:
        row = rows[run.label.removesuffix(", the paper's start")]
        if not run.published:  # said of the network once
            assert row.title != run.label
            continue
        assert run.published['psnr'] == row.psnr[run.published.get('test_set', first_sets[name])]
        assert run.published.get('parameters', row.parameters) == row.parameters


@pytest.mark.slow
def test_a_failing_run_is_named_and_the_others_finish(
    comparison: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    comparison['compare']['seeds'] = [0]
    start = runs.start

    def start_a_bad_one(run: Any, folder: Path, threads: int) -> Any:
        if run.label == 'Converse':
            run.option_file.options['train']['total_iter'] = 'x'
        return start(run, folder, threads)

    monkeypatch.setattr(runs, 'start', start_a_bad_one)
    assert cli.main(['compare', write(comparison)]) == 2
    error = capsys.readouterr().err
    assert 'tiny_converse_s0 ended with status 2' in error
    assert 'total_iter' in error
    assert Path('experiments/tiny_conv_twin_s0/models/net_g_latest.pth').is_file()


@pytest.mark.slow
def test_ending_it_ends_the_training(comparison: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    comparison['train']['total_iter'] = 100_000
    comparison['compare'].pop('picture')
    command = [sys.executable, '-m', 'converse_basicsr.cli', 'compare', write(comparison), '--jobs', '2']
    with subprocess.Popen(command) as process:
        logs = [Path(f'comparison/runs/tiny_{name}_s0.txt') for name in ('converse', 'conv_twin')]
        while not all(log.is_file() and 'iter: ' in log.read_text() for log in logs):
            assert process.poll() is None
            time.sleep(0.2)
        assert cli.main(['compare', 'tiny.yml']) == 2
        assert 'the run tiny_converse_s0 is in use by process' in capsys.readouterr().err
        process.terminate()
        assert process.wait() == 128 + signal.SIGTERM
    sizes = [log.stat().st_size for log in logs]
    time.sleep(1)
    assert [log.stat().st_size for log in logs] == sizes


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda o: o.pop('compare'), 'tiny.yml compare: missing'),
        (lambda o: o['compare'].pop('runs'), 'compare:runs: must be a list of runs'),
        (lambda o: o['compare'].update(runs=[3]), 'compare:runs: must be a list of runs'),
        (lambda o: o['compare'].update(seed=[1]), 'compare:seed: unknown key; did you mean seeds?'),
        (lambda o: o['compare'].update(seeds=[-1]), 'compare:seeds: must be a list of numbers from 0 up'),
        (lambda o: o['compare'].update(seeds=[2**32]), 'compare:seeds: must be a list of numbers from 0 up'),
        (lambda o: o['compare'].update(picture=5), 'compare:picture: must be a section'),
        (lambda o: o['compare'].update(held_out=['Kodak']), 'compare:held_out: must be a section'),
        (lambda o: o['compare'].update(held_out={'Kodak': 'datasets/Kodak'}), 'compare:held_out:Kodak: must be a sec'),
        (lambda o: o['compare'].update(held_out={'val': {}}), 'compare:held_out:val: there is another set with the na'),
        (lambda o: o['compare'].update(held_out={'a': {'name': 'b'}, 'b': {}}), 'there is another set with the name b'),
        (lambda o: o['compare'].update(held_out={'a/b': {}}), "compare:held_out:a/b: 'a/b' must be without slashes"),
        (lambda o: o['compare'].update(held_out={'a': {'name': 7}}), 'compare:held_out:a: 7 is no name'),
        (lambda o: o['compare'].update(reference='Convers'), "reference: must be labels of runs, got 'Convers'; did"),
        (lambda o: o['compare'].update(reference=['Converse', 7]), "reference: must be labels of runs, got '7'; known"),
        (lambda o: o['compare'].update(reference={'a': 1}), 'reference: must be labels of runs'),
        (lambda o: o['compare']['runs'][1].update(network_g='EDSR'), 'must be a section with keys of its own'),
        (lambda o: o['compare']['runs'][1].update(datasets=[1]), 'must be a section with keys of its own'),
        (lambda o: o['compare']['runs'][1]['published'].update(psnr='high'), 'psnr must be a number'),
        (lambda o: o['compare']['runs'][1]['published'].update(test_set=[1]), 'test_set must be text'),
        (lambda o: o.update(train=3), 'train: must be a section'),
        (lambda o: o.update(logger=None), 'logger: must be a section'),
        (lambda o: o['compare']['runs'][1].pop('label'), 'every run needs a label of its own'),
        (lambda o: o['compare']['runs'][1].update(label='Converse'), 'every run needs a label of its own'),
        (lambda o: o['compare']['runs'][1].update(network={}), 'unknown key; did you mean network_g?'),
        (lambda o: o['compare']['runs'][1]['published'].update(psnrs=1), 'unknown key; did you mean psnr?'),
        (lambda o: o.pop('train'), 'tiny.yml train: missing'),
    ],
)
def test_bad_files_are_refused(
    comparison: dict[str, Any], change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    change(comparison)
    with pytest.raises(UserError) as raised:
        read_comparison(write(comparison))
    assert message in str(raised.value)
    assert '\n' not in str(raised.value)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--jobs', '0'], '--jobs: must be at least 1'),
        (['--threads', '0'], '--threads: must be at least 1'),
        (['--report-only'], 'tiny_curves.csv does not exist'),
        (['--output', 'tiny.yml'], 'cannot write to tiny.yml'),
        (['tiny.yml'], 'two of the comparison files have the same name: tiny, tiny'),
        (['--force_yml', 'datasets:train:dataroot_gt=nowhere.lmdb'], 'nowhere.lmdb does not exist'),
    ],
)
def test_bad_arguments_are_refused(
    comparison: dict[str, Any], arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(['compare', write(comparison), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not Path('experiments').exists()


def test_slug() -> None:
    assert slug('ConverseNet (blind)') == 'conversenet_blind'
