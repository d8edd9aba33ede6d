import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import converse_basicsr

converse_basicsr.register()

from basicsr.models import build_model  # noqa: E402

from converse_basicsr import cli  # noqa: E402
from converse_basicsr.benchmark import result_tables, training_step  # noqa: E402
from converse_basicsr.options.file import read_option_file  # noqa: E402


@pytest.fixture
def option_path(run_options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    del run_options['datasets']['val']  # not needed
    path = tmp_path / 'run.yml'
    path.write_text(yaml.safe_dump(run_options))
    return path


def case(processes: int, rate: float, **changes: float) -> dict[str, Any]:
    phases = {'data': 1e-3, 'forward': 2e-3, 'backward': 3e-3, 'all_reduce': 5e-4, 'optimizer': 4e-4, 'rest': 1e-4}
    rank = {**phases, 'step': 7e-3, 'peak_bytes': 2**28, 'gradient_bytes': 2**21, 'all_reduce_alone': 1e-3, **changes}
    return {
        'processes': processes,
        'batch_size': 4 * processes,
        'samples_per_second': rate,
        'ranks': [rank] * processes,
    }


def results(*cases: dict[str, Any]) -> dict[str, Any]:
    machine = {'processor': 'p', 'cores': 2, 'threads': 1, 'torch': '2', 'device': 'cpu'}
    return {'machine': machine, 'network': 'Net', 'model': 'SRModel', 'option_file': 'x.yml', 'cases': list(cases)}


@pytest.mark.parametrize('model_type', ['SRModel', 'RestorationModel'])
def test_the_phases_of_an_iteration_add_up(option_path: Path, run_options: dict[str, Any], model_type: str) -> None:
    run_options['model_type'] = model_type
    option_path.write_text(yaml.safe_dump(run_options))
    figures = training_step.measure_here(read_option_file(option_path), repeats=3)
    rank = figures['cases'][0]['ranks'][0]
    assert min(rank[name] for name in ('data', 'forward', 'backward', 'optimizer')) > 0
    assert rank['all_reduce'] == 0
    # Medians are taken of each phase.
    assert sum(rank[name] for name in training_step.PHASES) == pytest.approx(rank['step'], rel=0.5)
    assert rank['batch_size'] == 2
    assert figures['cases'][0]['samples_per_second'] == pytest.approx(2 / rank['step'])
    assert rank['peak_bytes'] > 2**26


def test_phases_are_attributed_to_who_spends_them(run_options: dict[str, Any]) -> None:
    seconds = {'forward': 0.02, 'backward': 0.04, 'optimizer': 0.06}
    run = {**run_options, 'is_train': True, 'dist': False, 'rank': 0, 'world_size': 1, 'num_gpu': 0}
    model = build_model(run)
    now = [0.0]

    class Clock:
        def now(self) -> float:
            return now[0]

    def spend(name: str) -> Callable[..., None]:
        return lambda *_: now.__setitem__(0, now[0] + seconds[name])

    next(model.net_g.children()).register_forward_hook(spend('forward'))
    next(model.net_g.parameters()).register_hook(spend('backward'))
    step = model.optimizer_g.step
    with training_step._phases(model, Clock()) as spent:
        model.optimizer_g.register_step_pre_hook(spend('optimizer'))
        model.feed_data({'lq': torch.rand(1, 3, 8, 8), 'gt': torch.rand(1, 3, 32, 32)})
        model.optimize_parameters(1)
    assert spent == pytest.approx(seconds)
    assert model.optimizer_g.step == step


@pytest.mark.slow
def test_two_processes_from_the_command_line(option_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ['-opt', str(option_path), '--nproc', '2', '--repeats', '2', '--json', 'a.json', '--plot', 'a.svg']
    assert cli.main(['benchmark', 'train', *arguments]) == 0
    printed = capsys.readouterr().out
    assert '| 2 | 4 |' in printed
    assert '| rank of 2 |' in printed
    measured = json.loads(Path('a.json').read_text())['cases'][0]
    assert len(measured['ranks']) == 2
    assert measured['ranks'][0]['all_reduce_alone'] > 0
    assert Path('a.svg').stat().st_size > 1000
    assert not Path('experiments').exists()


@pytest.mark.slow
def test_a_run_that_fails_is_told(option_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['benchmark', 'train', '-opt', str(option_path), '--force_yml', 'network_g:num_feat=-1']) == 2
    assert 'num_feat' in capfd.readouterr().err


def test_efficiency_is_relative_to_the_fewest_processes() -> None:
    cases = case(1, 100), case(4, 300)
    assert [result_tables.efficiency(each, cases[0]) for each in cases] == [1.0, 0.75]
    table = result_tables.train_table(results(*cases))
    assert '| 4 | 16 | 300 | 75 % | 7 | 1 | 2 | 3 | 0.5 | 0.4 | 0.1 | 256 |' in table
    assert table.count('\n| 3 | 7 |') == 1
    assert '2.0 MiB of gradients take 1 ms' in table
    assert 'rank of' not in result_tables.train_table(results(case(1, 100)))
