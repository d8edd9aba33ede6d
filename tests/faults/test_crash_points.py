"""Everything that is written, disturbed at each system call; `tests/support/crash_points.py` tries more errors."""

import errno
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import crash_points
import faults
import pytest
from fault_scenarios import SCENARIOS, Scenario
from faults import Fault, Mode

from converse_basicsr.files import atomic


@pytest.fixture(scope='module')
def driver() -> Iterator[ProcessPoolExecutor]:
    """A process that has imported everything and has one thread, so that it can be forked for each call."""
    spawn = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=crash_points.prepare_process) as pool:
        if why := pool.submit(faults.missing).result():
            pytest.skip(why)
        yield pool


@pytest.mark.promise('a kill at any moment (`kill -9`, a machine without memory)')
@pytest.mark.promise('a disk that is full, failing or read-only, or a quota, at any moment')
@pytest.mark.promise('files of your own whose names look like unfinished files')
@pytest.mark.promise('a clock that jumps, slow and short reads and writes')
@pytest.mark.parametrize(
    'name', [pytest.param(name, marks=[pytest.mark.slow] * scenario.slow) for name, scenario in SCENARIOS.items()]
)
def test_nothing_is_lost_at_any_call(driver: ProcessPoolExecutor, name: str) -> None:
    count = driver.submit(try_quickly, name).result()
    assert count.points >= 3
    assert not count.problems


def try_quickly(name: str) -> crash_points.Count:
    return crash_points.try_all(SCENARIOS[name], quick=True)


def write_in_place(root: Path) -> None:
    (root / 'page.md').write_text('new')


def write_badly(root: Path) -> None:
    """Replace the old file, but leave the unfinished one after an error."""
    temporary = root / '.page.md.0123456789ab.tmp'
    with open(temporary, 'w') as file:
        file.write('new')
    temporary.replace(root / 'page.md')


def delete_what_looks_unfinished(root: Path) -> None:
    for path, _ in atomic.unfinished(root):
        path.unlink()
    atomic.write_text(root / 'page.md', 'new')


def write_old(root: Path) -> None:
    (root / 'page.md').write_text('old')


@pytest.mark.parametrize(
    ('write', 'problem'),
    [
        (write_in_place, 'page.md is'),
        (write_badly, '.tmp is left'),
    ],
)
def test_a_fault_of_each_kind_is_found(driver: ProcessPoolExecutor, write: object, problem: str) -> None:
    count = driver.submit(crash_points.try_all, Scenario(write_old, write), quick=True).result()
    assert any(problem in line for line in count.problems), count.problems


def test_a_command_that_deletes_what_it_did_not_write_is_found(driver: ProcessPoolExecutor) -> None:
    trial = driver.submit(crash_points.try_all, Scenario(write_old, delete_what_looks_unfinished), quick=True)
    with pytest.raises(AssertionError, match=r'touches files of the user.*\.result\.png\.tmp'):
        trial.result()


def write_and_count(root: Path, fault: Fault) -> faults.Outcome:
    return faults.run(WriteText(root / 'page.md'), root, fault)


class WriteText:
    """A function with an argument, for another process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self) -> None:
        atomic.write_text(self.path, 'new')


@pytest.mark.parametrize(
    ('fault', 'ending', 'names'),
    [
        (Fault(), 'done', ['page.md']),
        (Fault(Mode.KILL, 4), 'killed', ['page.md']),
        (Fault(Mode.KILL, 0), 'killed', []),
        (Fault(Mode.FAIL, 2, errno.EIO), 'OSError', []),
        (Fault(Mode.FAIL, 0, errno.EROFS, lasting=True), 'OSError', []),
        (Fault(Mode.SHORT, 0, lasting=True), 'done', ['page.md']),
    ],
)
def test_faults_do_what_they_say(
    driver: ProcessPoolExecutor, tmp_path: Path, fault: Fault, ending: str, names: list[str]
) -> None:
    outcome = driver.submit(write_and_count, tmp_path, fault).result()
    assert (outcome.ending, [path.name for path in tmp_path.iterdir()]) == (ending, names)
    if fault == Fault():
        assert outcome.kinds == 'OWSNS'  # open, write, fsync, rename, fsync of the folder
