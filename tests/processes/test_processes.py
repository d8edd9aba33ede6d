"""Starting processes, their ends, and what is told about them."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tiny_processes import checkpoint, newest, process_environment, train

from converse_basicsr.errors import UserError
from converse_basicsr.processes import distributed, launch, stopping

needs_signals = pytest.mark.skipif(os.name == 'nt', reason='processes are sent signals, which Windows lacks')

BASICSR = [sys.executable, '-m', 'converse_basicsr.cli']


@pytest.fixture
def option_file(run_options: dict[str, Any], tmp_path: Path) -> Callable[[], Path]:
    def write() -> Path:
        path = tmp_path / 'run.yml'
        path.write_text(yaml.safe_dump(run_options, sort_keys=False))
        return path

    return write


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and theirs (Linux)."""
    try:
        children = [int(child) for child in Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]
    except OSError:
        return []
    return [*children, *(process for child in children for process in descendants(child))]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start ``basicsr train --nproc 2`` with its output in a file."""
    with open(folder / 'output.txt', 'w') as output:
        command = [*BASICSR, 'train', '-opt', 'run.yml', '--nproc', '2', *arguments]
        return subprocess.Popen(command, cwd=folder, env=process_environment(), stdout=output, stderr=output, text=True)


@needs_signals
def test_two_processes_save_together_when_stopped(
    run_options: dict[str, Any], option_file: Callable[[], Path], tmp_path: Path
) -> None:
    run_options['train']['total_iter'] = 100_000
    run_options['logger'].update(save_checkpoint_freq=100_000, print_freq=5)
    option_file()
    with start(tmp_path) as launcher:
        log = None
        while log is None or 'iter:       5' not in log.read_text():
            assert launcher.poll() is None, (tmp_path / 'output.txt').read_text()
            time.sleep(0.05)
            log = next((tmp_path / 'experiments').glob('tiny/*.log'), None) if launcher.poll() is None else log
        launcher.send_signal(signal.SIGTERM)
        assert launcher.wait(60) == 128 + signal.SIGTERM
    output = (tmp_path / 'output.txt').read_text()
    reached = int(re.search(r'stopped by SIGTERM: saved after iteration (\d+)', output)[1])
    assert output.count('stopped by') == 1
    assert 'Traceback' not in output
    state = checkpoint(tmp_path, reached)['state']
    assert state['iter'] == reached >= 5
    assert len(state['generators']) == 2


@pytest.mark.slow
@pytest.mark.skipif(not Path('/proc/self/task').exists(), reason='finds the processes in /proc: needs Linux')
def test_processes_do_not_outlive_their_launcher(
    run_options: dict[str, Any], option_file: Callable[[], Path], tmp_path: Path
) -> None:
    run_options['train']['total_iter'] = 100_000
    run_options['logger'].update(save_checkpoint_freq=100_000)
    option_file()
    with start(tmp_path) as launcher:
        while not list((tmp_path / 'experiments').glob('tiny/*.log')):
            time.sleep(0.05)
        processes = descendants(launcher.pid)
        assert len(processes) >= 2
        launcher.kill()
    end = time.monotonic() + 60
    while any(Path(f'/proc/{pid}').exists() for pid in processes) and time.monotonic() < end:
        time.sleep(0.05)
    assert not [pid for pid in processes if Path(f'/proc/{pid}').exists()]
    assert list((tmp_path / 'experiments/tiny/training_states').glob('*.state'))


@pytest.mark.slow
def test_the_error_of_one_process_ends_all(
    run_options: dict[str, Any], option_file: Callable[[], Path], tmp_path: Path
) -> None:
    """Rank 0 cannot write the checkpoint of iteration 6; rank 1 would wait for its gradients."""
    train(tmp_path, run_options)
    (tmp_path / 'experiments/tiny/models/net_g_6.pth').mkdir()
    run_options['train']['total_iter'] = 100_000
    option_file()
    with start(tmp_path, '--auto_resume') as launcher:
        assert launcher.wait(120) == 2
    output = (tmp_path / 'output.txt').read_text()
    assert output.count('cannot write checkpoint') == 1
    assert 'Traceback' not in output
    assert newest(tmp_path) == 4


@pytest.mark.slow
def test_a_bad_option_is_told_once(
    option_file: Callable[[], Path], run_options: dict[str, Any], tmp_path: Path
) -> None:
    run_options['train']['amp'] = 'fp8'
    run_options['model_type'] = 'RestorationModel'
    option_file()
    with start(tmp_path) as launcher:
        assert launcher.wait(120) == 2
    output = (tmp_path / 'output.txt').read_text()
    assert output.count('error') == 1
    assert 'train:amp' in output


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--nproc', '0'], '--nproc must be at least 1, got 0'),
        (['--nproc', '2', '--launcher', 'pytorch'], 'leave out --launcher'),
        (['--launcher', 'pytorch'], '--launcher pytorch: RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT not set'),
        (
            ['--launcher', 'slurm'],
            '--launcher slurm: SLURM_PROCID, SLURM_NTASKS, SLURM_LOCALID, SLURM_NODELIST not set',
        ),
    ],
)
def test_processes_that_cannot_start(
    basicsr: Callable[..., int],
    run_options: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert basicsr('train', run_options, *arguments) == 2
    assert message in capsys.readouterr().err
    assert not Path('experiments').exists()


def test_the_first_failure_is_the_status_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, 'GRACE', 0.2)
    (tmp_path / 'tool.py').write_text(
        'import os, sys, time\nassert "--x" in sys.argv\nsys.exit(7) if os.environ["RANK"] == "1" else time.sleep(60)\n'
    )
    monkeypatch.setattr(launch, 'COMMAND', [sys.executable, str(tmp_path / 'tool.py')])
    started = time.monotonic()
    assert launch.run(3, ['--x']) == 7
    assert time.monotonic() - started < 30


class TestGpus:
    def test_each_process_takes_the_gpu_of_its_number_on_the_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv('RANK', '5')
        monkeypatch.setenv('LOCAL_RANK', '1')
        assert distributed.local_gpu(2) == 1

    @pytest.mark.parametrize('local', ['2', None])
    def test_a_process_without_a_gpu_is_refused(self, monkeypatch: pytest.MonkeyPatch, local: str | None) -> None:
        monkeypatch.setenv('RANK', '2')
        monkeypatch.delenv('LOCAL_RANK', raising=False)
        if local:
            monkeypatch.setenv('LOCAL_RANK', local)
        with pytest.raises(UserError, match=r'rank 2 is process 3 of this machine, which shows 2 GPU\(s\)'):
            distributed.local_gpu(2)


class TestSlurm:
    @pytest.fixture(autouse=True)
    def _environment(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(os, 'environ', os.environ.copy())
        for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'):
            os.environ.pop(name, None)
        os.environ.update(SLURM_PROCID='11', SLURM_NTASKS='16', SLURM_LOCALID='3', SLURM_NODELIST='node[07-08]')

    def test_its_environment_is_taken_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []

        def scontrol(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
            asked.append(command)
            return subprocess.CompletedProcess(command, 0, 'node07\nnode08\n')

        monkeypatch.setattr(distributed.subprocess, 'run', scontrol)
        distributed.take_over_slurm_environment(29511)
        names = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT')
        assert [os.environ[name] for name in names] == ['11', '16', '3', 'node07', '29511']
        assert asked == [['scontrol', 'show', 'hostnames', 'node[07-08]']]

    def test_what_is_set_already_is_kept(self) -> None:
        os.environ.update(MASTER_ADDR='head', MASTER_PORT='20007')
        distributed.take_over_slurm_environment(None)
        assert (os.environ['MASTER_ADDR'], os.environ['MASTER_PORT']) == ('head', '20007')

    def test_a_list_of_machines_that_cannot_be_read_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv('PATH', '')
        with pytest.raises(UserError, match='set MASTER_ADDR to the machine of rank 0'):
            distributed.take_over_slurm_environment(None)


@needs_signals
def test_the_second_signal_stops_at_once() -> None:
    with stopping.stop_on_signals() as request:
        assert not request
        os.kill(os.getpid(), signal.SIGINT)
        assert request.signum_of_any(torch.device('cpu')) == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert stopping.current_request() is None


@needs_signals
def test_a_validation_ends_when_it_is_stopped() -> None:
    with stopping.stop_on_signals() as request:
        loader = stopping.WatchedLoader(torch.utils.data.DataLoader([1, 2, 3]), request)
        assert len(loader) == 3
        assert len(loader.dataset) == 3
        batches = iter(loader)
        assert next(batches) == 1
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(stopping.ValidationStopped):
            next(batches)


class TestBackend:
    @pytest.mark.parametrize(
        ('asked', 'on_gpus', 'chosen'), [(None, False, 'gloo'), ('nccl', False, 'gloo'), ('gloo', True, 'gloo')]
    )
    def test_what_the_option_file_asks_for_is_taken_where_it_can_be(
        self, asked: str | None, on_gpus: bool, chosen: str
    ) -> None:
        assert distributed.choose_backend(asked, on_gpus=on_gpus) == chosen

    def test_a_backend_that_this_torch_lacks_is_refused(self) -> None:
        with pytest.raises(UserError, match=r'dist_params:backend must be one of .*, got smoke'):
            distributed.choose_backend('smoke', on_gpus=False)
        if torch.distributed.is_mpi_available():
            pytest.skip('this PyTorch has MPI')
        with pytest.raises(UserError, match='built without mpi'):
            distributed.choose_backend('mpi', on_gpus=False)

    def test_a_replaced_backend_is_told(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        values = {'RANK': '0', 'WORLD_SIZE': '1', 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(launch.free_port())}
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(torch.multiprocessing, 'set_start_method', lambda method: None)
        distributed.start('pytorch', on_gpus=False, backend='nccl')
        distributed.leave()
        assert 'note: dist_params:backend nccl needs GPUs; gloo takes its place' in capsys.readouterr().err
