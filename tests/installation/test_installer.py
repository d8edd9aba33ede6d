"""pip is run so that the environment is as it was, or whole, and so that its failures are told in a line."""

import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from converse_basicsr.errors import UserError
from converse_basicsr.installation import installer
from converse_basicsr.installation.installer import Installer

INTERRUPTING = """\
import os, signal, sys, time
os.kill(os.getppid(), signal.{signal})
time.sleep(0.5)
open({mark!r}, 'w').close()
"""
"""A pip during whose work the command is told to stop."""


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Installer]:
    """Make an installer whose pip is a program of the test's."""
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))

    def make(code: str) -> Installer:
        program = tmp_path / 'program/pip'
        program.mkdir(parents=True)
        (program / '__init__.py').touch()
        (program / '__main__.py').write_text(code)
        (tmp_path / 'work').mkdir()
        made = Installer(tmp_path / 'work')
        made.search_first(program.parent)
        return made

    return make


@pytest.mark.skipif(os.name == 'nt', reason='sends signals')
@pytest.mark.parametrize('signal', ['SIGINT', 'SIGTERM', 'SIGHUP'])
def test_what_has_begun_to_install_is_ended_first(signal: str, pip: Callable[[str], Installer], tmp_path: Path) -> None:
    mark = tmp_path / 'mark'
    with pytest.raises(KeyboardInterrupt):
        pip(INTERRUPTING.format(signal=signal, mark=str(mark))).install(['a==1'], tmp_path, failure='')
    assert mark.exists()


@pytest.mark.skipif(os.name == 'nt', reason='sends signals')
def test_what_only_fetches_is_ended_at_once(pip: Callable[[str], Installer], tmp_path: Path) -> None:
    mark = tmp_path / 'mark'
    with pytest.raises(KeyboardInterrupt):
        pip(INTERRUPTING.format(signal='SIGINT', mark=str(mark)).replace('0.5', '600')).run('wheel', failure='')
    assert not mark.exists()


@pytest.mark.parametrize(
    ('output', 'message'),
    [
        (
            'ERROR: No matching distribution found for basicsr',
            ': the package index cannot be reached, or does not have',
        ),
        ('no such option: --report', ': this pip is too old: run: python -m pip install --upgrade pip'),
        ('OSError: [Errno 28] No space left on device', ': the disk is full'),
        ('ERROR: ResolutionImpossible: for help visit', ': what is installed leaves room for no version of it'),
    ],
)
def test_failures_are_told_in_a_line(output: str, message: str, pip: Callable[[str], Installer]) -> None:
    with pytest.raises(UserError) as raised:
        pip(f'import sys\nprint({output!r})\nsys.exit(1)').run('wheel', failure='BasicSR could not be fetched')
    (line,) = raised.value.lines
    assert line.startswith(f'BasicSR could not be fetched{message}')
    assert output in Path(line.rpartition('the log: ')[2]).read_text()


BUILD = """\
  × Preparing metadata (pyproject.toml) did not run successfully.
  ╰─> [18 lines of output]
      Traceback (most recent call last):
        File "<string>", line 1, in <module>
      RuntimeError: no such compiler
      [end of output]

  note: This error originates from a subprocess, and is likely not a problem with pip.
error: metadata-generation-failed
hint: See above for details.
"""
"""What pip prints after a build that has failed."""


def test_a_failed_build_is_told_with_the_last_lines_of_the_log(pip: Callable[[str], Installer]) -> None:
    with pytest.raises(UserError) as raised:
        pip(f'import sys\nsys.stdout.write({BUILD!r})\nsys.exit(1)').run('wheel', failure='BasicSR could not be made')
    first, *rest = raised.value.lines
    assert first.startswith('BasicSR could not be made; the log: ')
    assert rest == [
        'Traceback (most recent call last):',
        'File "<string>", line 1, in <module>',
        'RuntimeError: no such compiler',
        'error: metadata-generation-failed',
    ]
    log = Path(first.removesuffix('; it ends in:').rpartition('the log: ')[2])
    assert BUILD in log.read_text(encoding='utf-8')
    assert '-m pip wheel' in log.read_text(encoding='utf-8')


def test_what_pip_leaves_is_in_the_temporary_folder(pip: Callable[[str], Installer], tmp_path: Path) -> None:
    pip('import tempfile; tempfile.mkdtemp()').run('wheel', failure='')
    assert len(list((tmp_path / 'work/temporary').iterdir())) == 1


@pytest.mark.skipif(os.name == 'nt', reason='stands in for uv by a script')
def test_pip_is_had_from_uv_where_it_is_absent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    monkeypatch.setattr('shutil.which', lambda name: None)
    (tmp_path / 'first').mkdir()
    with pytest.raises(UserError, match='has no pip, and there is no uv: run: python -m ensurepip --upgrade'):
        Installer(tmp_path / 'first')
    uv = tmp_path / 'uv'
    uv.write_text(f'#!{sys.executable}\nimport os, sys\nos.makedirs(sys.argv[6] + "/pip")\n'
                  'open(sys.argv[6] + "/pip/__main__.py", "w").write("")\n')  # fmt: skip
    uv.chmod(0o755)
    monkeypatch.setattr('shutil.which', lambda name: str(uv))
    (tmp_path / 'second').mkdir()
    made = Installer(tmp_path / 'second')
    assert 'uv' in made.name
    made.run('--version', failure='')


def test_an_environment_of_the_system_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    paths = {'stdlib': str(tmp_path), 'purelib': str(tmp_path / 'site-packages')}
    monkeypatch.setattr(sysconfig, 'get_path', paths.__getitem__)
    monkeypatch.setattr(sys, 'prefix', sys.base_prefix)
    monkeypatch.delenv('PIP_BREAK_SYSTEM_PACKAGES', raising=False)
    (tmp_path / 'EXTERNALLY-MANAGED').touch()
    with pytest.raises(UserError, match='managed by its operating system: make a virtual environment'):
        installer.require_suitable_environment()
    monkeypatch.setenv('PIP_BREAK_SYSTEM_PACKAGES', '1')
    with pytest.raises(UserError, match='is read-only: make a virtual environment'):
        installer.require_suitable_environment()  # no such folder: nothing can be written there
    (tmp_path / 'site-packages').mkdir()
    installer.require_suitable_environment()
