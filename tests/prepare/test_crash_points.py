"""A data set that is made, or replaced, is killed before each step on the file system, and ends right when repeated."""

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import pytest
from prepare_commands import photograph, raw_lmdb

from converse_basicsr import prepare
from converse_basicsr.files.lmdb_folder import check_lmdb

pytestmark = pytest.mark.skipif(not hasattr(os, 'fork'), reason='kills forks')

STEPS = {'os.rename', 'os.remove', 'os.rmdir', 'os.mkdir', 'os.link', 'os.truncate'}
KILLED = 77
MOST = 200


def killed_before(step: int, act: Callable[[], object]) -> bool:
    """Do something in a fork that is killed before its n-th step on the file system; False if it has fewer steps."""
    pid = os.fork()
    if pid == 0:
        count = 0

        def hook(event: str, arguments: Any) -> None:
            nonlocal count
            creates = event == 'open' and isinstance(arguments[2], int) and arguments[2] & (os.O_CREAT | os.O_TRUNC)
            if event in STEPS or creates:
                count += 1
                if count == step:
                    os._exit(KILLED)

        try:
            sys.addaudithook(hook)
            act()
            os._exit(0)
        except BaseException:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, KILLED)
    return status == KILLED


def images(folder: Path, seed: int, names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        cv2.imwrite(str(folder / f'{name}.png'), photograph(24, 32, seed + number))
    return folder


def content(folder: Path, without: str = '-') -> dict[str, Any]:
    """What a data set holds; the record without the times of the images."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob('*')):
        name = path.relative_to(folder).as_posix()
        if name.startswith(without):
            continue
        if path.suffix == '.lmdb':
            found[name] = raw_lmdb(path)
        elif path.suffix == '.json':
            found[name] = {**json.loads(path.read_text()), 'sources': None}
        elif path.parent.suffix != '.lmdb':
            found[name] = path.read_bytes() if path.is_file() else None
    return found


def counts_as_complete(output: Path) -> bool:
    """The rule of earlier versions: a record, all its parts, and each LMDB agrees with itself."""
    if not (output / 'prepare.json').exists():
        return False
    record = json.loads((output / 'prepare.json').read_text())
    parts = [output / name for name in (*record['members'], *record['files'])]
    return all(path.exists() and (path.suffix != '.lmdb' or not check_lmdb(path)) for path in parts)


def make_denoise(source: Path, output: Path, *, overwrite: bool) -> prepare.Prepared:
    return prepare.prepare_denoise(source, output, workers=1, overwrite=overwrite)


def make_sr(source: Path, output: Path, *, overwrite: bool) -> prepare.Prepared:
    return prepare.prepare_sr(source, output, scales=(2,), crop=16, step=16, workers=1, overwrite=overwrite)


Make = Callable[..., prepare.Prepared]


@pytest.mark.promise('a kill at any moment, of a first run or of `--overwrite`')
@pytest.mark.parametrize(
    ('first', 'second'),
    [(None, make_sr), (make_sr, make_sr), pytest.param(make_sr, make_denoise, marks=pytest.mark.slow)],
    ids=['new', 'replaced', 'replaced by another kind'],
)
def test_every_kill_ends_in_the_whole_set_when_repeated(tmp_path: Path, first: Make | None, second: Make) -> None:
    old, new = images(tmp_path / 'old', 0, 'ab'), images(tmp_path / 'new', 50, 'ab')
    second(new, tmp_path / 'right', overwrite=False)
    right = content(tmp_path / 'right')
    old_set = content(first(old, tmp_path / 'right_old', overwrite=False).output) if first else {}
    for step in range(1, MOST):
        output = tmp_path / f'out{step}'
        if first:
            first(old, output, overwrite=False)
        if not killed_before(step, partial(second, new, output, overwrite=bool(first))):
            break
        if counts_as_complete(output):
            assert content(output, without='prepare.partial') in (old_set, right), step
        elif first:
            assert not (output / 'prepare.json').exists(), step
        second(new, output, overwrite=bool(first))
        assert content(output) == right, step
    assert 10 < step < MOST - 1


@pytest.mark.parametrize('step', [5, 15, 25, 35])
def test_a_kill_while_finishing_another_kill_is_none_the_worse(tmp_path: Path, step: int) -> None:
    old, new = images(tmp_path / 'old', 0, 'ab'), images(tmp_path / 'new', 50, 'ab')
    make_sr(new, tmp_path / 'right', overwrite=False)
    make_sr(old, tmp_path / 'out', overwrite=False)
    kills = 0
    while killed_before(step, lambda: make_sr(new, tmp_path / 'out', overwrite=True)):
        kills += 1
        if kills == 3:  # few steps between two kills need not come to an end
            make_sr(new, tmp_path / 'out', overwrite=True)
            break
    assert content(tmp_path / 'out') == content(tmp_path / 'right')


def test_two_kills_of_overwriting_leave_no_part_of_either_set(tmp_path: Path) -> None:
    """Replaced by a set of other parts whose move is killed, and that one replaced too."""
    source = images(tmp_path / 'in', 0, 'ab')

    def with_scales(*scales: int) -> prepare.Prepared:
        return prepare.prepare_sr(source, tmp_path / 'out', scales=scales, crop=24, step=24, workers=1, overwrite=True)

    with_scales(2, 3)
    step = 1
    while not (tmp_path / 'out/lq_x4.lmdb').exists():
        assert killed_before(step, lambda: with_scales(2, 4))
        step += 1
    with_scales(2)
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {'gt.lmdb', 'lq_x2.lmdb', 'prepare.json'}
