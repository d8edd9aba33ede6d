"""What is left after a kill, Ctrl-C or an unusable image, and how the work goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import lmdb
import pytest
from prepare_commands import command, photograph, raw_lmdb, sr_command

from converse_basicsr.errors import UserError
from converse_basicsr.files.lmdb_folder import check_lmdb
from converse_basicsr.files.lock import locked
from converse_basicsr.prepare import runner

pytestmark = pytest.mark.skipif(sys.platform == 'win32', reason='Windows has no SIGKILL')

KILL = """
import argparse, os, signal, sys
from pathlib import Path
from converse_basicsr.commands.prepare import group
from converse_basicsr.prepare import journal, runner
from converse_basicsr.files import atomic
from converse_basicsr.files.lmdb_folder import LmdbWriter

def die_at(holder, name, number):
    original, calls = getattr(holder, name), []
    def call(*args, **kwargs):
        calls.append(None)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)
    setattr(holder, name, call)

if __name__ == '__main__':
    runner.COMMIT_BYTES = 1
    die_at({'LmdbWriter': LmdbWriter, 'atomic': atomic, 'journal': journal}[sys.argv[1]], sys.argv[2], int(sys.argv[3]))
    parser = argparse.ArgumentParser()
    group.add_arguments(parser)
    sys.exit(group.run(parser.parse_args(sys.argv[4:])))
"""


def arguments_of(photographs: Path, output: Path, workers: int) -> list[str]:
    words = ['sr', '--input', photographs, '--output', output, '--crop', 24, '--step', 12, '--workers', workers]
    return [str(word) for word in [*words, '--scale', 2, 4]]


def spy_on_tasks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """List the images that are worked on from now on."""
    made: list[str] = []
    original = runner.run_tasks

    def spy(tasks, *, workers):
        made.extend(task.source.path.name for task in tasks)
        return original(tasks, workers=workers)

    monkeypatch.setattr(runner, 'run_tasks', spy)
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    ('holder', 'method', 'number', 'workers'),
    [
        ('LmdbWriter', 'put', 50, 1),
        ('LmdbWriter', 'commit', 5, 1),  # between the commits of gt and lq: they differ by one image
        ('LmdbWriter', 'finish', 2, 1),  # gt has its meta_info.txt, the others not
        ('journal', 'append', 2, 1),  # data committed, the journal's line not yet certain
        ('atomic', 'move', 2, 1),  # the final record written, gt already moved to its place
        ('LmdbWriter', 'put', 50, 2),
    ],
)
@pytest.mark.promise('`basicsr prepare` repeated after Ctrl-C, a kill or a full disk')
def test_repeated_command_makes_the_same_database(photographs, tmp_path, holder, method, number, workers):
    script = tmp_path / 'kill.py'
    script.write_text(KILL)
    arguments = arguments_of(photographs, tmp_path / 'out', workers)
    killed = subprocess.run(
        [sys.executable, str(script), holder, method, str(number), *arguments], capture_output=True, timeout=120
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert (tmp_path / 'out/prepare.partial').exists()
    assert not (tmp_path / 'out/prepare.json').exists()
    for path in (tmp_path / 'out').glob('*.lmdb'):
        assert check_lmdb(path) == []
    assert command(*arguments) == 0
    sr_command(photographs, tmp_path / 'at_once', '--scale', 2, 4)
    for name in ('gt.lmdb', 'lq_x2.lmdb', 'lq_x4.lmdb'):
        assert raw_lmdb(tmp_path / 'out' / name) == raw_lmdb(tmp_path / 'at_once' / name)
    assert not (tmp_path / 'out/prepare.partial').exists()


def test_finished_images_are_not_made_again(photographs, tmp_path, monkeypatch):
    script = tmp_path / 'kill.py'
    script.write_text(KILL)
    arguments = arguments_of(photographs, tmp_path / 'out', 1)
    subprocess.run([sys.executable, str(script), 'LmdbWriter', 'commit', '10', *arguments], capture_output=True)
    done = (tmp_path / 'out/prepare.partial/journal.jsonl').read_text().splitlines()
    assert 0 < len(done) < 5
    made = spy_on_tasks(monkeypatch)
    command(*arguments)
    assert len(made) == 5 - len(done)
    assert {json.loads(line)['name'] for line in done}.isdisjoint(made)


def test_half_written_journal_line_is_dropped(photographs, tmp_path):
    script = tmp_path / 'kill.py'
    script.write_text(KILL)
    arguments = arguments_of(photographs, tmp_path / 'out', 1)
    subprocess.run([sys.executable, str(script), 'LmdbWriter', 'commit', '10', *arguments], capture_output=True)
    journal = tmp_path / 'out/prepare.partial/journal.jsonl'
    journal.write_bytes(journal.read_bytes()[:-10])
    assert command(*arguments) == 0
    sr_command(photographs, tmp_path / 'at_once', '--scale', 2, 4)
    assert raw_lmdb(tmp_path / 'out/gt.lmdb') == raw_lmdb(tmp_path / 'at_once/gt.lmdb')


@pytest.mark.slow
@pytest.mark.skipif(not Path('/proc/self').exists(), reason='looks for processes in /proc')
def test_workers_end_with_their_killed_parent(photographs, tmp_path):
    script = tmp_path / 'kill.py'
    script.write_text(KILL)
    arguments = arguments_of(photographs, tmp_path / 'out', 2)
    marker = f'MARKER_OF_THIS_TEST={tmp_path}\0'.encode()
    subprocess.run(
        [sys.executable, str(script), 'LmdbWriter', 'put', '5', *arguments],
        stderr=subprocess.DEVNULL,
        env={**os.environ, 'MARKER_OF_THIS_TEST': str(tmp_path)},
    )

    def survivors() -> list[int]:
        found = []
        for entry in Path('/proc').iterdir():
            try:
                if entry.name.isdigit() and marker in (entry / 'environ').read_bytes():
                    found.append(int(entry.name))
            except OSError:  # ended meanwhile, or somebody else's
                continue
        return found

    deadline = time.monotonic() + 30
    while survivors() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert survivors() == []


def test_unfinished_work_with_other_parameters_is_refused_then_dropped(photographs, tmp_path):
    script = tmp_path / 'kill.py'
    script.write_text(KILL)
    arguments = arguments_of(photographs, tmp_path / 'out', 1)
    subprocess.run([sys.executable, str(script), 'LmdbWriter', 'commit', '10', *arguments], capture_output=True)
    with pytest.raises(UserError, match=r'prepare.partial holds unfinished work .*scale \[2, 4\] there, \[4\] now'):
        sr_command(photographs, tmp_path / 'out')
    cv2.imwrite(str(photographs / '0000.png'), photograph(60, 60, 9))
    with pytest.raises(UserError, match=r'1 have changed or gone \(the first is 0000.png\)'):
        command(*arguments)
    assert sr_command(photographs, tmp_path / 'out', '--overwrite') == 0
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {'gt.lmdb', 'lq_x4.lmdb', 'prepare.json'}


@pytest.mark.slow
@pytest.mark.parametrize('workers', [1, 2])
@pytest.mark.promise('`basicsr prepare` repeated after Ctrl-C, a kill or a full disk')
def test_ctrl_c_says_how_to_go_on(photographs, tmp_path, workers):
    script = tmp_path / 'kill.py'
    script.write_text(KILL.replace('SIGKILL', 'SIGINT'))
    arguments = arguments_of(photographs, tmp_path / 'out', workers)
    stopped = subprocess.run(
        [sys.executable, str(script), 'LmdbWriter', 'put', '50', *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert stopped.returncode == 130
    assert 'repeat the command to go on' in stopped.stderr
    assert 'Traceback' not in stopped.stderr
    assert (tmp_path / 'out/prepare.partial/journal.jsonl').read_text()
    assert command(*arguments_of(photographs, tmp_path / 'out', 1)) == 0


@pytest.mark.promise('two commands that prepare one output at once')
def test_second_process_on_the_same_output_is_refused(photographs, tmp_path):
    work = tmp_path / 'out/prepare.partial'
    work.mkdir(parents=True)
    with locked(work / 'lock.json', 'it'), pytest.raises(UserError, match=r'prepare.partial is in use by process \d+'):
        sr_command(photographs, tmp_path / 'out')
    assert sr_command(photographs, tmp_path / 'out') == 0


def test_work_that_an_earlier_version_left_goes_on(photographs, tmp_path, monkeypatch):
    script = tmp_path / 'kill.py'
    script.write_text(KILL)
    arguments = arguments_of(photographs, tmp_path / 'out', 1)
    subprocess.run([sys.executable, str(script), 'LmdbWriter', 'commit', '10', *arguments], capture_output=True)
    work = tmp_path / 'out/prepare.partial'
    (work / 'lock.json').unlink()
    (work / 'lock').touch()
    (work / '.journal.jsonl.tmp').write_text('unfinished')
    lmdb.open(str(work / 'gt.lmdb')).close()  # with LMDB's own lock
    made = spy_on_tasks(monkeypatch)
    assert command(*arguments) == 0
    assert 0 < len(made) < 5
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {
        'gt.lmdb', 'lq_x2.lmdb', 'lq_x4.lmdb', 'prepare.json',
    }  # fmt: skip
