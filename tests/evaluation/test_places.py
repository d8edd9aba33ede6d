"""The places of results: names that become names of files, folders that can be written, files of others."""

from pathlib import Path

import pytest

from converse_basicsr.errors import UserError
from converse_basicsr.evaluation import places


@pytest.mark.parametrize('name', ['a', 'a b', 'a.b', '.a', 'ä山', 'a' * 200, 'a=b', '-a'])
def test_names_of_files(name: str) -> None:
    places.require_name(name, 'here')


@pytest.mark.parametrize(
    'name', ['', '..', '.', 'a/b', '../a', '/a', 'a\\b', 'C:a', 'a\n', 'con', 'ä' * 101, None, 3, []]
)
def test_names_that_are_none(name: object) -> None:
    with pytest.raises(UserError, match=r'^here: '):
        places.require_name(name, 'here')


@pytest.mark.promise('a place for results that is read-only, or no folder')
def test_folders_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'file').touch()
    (tmp_path / 'link').symlink_to(tmp_path / 'gone')
    places.require_folder(tmp_path / 'new' / 'folder')
    for wrong in ('file', 'file/below', 'link/below'):
        with pytest.raises(UserError, match='is no folder'):
            places.require_folder(tmp_path / wrong)
    monkeypatch.setattr(places.os, 'access', lambda path, mode: False)  # root may write everywhere
    with pytest.raises(UserError, match=f'cannot write to .*: {tmp_path} cannot be written into; choose another one'):
        places.require_folder(tmp_path / 'new')


@pytest.mark.promise('a place for results that is read-only, or no folder')
def test_files_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'link').symlink_to('folder/file')
    for right in (tmp_path / 'new', tmp_path / 'link', Path('/dev/null'), Path('/dev/stdout')):
        places.require_file(right)
    with pytest.raises(UserError, match='its folder does not exist'):
        places.require_file(tmp_path / 'gone' / 'file')
    with pytest.raises(UserError, match='it is a folder'):
        places.require_file(tmp_path / 'folder')
    monkeypatch.setattr(places.os, 'access', lambda path, mode: False)
    with pytest.raises(UserError, match=f'cannot write to .*: {tmp_path} cannot be written into; choose another one'):
        places.require_file(tmp_path / 'new')


@pytest.mark.promise('files of yours under the names of a report, a page or a table')
def test_files_of_others(tmp_path: Path) -> None:
    text, picture = tmp_path / 'page.md', tmp_path / 'page.png'
    places.require_own({text: 'ours'}, [picture])
    picture.touch()
    with pytest.raises(UserError, match=r'page\.png is in the way'):
        places.require_own({text: 'ours'}, [picture])
    text.write_text('this is ours\n')
    places.require_own({text: 'ours'}, [picture])
    text.write_text('mine')
    with pytest.raises(UserError, match=r'page\.md is in the way'):
        places.require_own({text: 'ours'}, [picture])
    text.unlink()
    text.symlink_to(tmp_path / 'gone')
    with pytest.raises(UserError, match=r'page\.md is in the way'):
        places.require_own({text: 'ours'})
