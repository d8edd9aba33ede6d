"""What supplies a package, and from where."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from converse_basicsr.installation import distributions
from converse_basicsr.installation.distributions import Found


def test_a_fork_is_named_as_it_is(packages: Callable[..., Path], distribution: Callable[..., Path]) -> None:
    folder = packages(stand_in='')
    distribution('some-fork', '1.5', package='stand_in')
    assert distributions.find('stand_in') == Found('stand_in', folder / 'stand_in', 'some-fork', '1.5')
    assert distributions.installed()['some-fork'] == '1.5'


def test_an_editable_clone_is_told(packages: Callable[..., Path], distribution: Callable[..., Path]) -> None:
    packages(cloned='')
    direct = {'url': 'file:///clone', 'dir_info': {'editable': True}}
    distribution('cloned', '2.0', direct_url__json=json.dumps(direct))
    found = distributions.find('cloned')
    assert found is not None
    assert str(found).startswith('cloned 2.0 in ')
    assert str(found).endswith(', editable')


def test_a_package_without_metadata_counts_but_not_one_in_the_current_folder(
    packages: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = packages(unknown='')
    assert distributions.find('unknown') == Found('unknown', folder / 'unknown')
    monkeypatch.chdir(folder)
    assert distributions.find('unknown') is None


def test_folders_and_absent_packages_are_none(packages: Callable[..., Path]) -> None:
    (packages(unknown='') / 'only_a_folder').mkdir()
    assert distributions.find('only_a_folder') is None
    assert distributions.find('absent_one') is None


@pytest.mark.parametrize('version', ['1.0ubuntu1', 'unknown'])
def test_versions_that_installers_refuse_constrain_nothing(version: str, distribution: Callable[..., Path]) -> None:
    distribution('odd-one', version)
    distribution('good-one', '1.0.post1+cu126')
    installed = distributions.installed()
    assert 'odd-one' not in installed
    assert installed['good-one'] == '1.0.post1+cu126'


def test_the_home_folder_is_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setenv('USERPROFILE', str(tmp_path))
    assert distributions.shown(tmp_path / 'a') == str(Path('~', 'a'))
    assert distributions.shown(f'{tmp_path}2') == f'{tmp_path}2'
