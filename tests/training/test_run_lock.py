"""A name belongs to one run at a time."""

import errno
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from converse_basicsr.files import lock

Run = Callable[..., int]

LOCK = Path('experiments/.tiny.lock')


def held_elsewhere(path: Path, age: float = 0.0) -> None:
    """A lock that a process of another machine holds, or held."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**asdict(lock.Owner.here()), 'host': 'node7', 'token': 'other'}))
    os.utime(path, (path.stat().st_mtime - age,) * 2)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob('*') if path.is_file() and path.suffix != '.lock'}


@pytest.mark.promise('a second run or test of a name while the first one works')
@pytest.mark.parametrize('arguments', [(), ('--auto_resume',)])
def test_a_second_run_of_the_name_is_refused_and_touches_nothing(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert basicsr('train', run_options) == 0
    unfinished = Path('experiments/tiny/models/.net_g_6.pth.0123456789ab.tmp')
    unfinished.touch()  # the first run is writing it
    before = contents(Path('experiments'))
    with lock.locked(LOCK, 'x'):  # this process is the first
        assert basicsr('train', run_options, *arguments) == 2
    assert f'in use by process {os.getpid()} on ' in capsys.readouterr().err
    assert contents(Path('experiments')) == before
    assert [path.name for path in Path('experiments').iterdir()] == ['tiny']


@pytest.mark.promise('a second run or test of a name while the first one works')
def test_a_second_test_of_the_name_is_refused(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert basicsr('train', run_options) == 0
    options = {key: run_options[key] for key in ('name', 'model_type', 'scale', 'num_gpu', 'network_g', 'val')}
    options['val'].pop('val_freq')
    options['datasets'] = {'test': run_options['datasets']['val']}
    options['path'] = {'pretrain_network_g': 'experiments/tiny/models/net_g_latest.pth'}
    assert basicsr('test', options) == 0
    before = contents(Path('results'))
    with lock.locked(Path('results/.tiny.lock'), 'x'):
        assert basicsr('test', options) == 2
    assert 'in use by process' in capsys.readouterr().err
    assert contents(Path('results')) == before


@pytest.mark.promise('the lock of a run that was killed')
def test_auto_resume_follows_a_holder_elsewhere_that_is_dead(
    basicsr: Run, run_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A batch job that is queued again starts on another machine while the lock of the first is still there."""
    held_elsewhere(LOCK, age=lock.LOST / 2)
    assert basicsr('train', run_options) == 2
    told = capsys.readouterr().err
    assert 'on node7' in told
    assert 'if it is dead, repeat the command' in told
    monkeypatch.setattr(lock.time, 'sleep', lambda seconds: held_elsewhere(LOCK, age=lock.LOST + 1))
    assert basicsr('train', run_options, '--auto_resume') == 0
    assert 'waiting up to' in capsys.readouterr().err
    assert not LOCK.exists()


@pytest.mark.promise('a run that another process has taken over (it was suspended for minutes, say)')
def test_a_run_that_was_taken_over_saves_nothing_more(
    basicsr: Run, run_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from converse_basicsr.checkpoints import training_state

    original = training_state.generator_states

    def taken_over() -> Any:
        if Path('experiments/tiny/training_states/2.state').exists():
            held_elsewhere(LOCK)
        return original()

    monkeypatch.setattr(training_state, 'generator_states', taken_over)
    assert basicsr('train', run_options) == 2
    assert 'was taken over by process' in capsys.readouterr().err
    assert [path.name for path in Path('experiments/tiny/training_states').iterdir()] == ['2.state']
    assert LOCK.exists()


@pytest.mark.promise('a place where no lock can be made')
def test_where_no_lock_can_be_made_the_run_goes_on(
    basicsr: Run, run_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: lock.Lock, **_: Any) -> None:
        raise OSError(errno.EACCES, 'Permission denied')

    monkeypatch.setattr(lock.Lock, 'acquire', refuse)
    assert basicsr('train', run_options) == 0
    told = capsys.readouterr().err
    assert 'experiments/.tiny.lock cannot be locked (Permission denied): see that no other process' in told


def test_a_refused_run_leaves_no_folder(basicsr: Run, run_options: dict[str, Any]) -> None:
    run_options['datasets']['train']['batch_size_per_gpu'] = 21
    assert basicsr('train', run_options) == 2
    assert not Path('experiments').exists()
