"""Loader processes that are killed: one line, with everything saved."""

import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_processes import Training, checkpoint, newest
from tiny_run import only_log

from converse_basicsr.training.lost_workers import deaths_held_back, described

Run = Callable[..., int]

needs_signals = pytest.mark.skipif(os.name == 'nt', reason='processes are killed by signals, which Windows lacks')


@pytest.mark.parametrize(
    ('text', 'description'),
    [
        (
            'DataLoader worker (pid 12) is killed by signal: Killed. ',
            r'a loader process \(pid 12\) is killed by signal',
        ),
        (
            'DataLoader worker (pid(s) 12, 13) exited unexpectedly',
            r'a loader process \(pid 12, 13\) exited unexpectedly',
        ),
        (
            'DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that your workers are out of '
            'shared memory. Please try to raise your shared memory limit.',
            r'the shared memory \(/dev/shm\) is too small for the loader processes: lower num_worker_per_gpu',
        ),
        (
            'Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback ...\nRuntimeError: unable to '
            'allocate shared memory(shm) for file </torch_1_2_3>: No space left on device (28)',
            r'the shared memory \(/dev/shm\) is too small',
        ),
    ],
)
def test_a_loss_is_described(text: str, description: str) -> None:
    assert re.match(description, described(RuntimeError(text)) or '')


@pytest.mark.parametrize(
    'error',
    [ConnectionResetError(104, 'reset by peer'), FileNotFoundError(2, 'no socket'), EOFError(),
     RuntimeError('received 0 items of ancdata')],
)  # fmt: skip
def test_a_loss_in_the_midst_of_a_batch_is_described(error: Exception) -> None:
    assert re.match(r'a loader process is gone \(.*\), as happens when memory is short', described(error) or '')


@needs_signals
@pytest.mark.parametrize(
    'error', [RuntimeError('DataLoader worker (pid(s) 7) exited unexpectedly'), ConnectionResetError(104, 'reset')]
)
def test_a_process_tells_what_killed_it_where_the_error_does_not(error: Exception) -> None:
    """PyTorch names no signal when it sees that a process is gone before the system's notice has been handled."""
    loader = multiprocessing.get_context('spawn').Process(target=time.sleep, args=(60,))
    loader.start()
    os.kill(loader.pid, signal.SIGBUS)
    assert re.match(r'the shared memory \(/dev/shm\) is too small', described(error, [loader]) or '')
    loader.join()


@pytest.mark.parametrize(
    'text', ['Caught ValueError in DataLoader worker process 0.', 'out of shared memory', 'unable to allocate', '']
)
def test_other_errors_are_left_alone(text: str) -> None:
    assert described(RuntimeError(text)) is None


@needs_signals
def test_a_death_does_not_come_between() -> None:
    """PyTorch raises it wherever the process is: in the midst of an optimizer step, or of a checkpoint."""
    others, deaths = set(multiprocessing.active_children()), list[str]()
    batches = iter(torch.utils.data.DataLoader(range(40), num_workers=1))
    (worker,) = set(multiprocessing.active_children()) - others
    before = signal.getsignal(signal.SIGCHLD)
    with deaths_held_back(deaths):
        os.kill(worker.pid, signal.SIGKILL)
        end = time.monotonic() + 60
        while not deaths and time.monotonic() < end:
            time.sleep(0.005)  # a step of the training, into which the signal falls
        assert 'is killed by signal: Killed' in deaths[0]
    assert signal.getsignal(signal.SIGCHLD) is before
    del batches


@needs_signals
@pytest.mark.promise('a loader process that is killed, as systems do when memory or `/dev/shm` is short')
@pytest.mark.parametrize(('signum', 'told'), [('SIGKILL', 'as happens when memory is short'), ('SIGBUS', '/dev/shm')])
@pytest.mark.parametrize('mode', [None, 'cpu'])
def test_what_was_trained_is_saved_when_a_loader_process_is_killed(
    basicsr: Run,
    run_options: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    signum: str,
    told: str,
    mode: str | None,
) -> None:
    import converse_basicsr

    converse_basicsr.register()
    from basicsr.data.paired_image_dataset import PairedImageDataset

    original = PairedImageDataset.__getitem__

    def get(self: Any, index: int) -> Any:
        if torch.utils.data.get_worker_info() and Path('kill').exists():
            os.kill(os.getpid(), signal.Signals[signum])
        return original(self, index)

    from basicsr.models.sr_model import SRModel

    optimize = SRModel.optimize_parameters

    def optimize_and_kill(self: Any, current_iter: int) -> None:
        optimize(self, current_iter)
        if current_iter == 3:
            Path('kill').touch()

    run_options['datasets']['train'].update(num_worker_per_gpu=2, prefetch_mode=mode)
    run_options['train']['total_iter'] = 1000
    run_options['logger']['save_checkpoint_freq'] = 1000
    with monkeypatch.context() as patched:
        patched.setattr(PairedImageDataset, '__getitem__', get)
        patched.setattr(SRModel, 'optimize_parameters', optimize_and_kill)
        assert basicsr('train', run_options) == 2
    error = capsys.readouterr().err
    line = error.strip().splitlines()[-1]
    assert line.startswith('basicsr: error: ')
    assert told in line
    assert 'Traceback' not in error
    reached = int(re.search(r'; saved after iteration (\d+); go on with --auto_resume$', line)[1])
    assert Path(f'experiments/tiny/training_states/{reached}.state').exists()
    run_options['train']['total_iter'] = reached + 1
    assert basicsr('train', run_options, '--auto_resume') == 0
    assert f'iter: {reached}.' in only_log()


@pytest.mark.slow
@pytest.mark.skipif(not Path('/proc/self/task').exists(), reason='finds the processes in /proc: needs Linux')
@pytest.mark.promise('a loader process that is killed, as systems do when memory or `/dev/shm` is short')
def test_two_processes_save_together_when_one_loses_a_loader_process(
    run_options: dict[str, Any], tmp_path: Path
) -> None:
    run_options['datasets']['train'].update(num_worker_per_gpu=1, dataset_enlarge_ratio=1000)
    run_options['train']['total_iter'] = 100_000
    run_options['logger'].update(save_checkpoint_freq=100_000, print_freq=1)
    training = Training(tmp_path, run_options, nproc=2)
    end, killed = time.monotonic() + 120, False
    while not killed and time.monotonic() < end:
        assert training.processes[0].poll() is None, training.output
        time.sleep(0.05)
        if 'iter:       3' in training.output:
            (worker,) = loader_processes(training.processes[1].pid)
            os.kill(worker, signal.SIGKILL)
            killed = True
    assert training.wait() == [2, 2]
    assert 'Traceback' not in training.output
    saved = set(re.findall(r'error: (.*); saved after iteration (\d+)', training.output))
    assert len(saved) == 2, training.output
    ((_, reached),) = [one for one in saved if 'as happens when memory is short' in one[0]]
    assert ('another process of this run lost a loader process', reached) in saved
    assert newest(tmp_path) == int(reached)
    assert len(checkpoint(tmp_path, int(reached))['state']['generators']) == 2


def loader_processes(pid: int) -> list[int]:
    """The loader processes of a process that spawns them."""
    children = map(int, Path(f'/proc/{pid}/task/{pid}/children').read_text().split())
    return [child for child in children if b'spawn_main' in Path(f'/proc/{child}/cmdline').read_bytes()]
