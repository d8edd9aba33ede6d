import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converse_basicsr.files import inside

HARMFUL = [
    '', ' ', '.', '..', '../a',
    'a/../b', 'a/..', '/a', '//host/share', '\\\\host\\share', 'C:a', 'C:/a', 'a\\b', 'a//b',
    './a', 'a/', 'a\nb', 'a\0b', '\x1b[2J', '\u202egnp.exe', 'nul', 'con.txt', 'a/COM1', None, 5, ['a'], b'a', {},
]  # fmt: skip


@pytest.mark.parametrize('name', HARMFUL, ids=repr)
def test_a_harmful_name_is_refused(name: object, tmp_path: Path) -> None:
    with pytest.raises(inside.UnsafeName):
        inside.inside(tmp_path, name)
    with pytest.raises(inside.UnsafeName):
        inside.remove(tmp_path, name)


@pytest.mark.parametrize('name', ['a', 'a b.png', 'x4/gt.lmdb', '.hidden', '..a', 'größe.png', 'console', 'a.b.c'])
def test_a_plain_name_is_taken(name: str, tmp_path: Path) -> None:
    assert inside.inside(tmp_path, name) == tmp_path / name


@given(st.text(st.sampled_from('./\\ab\0\n:C~'), max_size=8))
def test_no_name_leads_out(name: str) -> None:
    folder = Path('/somewhere/folder')
    try:
        path = inside.inside(folder, name)
    except inside.UnsafeName:
        return
    resolved = path.resolve()
    assert folder in resolved.parents


def test_a_link_on_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'victim').mkdir()
    (tmp_path / 'victim' / 'a').write_text('mine')
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'folder' / 'x4').symlink_to(tmp_path / 'victim')
    with pytest.raises(inside.UnsafeName, match='symbolic link'):
        inside.remove(tmp_path / 'folder', 'x4/a')
    assert (tmp_path / 'victim' / 'a').read_text() == 'mine'


def test_a_link_is_removed_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / 'victim').mkdir()
    (tmp_path / 'victim' / 'a').write_text('mine')
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'folder' / 'x4').symlink_to(tmp_path / 'victim')
    inside.remove(tmp_path / 'folder', 'x4')
    assert not (tmp_path / 'folder' / 'x4').is_symlink()
    assert (tmp_path / 'victim' / 'a').read_text() == 'mine'


def test_files_and_folders_are_removed(tmp_path: Path) -> None:
    (tmp_path / 'a').write_text('')
    (tmp_path / 'b' / 'c').mkdir(parents=True)
    for name in ('a', 'b', 'absent'):
        inside.remove(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_one_file_by_two_names(tmp_path: Path) -> None:
    (tmp_path / 'a').write_text('')
    (tmp_path / 'link').symlink_to(tmp_path / 'a')
    assert inside.same_file(tmp_path / 'a', tmp_path / 'link')
    assert not inside.same_file(tmp_path / 'a', tmp_path / 'absent')


def test_the_error_can_be_sent_to_another_process() -> None:
    assert str(pickle.loads(pickle.dumps(inside.UnsafeName('a')))) == 'a'
