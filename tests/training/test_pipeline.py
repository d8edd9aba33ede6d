"""The training loop: what one run does, writes and says."""

import argparse
import functools
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tiny_run import only_log

import converse_basicsr

Run = Callable[..., int]


def states(run: str = 'tiny') -> list[int]:
    return sorted(int(path.stem) for path in Path('experiments', run, 'training_states').glob('*.state'))


def test_everything_is_done_once(basicsr: Run, run_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """One parse of the command line, one reading of the option file, one build of each network."""
    converse_basicsr.register()
    from basicsr.models import sr_model

    from converse_basicsr.archs import ConverseSRResNet
    from converse_basicsr.commands import train
    from converse_basicsr.options import file

    calls: Counter[str] = Counter()

    def counted(owner: Any, name: str, label: str) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def count(*args: Any, **kwargs: Any) -> Any:
            calls[label] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, count)

    counted(argparse.ArgumentParser, 'parse_args', 'command line')
    counted(file, 'read_option_file', 'option file')
    counted(train, 'read_option_file', 'option file')
    counted(file.yaml, 'parse', 'YAML')
    counted(yaml, 'load', 'YAML')
    counted(ConverseSRResNet, '__init__', 'network')
    counted(sr_model, 'build_network', 'build_network')
    run_options['train'].update(total_iter=2)
    before = list(sys.argv)
    assert basicsr('train', run_options) == 0
    assert calls == {'command line': 1, 'option file': 1, 'YAML': 1, 'network': 1, 'build_network': 1}
    assert sys.argv == before
    calls.clear()
    run_options['train'].update(ema_decay=0.9)
    assert basicsr('train', run_options) == 0
    assert calls['network'] == 2  # the moving average is a network of its own


@pytest.mark.parametrize(('batch', 'total'), [(8, 7), (20, 3), (3, 4)])
def test_a_run_does_the_iterations_it_was_asked_for(
    basicsr: Run, run_options: dict[str, Any], batch: int, total: int
) -> None:
    run_options['datasets']['train']['batch_size_per_gpu'] = batch
    run_options['train']['total_iter'] = total
    run_options['logger']['save_checkpoint_freq'] = 1
    assert basicsr('train', run_options) == 0
    assert states() == list(range(1, total + 1))
    logged = [int(match) for match in re.findall(r'iter: +(\d+), lr', only_log())]
    assert logged == list(range(1, total + 1))


@pytest.mark.promise('a training set that fills no batch')
def test_no_full_batch_is_refused(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run_options['datasets']['train']['batch_size_per_gpu'] = 21
    assert basicsr('train', run_options) == 2
    assert 'fill no batch of 21' in capsys.readouterr().err
    assert not Path('experiments').exists()


def test_a_network_that_cannot_be_built_leaves_the_earlier_run_alone(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert basicsr('train', run_options) == 0
    run_options['network_g']['num_feat'] = 0
    assert basicsr('train', run_options) == 2
    assert re.search(r'run\.yml:\d+ network_g: ConverseSRResNet cannot be built: num_feat', capsys.readouterr().err)
    assert [path.name for path in Path('experiments').iterdir()] == ['tiny']


def test_the_log_tells_what_was_built(basicsr: Run, run_options: dict[str, Any]) -> None:
    assert basicsr('train', run_options) == 0
    log = only_log()
    for text in ('Version Information', 'name: tiny\n', 'Number of train images: 20', 'Network: ConverseSRResNet'):
        assert log.count(text) == 1


def test_without_a_key_for_tensorboard_there_is_none(basicsr: Run, run_options: dict[str, Any]) -> None:
    del run_options['logger']['use_tb_logger']
    assert basicsr('train', run_options) == 0
    assert not Path('tb_logger').exists()


def test_auto_resume_goes_on(basicsr: Run, run_options: dict[str, Any]) -> None:
    assert basicsr('train', run_options) == 0
    run_options['train']['total_iter'] = 6
    assert basicsr('train', run_options, '--auto_resume') == 0
    assert states() == [2, 4, 6]
    assert 'Resuming training from epoch: 0, iter: 4.' in only_log()
    assert not list(Path('experiments').glob('*archived*'))


@pytest.mark.parametrize(('first', 'second'), [('safetensors', 'safetensors'), ('pth', 'safetensors')])
def test_runs_with_safetensors_are_resumed(basicsr: Run, run_options: dict[str, Any], first: str, second: str) -> None:
    run_options['train']['ema_decay'] = 0.9
    run_options['logger'].update(save_format=first, keep_last=2)
    assert basicsr('train', run_options) == 0
    run_options['train']['total_iter'] = 8
    run_options['logger']['save_format'] = second
    assert basicsr('train', run_options, '--auto_resume') == 0
    assert 'Resuming training from epoch: 0, iter: 4.' in only_log()
    kept = {path.name for path in Path('experiments/tiny/models').iterdir()}
    assert {f'net_g_{number}.{second}' for number in (6, 8, 'latest')} <= kept
    assert not {name for name in kept if '_2.' in name or '_4.' in name}


def test_auto_resume_skips_a_damaged_state_and_says_so(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert basicsr('train', run_options) == 0
    newest = Path('experiments/tiny/training_states/4.state')
    newest.write_bytes(newest.read_bytes()[:200])
    assert basicsr('train', run_options, '--auto_resume') == 0
    assert 'skipping 4.state' in capsys.readouterr().err
    assert 'iter: 2.' in only_log()


def test_resume_state_works_without_cuda(basicsr: Run, run_options: dict[str, Any]) -> None:
    assert basicsr('train', run_options) == 0
    run_options['path']['resume_state'] = str(Path('experiments/tiny/training_states/2.state').resolve())
    assert basicsr('train', run_options) == 0
    assert 'Resuming training from epoch: 0, iter: 2.' in only_log()


def test_resumed_training_ends_where_an_uninterrupted_one_ends_in_its_learning_rate(
    basicsr: Run, run_options: dict[str, Any]
) -> None:
    run_options['train']['scheduler'] = {'type': 'MultiStepLR', 'milestones': [2, 3], 'gamma': 0.5}
    assert basicsr('train', run_options) == 0
    whole = re.findall(r'lr:\(([^,]+)', only_log())
    Path('experiments/tiny/training_states/4.state').unlink()
    assert basicsr('train', run_options, '--auto_resume') == 0
    assert re.findall(r'lr:\(([^,]+)', only_log()) == whole[2:]


@pytest.mark.parametrize(('stopped', 'workers'), [(5, 0), (7, 2)])
def test_a_resumed_run_meets_the_samples_of_an_uninterrupted_one(
    basicsr: Run, run_options: dict[str, Any], stopped: int, workers: int
) -> None:
    run_options['datasets']['train'].update(num_worker_per_gpu=workers, batch_size_per_gpu=4)  # 5 batches per epoch
    run_options['train']['total_iter'] = 9
    run_options['logger']['save_checkpoint_freq'] = stopped
    assert basicsr('train', run_options) == 0
    whole = re.findall(r'l_pix: (\S+)', only_log())
    assert len(set(whole)) == len(whole) == 9
    assert basicsr('train', run_options, '--auto_resume') == 0
    assert re.findall(r'l_pix: (\S+)', only_log()) == whole[stopped:]


def test_the_last_validation_is_logged_under_the_last_iteration(basicsr: Run, run_options: dict[str, Any]) -> None:
    run_options['train']['total_iter'] = 3
    assert basicsr('train', run_options) == 0
    assert re.findall(r'@ (\d+) iter', only_log()) == ['3']


def test_training_order_follows_manual_seed(basicsr: Run, run_options: dict[str, Any]) -> None:
    losses = []
    for seed in (1, 1, 2):
        run_options['manual_seed'] = seed
        assert basicsr('train', run_options) == 0
        losses.append(re.findall(r'l_pix: (\S+)', only_log()))
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


def test_the_copy_of_the_options_holds_the_overrides(basicsr: Run, run_options: dict[str, Any]) -> None:
    assert basicsr('train', run_options, '--force_yml', 'train:total_iter=2') == 0
    text = Path('experiments/tiny/run.yml').read_text()
    assert '# CMD:' in text
    assert '# --force_yml train:total_iter=2' in text
    run_options['train']['total_iter'] = 2
    assert yaml.safe_load(text) == run_options


@pytest.mark.slow
def test_two_processes_train_on_cpu_with_workers(run_options: dict[str, Any], tmp_path: Path) -> None:
    run_options['datasets']['train'].update(num_worker_per_gpu=1)
    run_options['num_gpu'] = 0
    run_options['dist_params'] = {'backend': 'nccl', 'port': 29500}  # as in BasicSR's own files; gloo takes its place
    (tmp_path / 'run.yml').write_text(yaml.safe_dump(run_options))
    launcher = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    command = [*launcher, '-m', 'converse_basicsr.cli', 'train', '-opt', 'run.yml', '--launcher', 'pytorch']
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr[-3000:]
    os.chdir(tmp_path)
    assert states() == [2, 4]
    assert 'World size (gpu number): 2' in only_log()


def test_a_forgotten_launcher_is_refused(
    basicsr: Run, run_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv('WORLD_SIZE', '2')
    assert basicsr('train', run_options) == 2
    assert '--launcher pytorch' in capsys.readouterr().err
    assert not Path('experiments').exists()


class TestScripts:
    """Scripts that call BasicSR's own functions train in the same way."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, run_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        converse_basicsr.register()
        monkeypatch.chdir(tmp_path)
        Path('run.yml').write_text(yaml.safe_dump(run_options, sort_keys=False))
        monkeypatch.setattr(sys, 'argv', ['train.py', '-opt', 'run.yml'])

    def test_train_pipeline_is_ours(self, tmp_path: Path) -> None:
        from basicsr.train import train_pipeline

        assert train_pipeline.__module__ == 'converse_basicsr.training.scripts'
        train_pipeline(str(tmp_path))
        assert states() == [2, 4]

    def test_test_pipeline_is_ours(self, tmp_path: Path, run_options: dict[str, Any]) -> None:
        from basicsr.test import test_pipeline as score
        from basicsr.train import train_pipeline

        train_pipeline(str(tmp_path))
        options = {key: run_options[key] for key in ('name', 'model_type', 'scale', 'num_gpu', 'network_g', 'val')}
        options['val'].pop('val_freq')
        options['datasets'] = {'test': run_options['datasets']['val']}
        options['path'] = {'pretrain_network_g': 'experiments/tiny/models/net_g_latest.pth'}
        Path('run.yml').write_text(yaml.safe_dump(options, sort_keys=False))
        score(str(tmp_path))
        assert 'Testing val...' in only_log(results=True)

    def test_a_mistake_is_told_in_one_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from basicsr.train import train_pipeline

        monkeypatch.setattr(sys, 'argv', ['train.py', '-opt', 'absent.yml'])
        with pytest.raises(SystemExit) as ended:
            train_pipeline(str(tmp_path))
        assert ended.value.code == 2
        assert 'error: option file absent.yml does not exist' in capsys.readouterr().err

    def test_a_loop_of_their_own_finds_its_parts(self, tmp_path: Path) -> None:
        from basicsr.train import create_train_val_dataloader, load_resume_state
        from basicsr.utils import get_root_logger
        from basicsr.utils.options import parse_options

        options, _ = parse_options(str(tmp_path))
        assert load_resume_state(options) is None
        loader, sampler, val_loaders, epochs, iterations = create_train_val_dataloader(options, get_root_logger())
        assert (len(loader), sampler.total_size, len(val_loaders), epochs, iterations) == (10, 20, 1, 0, 4)
        assert torch.equal(next(iter(loader))['gt'], next(iter(loader))['gt'])  # the order of one epoch is one
