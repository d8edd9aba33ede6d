"""A run that was killed or stopped ends where an uninterrupted one ends, to the last bit."""

import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_processes import Training, checkpoint, newest, same, train
from tiny_run import tiny_options

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == 'nt', reason='processes send signals to themselves, which Windows lacks'),
]


def options_of_long_run(pairs: Path) -> dict[str, Any]:
    """Forty iterations over several epochs, with EMA and dropout, and the validations right after states are saved."""
    options = tiny_options(pairs)
    options.update(model_type='RestorationModel', network_g={'type': 'NoisyNet'})
    options['datasets']['train'].update(batch_size_per_gpu=3)
    options['train'].update(total_iter=40, ema_decay=0.9)
    options['train']['scheduler']['milestones'] = [10, 25, 30]
    options['val'].update(val_freq=12)
    options['logger'].update(save_checkpoint_freq=6, print_freq=20)
    return options


@pytest.fixture
def long_options(pairs: Path) -> dict[str, Any]:
    return options_of_long_run(pairs)


@pytest.fixture(scope='module')
def whole(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """The folder of a run on that many processes which nobody disturbed."""

    @functools.cache
    def run(nproc: int) -> Path:
        folder = tmp_path_factory.mktemp(f'whole{nproc}')
        train(folder, options_of_long_run(pairs), nproc=nproc)
        return folder

    return run


@pytest.mark.parametrize('nproc', [1, 2])
@pytest.mark.promise('a training that is killed or stopped (Ctrl-C, SIGTERM) and goes on with `--auto_resume`')
def test_killed_and_resumed(
    long_options: dict[str, Any], whole: Callable[[int], Path], tmp_path: Path, nproc: int
) -> None:
    """The resumed run has no seed in its option file: the one it began with is kept."""
    statuses = Training(tmp_path, long_options, nproc=nproc, sends=(signal.SIGKILL, 24)).wait()
    assert statuses == [-signal.SIGKILL] * nproc
    assert newest(tmp_path) == 24
    del long_options['manual_seed']
    assert 'Resuming training from epoch' in train(tmp_path, long_options, '--auto_resume', nproc=nproc)
    states = [checkpoint(folder, 36) for folder in (whole(nproc), tmp_path)]
    assert states[0]['state']['best_metric_results']['val']['psnr']['iter'] > 0
    assert len(states[0]['state']['generators']) == nproc
    assert set(states[0]['networks']) > {'params', 'params_ema'}
    assert same(*states)
    assert same(checkpoint(whole(nproc), 'latest'), checkpoint(tmp_path, 'latest'))


@pytest.mark.parametrize(
    ('stop', 'nproc', 'ranks', 'saved'),
    [
        (signal.SIGTERM, 2, (0, 1), 24),  # in the validation of iteration 24
        (signal.SIGTERM, 2, (1,), 24),  # rank 0 learns of it when it gathers the results
        (signal.SIGINT, 1, (0,), 18),  # between two iterations
    ],
)
@pytest.mark.promise('a training that is killed or stopped (Ctrl-C, SIGTERM) and goes on with `--auto_resume`')
def test_stopped_and_resumed(
    long_options: dict[str, Any],
    whole: Callable[[int], Path],
    tmp_path: Path,
    stop: signal.Signals,
    nproc: int,
    ranks: tuple[int, ...],
    saved: int,
) -> None:
    long_options['logger']['keep_last'] = 2
    training = Training(tmp_path, long_options, nproc=nproc, sends=(stop, saved), ranks=ranks)
    assert training.wait() == [128 + stop] * nproc
    assert f'stopped by {stop.name}: saved after iteration {saved}; go on with --auto_resume' in training.output
    assert 'Traceback' not in training.output
    train(tmp_path, long_options, '--auto_resume', nproc=nproc)
    last = newest(whole(nproc))
    assert same(checkpoint(whole(nproc), last), checkpoint(tmp_path, last))
    assert same(checkpoint(whole(nproc), 'latest'), checkpoint(tmp_path, 'latest'))
    for name in ('training_states', 'models'):
        found = {path.stem.rpartition('_')[2] for path in (tmp_path / 'experiments/tiny' / name).iterdir()}
        assert found - {'latest'} == {'30', '36'}


def test_all_processes_stop_after_the_same_iteration(long_options: dict[str, Any], tmp_path: Path) -> None:
    """Rank 1 alone is told, between validations: both stop one iteration later, which is how long the answer takes."""
    long_options['val']['val_freq'] = 1000
    training = Training(tmp_path, long_options, nproc=2, sends=(signal.SIGTERM, 12), ranks=(1,))
    assert training.wait() == [128 + signal.SIGTERM] * 2
    assert newest(tmp_path) == 13
