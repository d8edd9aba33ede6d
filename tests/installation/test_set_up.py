"""``basicsr setup``: what it does, in which order, and what it leaves alone."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from converse_basicsr import cli
from converse_basicsr.errors import UserError
from converse_basicsr.files.lock import locked
from converse_basicsr.installation import distributions, set_up
from converse_basicsr.installation.distributions import Found
from converse_basicsr.installation.probing import Outcome

FORK = Found('basicsr', Path('clone/basicsr'), 'some-fork', '1.5', is_editable=True)


def wheel_of_basicsr(folder: Path, *requirements: str, name: str = 'basicsr') -> Path:
    """Write a wheel that installs a package of one file."""
    path = folder / f'{name}-1.4.2-py3-none-any.whl'
    asked = ''.join(f'Requires-Dist: {requirement}\n' for requirement in requirements)
    metadata = {
        'METADATA': f'Metadata-Version: 2.1\nName: {name}\nVersion: 1.4.2\n{asked}',
        'WHEEL': 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
        'RECORD': '',
    }
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('basicsr/__init__.py', '')
        for file, text in metadata.items():
            archive.writestr(f'{name}-1.4.2.dist-info/{file}', text)
    return path


class Recorder:
    """Stands in for pip."""

    name = 'pip'

    def __init__(self, work: Path) -> None:
        self.work = work
        Recorder.steps: list[str] = []
        Recorder.folder = work

    def run(self, *arguments: str, failure: str) -> None:
        if '--report' in arguments:
            self.steps.append('resolve')
            report = {'install': [{'metadata': {'name': 'absent-one', 'version': '2.0'}}]}
            Path(arguments[arguments.index('--report') + 1]).write_text(json.dumps(report))
        else:
            self.steps.append(arguments[0])

    def install(self, pinned: list[str], folder: Path, *, failure: str) -> None:
        self.steps.append(f'install {" ".join(pinned)}')

    def search_first(self, folder: Path) -> None:
        self.steps.append(f'search {folder.name} first')


@pytest.fixture
def absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python without BasicSR, where it works once it is installed."""
    monkeypatch.setattr(set_up, 'LOCK', str(tmp_path / 'site/lock'))
    monkeypatch.setattr(distributions, 'find', lambda name: None)
    monkeypatch.setattr(set_up, 'probe', lambda name: Outcome())
    monkeypatch.setattr(set_up, 'Installer', Recorder)


@pytest.mark.usefixtures('absent')
def test_what_basicsr_needs_is_installed_first(tmp_path: Path) -> None:
    set_up.set_up(source=wheel_of_basicsr(tmp_path, 'numpy', 'absent-one'))
    assert Recorder.steps == ['resolve', 'wheel', 'install absent-one==2.0', 'install basicsr==1.4.2']
    assert not Recorder.folder.exists()


@pytest.mark.usefixtures('absent')
def test_nothing_is_fetched_where_all_is_there(tmp_path: Path) -> None:
    set_up.set_up(source=wheel_of_basicsr(tmp_path, 'numpy', 'torch>=1.7'))
    assert Recorder.steps == ['install basicsr==1.4.2']


@pytest.mark.usefixtures('absent')
def test_a_dry_run_installs_nothing_and_keeps_the_wheel_if_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = wheel_of_basicsr(tmp_path, 'absent-one')
    assert cli.main(['setup', '--from', str(source), '--dry-run', '--wheel', str(tmp_path / 'kept')]) == 0
    assert Recorder.steps == ['resolve']
    assert (tmp_path / 'kept' / source.name).read_bytes() == source.read_bytes()
    output = capsys.readouterr().out.splitlines()
    assert output[1:] == ['would install absent-one==2.0', f'would install {source.name}']


@pytest.mark.usefixtures('absent')
def test_a_stop_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Recorder, 'install', stop)
    assert cli.main(['setup', '--from', str(wheel_of_basicsr(tmp_path))]) == 130
    assert not Recorder.folder.exists()


@pytest.mark.usefixtures('absent')
def test_one_at_a_time_changes_an_environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(wheel_of_basicsr(tmp_path))
    with locked(Path(set_up.LOCK), 'the environment'):
        assert cli.main(['setup', '--from', source]) == 2
        assert 'is in use by process' in capsys.readouterr().err.splitlines()[-1]
        assert Recorder.steps == []
        assert cli.main(['setup', '--from', source, '--dry-run']) == 0, 'which changes nothing'
    assert cli.main(['setup', '--from', source]) == 0
    assert not Path(set_up.LOCK).exists()


@pytest.mark.parametrize('arguments', [[], ['--dry-run'], ['--from', 'nowhere']])
def test_a_basicsr_that_is_there_is_used(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(distributions, 'find', lambda name: FORK)
    monkeypatch.setattr(set_up, 'probe', lambda name: Outcome())
    assert cli.main(['setup', *arguments]) == 0
    expected = f'BasicSR is installed, and used as it is: some-fork 1.5 in {FORK.folder}, editable\n'
    assert capsys.readouterr().out == expected


def test_a_broken_one_is_named_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributions, 'find', lambda name: FORK)
    monkeypatch.setattr(set_up, 'probe', lambda name: Outcome(error="ModuleNotFoundError: No module named 'lmdb'"))
    with pytest.raises(UserError, match=r"some-fork 1.5 in .*, but .*No module named 'lmdb'; pip install lmdb"):
        set_up.set_up()


def test_wheels_are_installed_as_from_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real pip, into a folder: the metadata name no file that is gone afterwards."""
    monkeypatch.setenv('PIP_TARGET', str(tmp_path / 'target'))
    for folder in ('wheels', 'work'):
        (tmp_path / folder).mkdir()
    made = wheel_of_basicsr(tmp_path / 'wheels', name='stand_in')
    set_up.Installer(tmp_path / 'work').install(['stand-in==1.4.2'], made.parent, failure='')
    (info,) = (tmp_path / 'target').glob('stand_in-1.4.2.dist-info')
    assert (tmp_path / 'target/basicsr/__init__.py').exists()
    assert not (info / 'direct_url.json').exists()
