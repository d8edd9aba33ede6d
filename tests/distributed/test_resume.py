"""A run that was killed or stopped ends where an uninterrupted one ends, to the last bit."""

import signal
from pathlib import Path
from typing import Any

import pytest
from tiny_processes import NO_FORKS, NO_FORKS_REASON, Training, checkpoint, newest, same, train

pytestmark = pytest.mark.skipif(NO_FORKS, reason=NO_FORKS_REASON)


@pytest.fixture
def long_options(run_options: dict[str, Any]) -> dict[str, Any]:
    """Forty iterations over several epochs, with EMA, dropout and validations right after the states are saved."""
    run_options.update(model_type='RestorationModel', network_g={'type': 'NoisyNet'})
    run_options['datasets']['train'].update(batch_size_per_gpu=3)
    run_options['train'].update(total_iter=40, ema_decay=0.9)
    run_options['train']['scheduler']['milestones'] = [10, 25, 30]
    run_options['val'].update(val_freq=5)
    run_options['logger'].update(save_checkpoint_freq=5, print_freq=20)
    return run_options


@pytest.mark.parametrize('nproc', [1, 2])
def test_killed_and_resumed(long_options: dict[str, Any], tmp_path: Path, nproc: int) -> None:
    """The resumed run has no seed in its option file: the one it began with is kept."""
    whole, killed = tmp_path / 'whole', tmp_path / 'killed'
    train(whole, long_options, nproc=nproc)
    statuses = Training(killed, long_options, nproc=nproc, sends=(signal.SIGKILL, 20)).wait()
    assert statuses == [-signal.SIGKILL] * nproc
    assert newest(killed) == 20
    del long_options['manual_seed']
    assert 'Resuming training from epoch' in train(killed, long_options, '--auto_resume', nproc=nproc)
    states = [checkpoint(folder, 40) for folder in (whole, killed)]
    assert states[0]['state']['best_metric_results']['val']['psnr']['iter'] > 0
    assert len(states[0]['state']['generators']) == nproc
    assert set(states[0]['networks']) == {'params', 'params_ema'}
    assert same(*states)


@pytest.mark.parametrize(
    ('stop', 'nproc', 'ranks', 'saved'),
    [
        (signal.SIGTERM, 2, (0, 1), 20),  # in the validation of iteration 20
        (signal.SIGTERM, 2, (1,), 20),  # rank 0 learns of it when it gathers the results
        (signal.SIGINT, 1, (0,), 17),  # between two iterations
    ],
)
def test_stopped_and_resumed(
    long_options: dict[str, Any],
    tmp_path: Path,
    stop: signal.Signals,
    nproc: int,
    ranks: tuple[int, ...],
    saved: int,
) -> None:
    long_options['logger']['keep_last'] = 2
    if saved == 17:
        long_options['logger']['save_checkpoint_freq'] = 17
    whole, stopped = tmp_path / 'whole', tmp_path / 'stopped'
    train(whole, long_options, nproc=nproc)
    training = Training(stopped, long_options, nproc=nproc, sends=(stop, saved), ranks=ranks)
    assert training.wait() == [128 + stop] * nproc
    assert f'stopped by {stop.name}: saved after iteration {saved}; go on with --auto_resume' in training.output
    assert 'Traceback' not in training.output
    train(stopped, long_options, '--auto_resume', nproc=nproc)
    last = newest(whole)
    assert same(checkpoint(whole, last), checkpoint(stopped, last))
    assert same(checkpoint(whole, 'latest'), checkpoint(stopped, 'latest'))
    kept = {'34', '17'} if saved == 17 else {'35', '40'}
    for name in ('training_states', 'models'):
        found = {path.stem.rpartition('_')[2] for path in (stopped / 'experiments/tiny' / name).iterdir()}
        assert found - {'latest'} == kept


def test_all_processes_stop_after_the_same_iteration(long_options: dict[str, Any], tmp_path: Path) -> None:
    """Rank 1 alone is told, between validations: both stop one iteration later, which is how long the answer takes."""
    long_options['val']['val_freq'] = 1000
    training = Training(tmp_path / 'x', long_options, nproc=2, sends=(signal.SIGTERM, 10), ranks=(1,))
    assert training.wait() == [128 + signal.SIGTERM] * 2
    assert newest(tmp_path / 'x') == 11
