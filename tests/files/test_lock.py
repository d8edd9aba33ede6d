"""The lock: who holds it, who is dead, and what happens to a holder that lost it."""

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from converse_basicsr.errors import UserError
from converse_basicsr.files import lock
from converse_basicsr.files.lock import Lock, locked

needs_proc = pytest.mark.skipif(not Path('/proc/self/stat').exists(), reason='asks /proc about processes: needs Linux')


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / '.run.lock'


def left_by(path: Path, *, age: float = 0.0, **changes: Any) -> None:
    """A lock file that a process of another kind left, some seconds ago."""
    own = {**lock.asdict(lock.Owner.here()), 'token': 'other', **changes}
    path.write_text(json.dumps(own))
    os.utime(path, (time.time() - age,) * 2)


def test_the_second_is_told_who_holds_it(path: Path) -> None:
    with (
        locked(path, 'the run x'),
        pytest.raises(UserError, match=rf'the run x is in use by process {os.getpid()} on .+ since \d{{4}}-'),
    ):
        Lock(path, 'the run x').acquire()
    assert not path.exists()
    with locked(path, 'the run x'):
        pass


def test_a_holder_in_another_process_is_seen_while_it_lives(path: Path) -> None:
    program = (
        'import sys; from pathlib import Path; from converse_basicsr.files.lock import Lock\n'
        'Lock(Path(sys.argv[1]), "x").acquire(); print("held", flush=True); sys.stdin.read()'
    )
    command = [sys.executable, '-c', program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b'held\n'
        with pytest.raises(UserError, match=f'process {holder.pid}'):
            Lock(path, 'x').acquire()
        holder.kill()
    if os.name == 'posix':
        with locked(path, 'x'):  # at once: the system knows that the holder is dead
            pass


@needs_proc
@pytest.mark.parametrize('changes', [{'pid': 2**22 + 1}, {'started': '1'}])
def test_a_dead_holder_on_this_machine_is_followed_at_once(path: Path, changes: dict[str, Any]) -> None:
    """A process of that number may live; it is not the holder if it was started at another time."""
    left_by(path, **changes)
    with locked(path, 'x'):
        assert json.loads(path.read_text())['pid'] == os.getpid()


@pytest.mark.parametrize('changes', [{'host': 'elsewhere'}, {'boot': 'before'}])
def test_a_holder_elsewhere_is_dead_when_it_gave_no_sign_for_long(path: Path, changes: dict[str, Any]) -> None:
    left_by(path, **changes)
    with pytest.raises(UserError, match=r'if it is dead, repeat the command \d+ seconds later or delete .*run\.lock'):
        Lock(path, 'x').acquire()
    left_by(path, age=lock.LOST + 1, **changes)
    with locked(path, 'x'):
        pass


def test_waiting_ends_when_the_holder_elsewhere_is_dead(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left_by(path, host='elsewhere', age=lock.LOST / 2)
    told: list[str] = []
    monkeypatch.setattr(lock.time, 'sleep', lambda seconds: left_by(path, host='elsewhere', age=lock.LOST + 1))
    own = Lock(path, 'x')
    own.acquire(wait=60, tell=told.append)
    assert len(told) == 1
    assert 'waiting up to 60 s' in told[0]
    own.release()


def test_a_holder_here_is_not_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock.time, 'sleep', lambda seconds: pytest.fail('waits'))
    with locked(path, 'x'), pytest.raises(UserError, match='in use by'):
        Lock(path, 'x').acquire(wait=60)


@pytest.mark.parametrize('content', [b'', b'{"host": "cut o', b'[]', b'\xff\x00' * 50, b'{"pid": 1e999}', b'null'])
def test_a_lock_file_that_says_nothing_holds_nothing(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with locked(path, 'x'):
        assert json.loads(path.read_text())['pid'] == os.getpid()


def test_a_file_system_without_locks_is_settled_by_who_wrote_last(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip('fcntl')

    def cannot(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, 'no locks available')

    monkeypatch.setattr(fcntl, 'flock', cannot)
    monkeypatch.setattr(lock.time, 'sleep', lambda seconds: left_by(path))
    with pytest.raises(UserError, match='in use by'):
        Lock(path, 'x').acquire()
    path.unlink()
    monkeypatch.setattr(lock.time, 'sleep', lambda seconds: None)
    with locked(path, 'x') as own:
        own.require_held()


def test_a_holder_that_another_one_followed_stops(path: Path) -> None:
    with locked(path, 'the run x') as own:
        own.require_held()
        left_by(path, host='elsewhere')
        with pytest.raises(UserError, match=r'the run x was taken over by process .* on elsewhere'):
            own.require_held()
    assert path.exists()  # it belongs to the other one


@pytest.mark.parametrize('how', ['deleted', 'emptied'])
def test_a_lock_file_that_somebody_deleted_is_made_anew(path: Path, how: str) -> None:
    with locked(path, 'x') as own:
        path.unlink() if how == 'deleted' else path.write_text('')
        own.require_held()
        with pytest.raises(UserError, match='in use by'):
            Lock(path, 'x').acquire()
    assert not path.exists()


def test_giving_back_a_lock_whose_file_is_gone_makes_none(path: Path) -> None:
    with locked(path, 'x'):
        path.unlink()
    assert not path.exists()


def test_a_lock_that_vanished_while_the_machine_slept_is_not_taken_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine may have taken over, worked and given back."""
    with locked(path, 'x') as own:
        path.unlink()
        now = time.time()
        monkeypatch.setattr(lock.time, 'time', lambda: now + lock.LOST + 1)
        with pytest.raises(UserError, match='x was taken over while this machine slept'):
            own.require_held()


def test_a_holder_gives_signs_of_life_also_after_a_step_of_the_clock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, 'BEAT', 0.01)
    now = time.time()
    with locked(path, 'x') as own:
        monkeypatch.setattr(lock.time, 'time', lambda: now + 10 * lock.LOST)
        for _ in range(3):
            os.utime(path, (0, 0))
            while path.stat().st_mtime == 0:
                time.sleep(0.005)
        own.require_held()


def test_only_a_folder_that_the_lock_made_is_removed_with_it(tmp_path: Path) -> None:
    with locked(tmp_path / 'made/.x.lock', 'x'):
        pass
    assert not (tmp_path / 'made').exists()
    with locked(tmp_path / 'made/.x.lock', 'x'):
        (tmp_path / 'made/kept').touch()
    assert [path.name for path in (tmp_path / 'made').iterdir()] == ['kept']
    (tmp_path / 'empty').mkdir()
    with locked(tmp_path / 'empty/.x.lock', 'x'):
        pass
    assert (tmp_path / 'empty').is_dir()
