"""Folders that come from an archive or belong to somebody: nothing is believed, and nothing of theirs is lost."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import lmdb
import pytest
from prepare_commands import command, photograph, sr_command

from converse_basicsr import prepare
from converse_basicsr.errors import UserError
from converse_basicsr.files.lmdb_folder import LmdbWriter, check_lmdb
from converse_basicsr.prepare import runner

STAGES = {'unfinished': '_run_tasks', 'complete': 'publish'}
"""How far work goes that is interrupted, and the function of the runner that the interruption comes from."""


def tree(folder: Path) -> dict[str, bytes | str | None]:
    """Everything in a folder: content of files, targets of links, None for folders."""
    return {
        path.relative_to(folder).as_posix(): os.readlink(path)
        if path.is_symlink()
        else None
        if path.is_dir()
        else path.read_bytes()
        for path in folder.rglob('*')
    }


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of somebody, beside everything else."""
    folder = tmp_path / 'victim'
    (folder / 'thesis').mkdir(parents=True)
    (folder / 'thesis/a.png').write_text('precious')
    (folder / 'prepare.json').write_text('precious')
    return folder


def interrupted(monkeypatch: pytest.MonkeyPatch, stage: str, act: Callable[[], object]) -> None:
    """Run a command, and stop it as Ctrl-C does."""
    original = getattr(runner, STAGES[stage])

    def stop(*args: Any, **kwargs: Any) -> None:
        if stage == 'unfinished':
            original(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runner, STAGES[stage], stop)
        with pytest.raises(KeyboardInterrupt):
            act()


def sr(photographs: Path, output: Path, **options: Any) -> prepare.Prepared:
    return prepare.prepare_sr(photographs, output, crop=24, step=12, workers=1, **options)


def testset(photographs: Path, output: Path, **options: Any) -> list[prepare.Prepared]:
    return prepare.prepare_testset(photographs, output, workers=1, **options)


testset.__test__ = False  # type: ignore[attr-defined]  # no test, in spite of its name

HARMFUL = ['../victim', '../../victim', '/etc/passwd', 'thesis', '.', '..', '', 'GTmod2', 'prepare.json', 'a/../../a']


@pytest.mark.promise('a record that names other parts than such a data set has')
@pytest.mark.parametrize('overwrite', [False, True])
@pytest.mark.parametrize('where', ['output', 'work', 'replaced'])
def test_names_of_a_record_decide_nothing(photographs, tmp_path, victim, monkeypatch, capsys, where, overwrite):
    output = tmp_path / 'out'
    (output / 'thesis').mkdir(parents=True)
    (output / 'thesis/chapter.txt').write_text('precious')
    (output / 'GTmod2').mkdir()
    testset(photographs, tmp_path / 'right')
    if where == 'output':
        testset(photographs, output)
        path = output / 'prepare_x4.json'
    else:
        interrupted(monkeypatch, 'complete', lambda: testset(photographs, output))
        path = output / 'prepare_x4.partial/prepare_x4.json'
        if where == 'replaced':
            path = path.with_name('replaced.json')
            path.write_text('{"parameters": {}, "members": {}}')
    record = json.loads(path.read_text())
    record['files'] = HARMFUL
    record['members'] |= dict.fromkeys(HARMFUL, 5)
    path.write_text(json.dumps(record))
    before = tree(victim)
    testset(photographs, output, overwrite=overwrite)
    assert tree(victim) == before
    assert (output / 'thesis/chapter.txt').read_text() == 'precious'
    assert (output / 'GTmod2').is_dir()
    for part in ('GTmod4', 'LRbicx4'):
        assert tree(output / part) == tree(tmp_path / 'right' / part)
    assert not (output / 'prepare_x4.partial').exists()
    assert ('its record names other parts): starting anew' in capsys.readouterr().err) == (where == 'work')


FIELDS = {
    'parameters': [[], None, 'sr'],
    'members': [[], {'gt.lmdb': 'many'}, {'gt.lmdb': True}, {'gt.lmdb': None}, 3],
    'files': ['SOURCES.txt', [3], {}, [['a']]],
    'sources': [[], {'a.png': 3}],
    'left_out': [['a.png'], {'a.png': {}}],
    'notes': [{'grey': 'a.png'}, {'grey': [1]}, []],
    'ignored': [{'a': 'b'}, [None]],
}


@pytest.mark.parametrize(('field', 'value'), [(field, value) for field, values in FIELDS.items() for value in values])
def test_a_record_of_other_types_is_named(photographs, tmp_path, field, value):
    path = tmp_path / 'prepare.json'
    prepare.Record({}).write(path)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, field: value}))
    with pytest.raises(UserError, match=r'prepare\.json is damaged'):
        prepare.Record.read(path)


def fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.promise('a record that is damaged, or a file of that name which is none')
@pytest.mark.parametrize(
    'make',
    [
        lambda path: path.write_text('my own'),
        lambda path: path.write_bytes(bytes(range(256))),
        lambda path: path.write_text('[' * 100_000),
        lambda path: path.write_text('{"parameters": ' + '9' * 5000 + '}'),
        lambda path: path.write_text(''),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to('/dev/zero'),
        fifo,
    ],
)
@pytest.mark.parametrize('overwrite', [False, True])
def test_what_is_no_record_is_named_before_any_work(photographs, tmp_path, monkeypatch, make, overwrite):
    (tmp_path / 'out').mkdir()
    path = tmp_path / 'out/prepare.json'
    make(path)
    before = path.lstat()
    monkeypatch.setattr(runner, 'run_tasks', None)
    with pytest.raises(UserError, match=r'prepare\.json is damaged: .* choose another --output'):
        sr(photographs, tmp_path / 'out', overwrite=overwrite)
    assert path.lstat() == before


@pytest.mark.promise(
    'a file or folder called `prepare.partial` that `prepare` did not make, or with anything else in it'
)
@pytest.mark.parametrize('overwrite', [False, True])
@pytest.mark.parametrize(
    ('stage', 'make'),
    [
        (None, lambda work: work.write_text('mine')),
        (None, lambda work: (work.mkdir(), (work / 'notes.txt').write_text('mine'))),
        (None, lambda work: (work.mkdir(), (work / 'lock').write_text('mine'))),
        (None, lambda work: (work.mkdir(), (work / 'record.json').write_text('mine'))),
        (None, lambda work: (work.mkdir(), (work / 'gt.lmdb').mkdir(), (work / 'gt.lmdb/data.mdb').write_text('mine'))),
        ('unfinished', lambda work: (work / 'notes.txt').write_text('mine')),
        ('unfinished', lambda work: (work / 'gt.lmdb/notes.txt').write_text('mine')),
        ('complete', lambda work: (work / 'lq_x4.lmdb/a').mkdir() or (work / 'lq_x4.lmdb/a/b').write_text('mine')),
        ('complete', lambda work: fifo(work / 'gt.lmdb/lock.mdb')),
    ],
)
def test_a_work_folder_of_somebody_else_is_left_alone(photographs, tmp_path, monkeypatch, stage, make, overwrite):
    output = tmp_path / 'out'
    output.mkdir()
    if stage:
        interrupted(monkeypatch, stage, lambda: sr(photographs, output))
    make(output / 'prepare.partial')
    before = sorted((path, path.lstat().st_size) for path in output.rglob('*'))
    with pytest.raises(UserError, match=r'prepare\.partial .*no work folder of this command: move it away'):
        sr(photographs, output, overwrite=overwrite)
    assert sorted((path, path.lstat().st_size) for path in output.rglob('*')) == before


@pytest.mark.promise('symbolic or hard links in `NAME.partial`')
@pytest.mark.parametrize('link', [Path.symlink_to, Path.hardlink_to])
@pytest.mark.parametrize(
    'name', ['journal.jsonl', 'record.json', 'lock.json', 'lock', 'replaced.json', 'prepare.json', 'gt.lmdb/data.mdb',
             'gt.lmdb/meta_info.txt', 'gt.lmdb/lock.mdb']
)  # fmt: skip
def test_links_lead_nowhere(photographs, tmp_path, monkeypatch, name, link):
    interrupted(monkeypatch, 'unfinished', lambda: sr(photographs, tmp_path / 'out'))
    path = tmp_path / 'out/prepare.partial' / name
    mine = tmp_path / 'mine'
    mine.write_bytes(path.read_bytes() if path.exists() else b'')
    path.unlink(missing_ok=True)
    link(path, mine)
    before = mine.read_bytes()
    with pytest.raises(UserError, match='no work folder of this command'):
        sr(photographs, tmp_path / 'out', overwrite=True)
    assert mine.read_bytes() == before


@pytest.mark.promise('symbolic or hard links in `NAME.partial`')
@pytest.mark.parametrize('name', ['', 'gt.lmdb'])
def test_linked_folders_lead_nowhere(photographs, tmp_path, monkeypatch, name):
    interrupted(monkeypatch, 'unfinished', lambda: sr(photographs, tmp_path / 'out'))
    path = tmp_path / 'out/prepare.partial' / name
    path.rename(tmp_path / 'mine')
    path.symlink_to(tmp_path / 'mine')
    before = tree(tmp_path / 'mine')
    with pytest.raises(UserError, match='no work folder of this command'):
        sr(photographs, tmp_path / 'out', overwrite=True)
    assert tree(tmp_path / 'mine') == before


def spoil_key(work: Path) -> None:
    lines = [json.loads(line) for line in (work / 'journal.jsonl').read_text().splitlines()]
    lines[0]['entries']['gt.lmdb'][0][0] = '../../../victim/thesis/a'
    (work / 'journal.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))


def other_database(work: Path) -> None:
    for path in (work / 'gt.lmdb').iterdir():
        path.unlink()
    writer = LmdbWriter(work / 'gt.lmdb')
    writer.put('0000_s001', cv2.imencode('.png', photograph(24, 24))[1].tobytes(), (24, 24, 3))
    writer.finish()


SPOILED: dict[str, Callable[[Path], object]] = {
    'a database cut off': lambda work: os.truncate(work / 'gt.lmdb/data.mdb', 5000),
    'a database of zeros': lambda work: (work / 'gt.lmdb/data.mdb').write_bytes(bytes(50_000)),
    'no database': lambda work: (work / 'gt.lmdb/data.mdb').unlink(),
    'another database': other_database,
    'other members': lambda work: (work / 'gt.lmdb').rename(work / 'lq_x2.lmdb'),
    'a key that leads out': spoil_key,
    'a journal of garbage': lambda work: (work / 'journal.jsonl').write_bytes(b'\xff\x00\n' * 10),
    'a journal of other types': lambda work: (work / 'journal.jsonl').write_text('[1]\n{"name": 3}\n"a"\n'),
    'a journal of deep lists': lambda work: (work / 'journal.jsonl').write_text('[' * 100_000 + '\n'),
    'no journal': lambda work: (work / 'journal.jsonl').unlink(),
}


@pytest.mark.promise('`NAME.partial` whose content is not what its record and journal say')
@pytest.mark.parametrize('stage', STAGES)
@pytest.mark.parametrize('kind', SPOILED)
def test_work_that_is_not_what_it_says_is_made_anew(photographs, tmp_path, victim, monkeypatch, capsys, stage, kind):
    sr(photographs, tmp_path / 'right')
    interrupted(monkeypatch, stage, lambda: sr(photographs, tmp_path / 'out'))
    SPOILED[kind](tmp_path / 'out/prepare.partial')
    before = tree(victim)
    capsys.readouterr()
    assert sr(photographs, tmp_path / 'out').is_new
    assert tree(victim) == before
    told = [line for line in capsys.readouterr().err.splitlines() if 'starting anew' in line]
    assert len(told) == (kind != 'no journal' or stage == 'complete')
    for name in ('gt.lmdb', 'lq_x4.lmdb'):
        assert (tmp_path / 'out' / name / 'meta_info.txt').read_text() == (
            tmp_path / 'right' / name / 'meta_info.txt'
        ).read_text()
        assert check_lmdb(tmp_path / 'out' / name) == []
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {'gt.lmdb', 'lq_x4.lmdb', 'prepare.json'}


@pytest.mark.promise('what is in the place of a data set, and was not made by the command')
def test_complete_work_of_an_archive_replaces_nothing(photographs, tmp_path, monkeypatch):
    interrupted(monkeypatch, 'complete', lambda: testset(photographs, tmp_path / 'out'))
    (tmp_path / 'out/GTmod4').mkdir()
    (tmp_path / 'out/GTmod4/a.png').write_text('mine')
    with pytest.raises(UserError, match=r'GTmod4 exists and was not made by this command'):
        testset(photographs, tmp_path / 'out')
    assert (tmp_path / 'out/GTmod4/a.png').read_text() == 'mine'
    assert testset(photographs, tmp_path / 'out', overwrite=True)[0].is_new


@pytest.mark.promise('`--overwrite` where a part of the data set holds what the command does not write')
@pytest.mark.parametrize(
    'make',
    [
        lambda output: (output / 'GTmod4').write_text('mine'),
        lambda output: ((output / 'GTmod4/sub').mkdir(parents=True), (output / 'GTmod4/sub/a.png').write_text('mine')),
        lambda output: ((output / 'GTmod4').mkdir(), (output / 'GTmod4/a.jpg').write_text('mine')),
        lambda output: ((output / 'LRbicx4').mkdir(), (output / 'LRbicx4/notes').write_text('mine')),
    ],
)
def test_overwrite_removes_only_what_looks_like_ours(photographs, tmp_path, monkeypatch, make):
    (tmp_path / 'out').mkdir()
    make(tmp_path / 'out')
    before = tree(tmp_path / 'out')
    monkeypatch.setattr(runner, 'run_tasks', None)  # refused before any work
    with pytest.raises(UserError, match='is in the place of the data set, and nothing that this command makes'):
        testset(photographs, tmp_path / 'out', overwrite=True)
    assert tree(tmp_path / 'out') == before


def test_overwrite_leaves_parts_of_others_that_a_record_claims(photographs, tmp_path):
    sr(photographs, tmp_path / 'out', scales=(2, 4))
    (tmp_path / 'out/lq_x2.lmdb/notes.txt').write_text('mine')
    with pytest.raises(UserError, match=r'lq_x2\.lmdb/notes\.txt is in the place of the data set'):
        sr(photographs, tmp_path / 'out', overwrite=True)
    (tmp_path / 'out/lq_x2.lmdb/notes.txt').unlink()
    sr(photographs, tmp_path / 'out', overwrite=True)
    assert not (tmp_path / 'out/lq_x2.lmdb').exists()


def test_a_linked_member_is_replaced_and_what_it_leads_to_stays(photographs, tmp_path):
    sr(photographs, tmp_path / 'out')
    (tmp_path / 'out/gt.lmdb').rename(tmp_path / 'elsewhere.lmdb')
    (tmp_path / 'out/gt.lmdb').symlink_to(tmp_path / 'elsewhere.lmdb')
    before = tree(tmp_path / 'elsewhere.lmdb')
    assert not sr(photographs, tmp_path / 'out').is_new
    assert sr(photographs, tmp_path / 'out', overwrite=True).is_new
    assert not (tmp_path / 'out/gt.lmdb').is_symlink()
    assert tree(tmp_path / 'elsewhere.lmdb') == before


def test_a_link_on_the_way_to_a_part_is_refused(tmp_path, victim):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/train').symlink_to(victim)
    before = tree(victim)
    with pytest.raises(UserError, match=r'passes through the symbolic link .*train'):
        prepare.prepare_demo(tmp_path / 'out', workers=1, overwrite=True)
    assert tree(victim) == before


@pytest.mark.promise('images to be read that lie in what the command writes or replaces, by whatever names and links')
@pytest.mark.parametrize('overwrite', [False, True])
@pytest.mark.parametrize(
    ('name', 'way'),
    [
        *(('testset', way) for way in ('itself', 'below', 'spelt', 'linked', 'linked images', 'output linked')),
        *((name, way) for name in ('testset', 'sr') for way in ('part linked', 'work')),
        *((name, 'itself') for name in ('sr', 'denoise', 'deblur')),
    ],
)
def test_what_is_read_is_not_replaced(photographs, tmp_path, name, way, overwrite):
    part = 'GTmod4' if name == 'testset' else 'gt.lmdb'
    output = tmp_path / 'out'
    images = output / part
    if way == 'below':
        images = images / 'deep/er'
    if way == 'work':
        images = output / ('prepare_x4.partial' if name == 'testset' else 'prepare.partial')
    images.mkdir(parents=True)
    for path in photographs.iterdir():
        (images / path.name).write_bytes(path.read_bytes())
    source = images
    if way == 'spelt':
        source = output / '..' / 'out' / '.' / part
    if way == 'linked':
        source = tmp_path / 'link'
        source.symlink_to(images)
    if way == 'linked images':
        source = tmp_path / 'links'
        source.mkdir()
        for path in images.iterdir():
            (source / path.name).symlink_to(path)
    if way == 'output linked':
        output = tmp_path / 'link'
        output.symlink_to(tmp_path / 'out')
    if way == 'part linked':
        images.rename(tmp_path / 'elsewhere')
        images.symlink_to(tmp_path / 'elsewhere')
        source = tmp_path / 'elsewhere'
    before = tree(tmp_path)
    with pytest.raises(UserError, match='is written by this command, and images that it reads are in there'):
        command(name, '--input', source, '--output', output, '--workers', 1, *['--overwrite'] * overwrite)
    assert tree(tmp_path) == before


def test_the_images_of_another_scale_may_be_read(photographs, tmp_path):
    testset(photographs, tmp_path / 'out', scales=(4,))
    assert testset(tmp_path / 'out/GTmod4', tmp_path / 'out', scales=(2,))[0].is_new


@pytest.mark.promise('an output that is a file, a pipe or a broken link')
@pytest.mark.parametrize('make', [lambda path: path.write_text(''), fifo, lambda path: path.symlink_to('nowhere')])
def test_an_output_that_is_no_folder_is_named(photographs, tmp_path, make):
    make(tmp_path / 'out')
    for output in (tmp_path / 'out', tmp_path / 'out/deeper'):
        with pytest.raises(UserError, match=re.escape(str(tmp_path / 'out'))):
            sr(photographs, output)
    assert not (tmp_path / 'out').is_dir()


def test_a_lock_of_lmdb_from_an_archive_harms_nothing(photographs, tmp_path, monkeypatch):
    interrupted(monkeypatch, 'unfinished', lambda: sr(photographs, tmp_path / 'out'))
    for content in (b'', b'\xff' * 8192):
        (tmp_path / 'out/prepare.partial/gt.lmdb/lock.mdb').write_bytes(content)
        interrupted(monkeypatch, 'unfinished', lambda: sr(photographs, tmp_path / 'out'))
    sr_command(photographs, tmp_path / 'out')
    with lmdb.open(str(tmp_path / 'out/gt.lmdb'), readonly=True, lock=False) as environment:
        assert environment.stat()['entries'] > 0
