"""Starting processes, their ends, and what is told about them."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tiny_processes import checkpoint, newest, process_environment, train

from converse_basicsr.processes import launch, stopping

needs_signals = pytest.mark.skipif(os.name == 'nt', reason='processes are sent signals, which Windows lacks')

BASICSR = [sys.executable, '-m', 'converse_basicsr.cli']


@pytest.fixture
def option_file(run_options: dict[str, Any], tmp_path: Path) -> Callable[[], Path]:
    def write() -> Path:
        path = tmp_path / 'run.yml'
        path.write_text(yaml.safe_dump(run_options, sort_keys=False))
        return path

    return write


@pytest.fixture(autouse=True)
def hangups_are_heard() -> Iterator[None]:
    """The tests themselves may run under nohup, whose children ignore hangups."""
    hangup = getattr(signal, 'SIGHUP', None)
    before = signal.signal(hangup, signal.SIG_DFL) if hangup else None
    yield
    if hangup:
        signal.signal(hangup, before)


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
@pytest.mark.promise('processes of `--nproc` whose starter is killed, or of which one fails')
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
@pytest.mark.promise('processes of `--nproc` whose starter is killed, or of which one fails')
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


@needs_signals
@pytest.mark.promise('a second Ctrl-C or SIGTERM while a training saves, or one during a validation')
def test_the_second_signal_stops_at_once() -> None:
    with stopping.stop_on_signals() as request:
        assert not request
        os.kill(os.getpid(), signal.SIGINT)
        assert request.signum_of_any(torch.device('cpu')) == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert stopping.current_request() is None


@needs_signals
@pytest.mark.promise('a second Ctrl-C or SIGTERM while a training saves, or one during a validation')
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


needs_hangup = pytest.mark.skipif(not hasattr(signal, 'SIGHUP'), reason='sends SIGHUP, which Windows lacks')


@needs_hangup
def test_a_hangup_that_comes_twice_stops_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system sends it when the terminal closes, and the shell once more."""
    before = signal.getsignal(signal.SIGHUP)
    with stopping.stop_on_signals() as request:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGHUP)
        assert request.signum == signal.SIGHUP
    assert signal.getsignal(signal.SIGHUP) is before


@needs_hangup
def test_under_nohup_a_hangup_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping.stop_on_signals() as request:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not request
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@needs_hangup
def test_a_message_to_a_terminal_that_is_gone_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise OSError(5, 'Input/output error')

    monkeypatch.setattr(stopping.os, 'write', gone)
    with stopping.stop_on_signals() as request:
        os.kill(os.getpid(), signal.SIGHUP)
        assert request.signum == signal.SIGHUP


@needs_hangup
@pytest.mark.promise('a terminal that is closed (SIGHUP) while a training runs in it')
def test_a_training_in_a_terminal_that_is_closed_is_saved(
    run_options: dict[str, Any], option_file: Callable[[], Path], tmp_path: Path
) -> None:
    """The terminal is closed in truth: what the training writes to it afterwards fails."""
    import pty

    run_options['train']['total_iter'] = 100_000
    run_options['logger'].update(save_checkpoint_freq=100_000, print_freq=1)
    option_file()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(sys.executable, [*BASICSR, 'train', '-opt', 'run.yml'], process_environment())
    read = b''
    while b'iter:       3' not in read:
        read += os.read(terminal, 65536)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP
    assert newest(tmp_path) >= 3
