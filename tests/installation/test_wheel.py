"""A wheel of BasicSR is made of its sources on every Python, without a network, and without a trace in the sources."""

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from converse_basicsr.errors import UserError
from converse_basicsr.installation import wheel
from converse_basicsr.installation.installer import Installer

SETUP = """\
import usual  # the start-up file of this Python was run, too
import torch_stand_in
from setuptools import setup

def get_version():
    with open('basicsr/version.py', 'w') as f:
        f.write("__version__ = '1.4.2'")
    with open('basicsr/version.py') as f:
        exec(compile(f.read(), 'basicsr/version.py', 'exec'))
    return locals()['__version__']

if __name__ == '__main__':
    setup(name='basicsr', version=get_version(), packages=['basicsr'], setup_requires=['torch', 'cython', 'numpy'],
          install_requires=['numpy>=1.17', 'tb-nightly', 'yapf'], extras_require={'more': ['other']})
"""
"""As BasicSR's: it looks in ``locals()`` for what ``exec`` has assigned, and asks for a torch that is there already."""

USUAL_START_UP = """\
import builtins, sys

def run_in_copy(source, globals=None, locals=None, /, run=exec):
    if globals is None:
        caller = sys._getframe(1)
        is_function = caller.f_locals is not caller.f_globals
        globals, locals = caller.f_globals, dict(caller.f_locals) if is_function else caller.f_locals
    run(source, globals, locals)

builtins.exec = run_in_copy
sys.modules['usual'] = sys
"""
"""``exec`` as it is since Python 3.13, for those before, in the start-up file that the Python already has."""


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a source package that does not build as it is."""
    python = tmp_path / 'python'
    (python / 'torch_stand_in').mkdir(parents=True)
    (python / 'torch_stand_in/__init__.py').touch()
    (python / 'sitecustomize.py').write_text(USUAL_START_UP)
    monkeypatch.setenv('PYTHONPATH', str(python))
    folder = tmp_path / 'clone'
    (folder / 'basicsr').mkdir(parents=True)
    (folder / 'basicsr/__init__.py').touch()
    (folder / 'experiments').mkdir()
    (folder / 'setup.py').write_text(SETUP)
    return folder


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*'))


def test_the_sources_do_not_build_as_they_are(sources: Path) -> None:
    command = [sys.executable, 'setup.py', '--version']
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True)
    assert "KeyError: '__version__'" in done.stderr


def test_a_clone_becomes_a_wheel(sources: Path, tmp_path: Path) -> None:
    before, work = files(sources), tmp_path / 'work'
    work.mkdir()
    made = wheel.obtain(sources, Installer(work), work)
    assert made.name == 'basicsr-1.4.2-py3-none-any.whl'
    assert wheel.pinned(made) == 'basicsr==1.4.2'
    assert wheel.requirements(made) == ['numpy>=1.17', 'tensorboard', 'yapf']
    assert files(sources) == before
    with zipfile.ZipFile(made) as archive:
        assert archive.read('basicsr/version.py') == b"__version__ = '1.4.2'"
        for line in archive.read('basicsr-1.4.2.dist-info/RECORD').decode().splitlines():
            name, digest, _ = line.split(',')
            if digest:
                computed = base64.urlsafe_b64encode(hashlib.sha256(archive.read(name)).digest()).rstrip(b'=')
                assert (name, digest) == (name, f'sha256={computed.decode()}')


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('absent.whl', None, 'does not exist'),
        ('folder', {}, 'a folder of sources has a setup.py'),
        ('basicsr.rar', b'', 'must be a wheel'),
    ],
)
def test_what_is_no_source_is_refused_at_once(name: str, content: object, message: str, tmp_path: Path) -> None:
    source = tmp_path / name
    if isinstance(content, bytes):
        source.write_bytes(content)
    elif content is not None:
        source.mkdir()
    with pytest.raises(UserError, match=message):
        wheel.require_source(source)


def test_wheels_of_other_packages_are_refused(tmp_path: Path) -> None:
    other, broken = tmp_path / 'other.whl', tmp_path / 'broken.whl'
    with zipfile.ZipFile(other, 'w') as archive:
        archive.writestr('other/__init__.py', '')
    broken.write_bytes(b'PK')
    with pytest.raises(UserError, match='holds no package basicsr'):
        wheel.require_basicsr_in(other)
    with pytest.raises(UserError, match='no wheel that can be read'):
        wheel.require_basicsr_in(broken)


class Recorder:
    """Stands in for pip, and notes what it is asked for."""

    def __init__(self) -> None:
        self.commands: list[tuple[str, ...]] = []
        self.first: list[str] = []

    def run(self, *arguments: str, failure: str) -> None:
        assert failure
        self.commands.append(arguments)

    def search_first(self, folder: Path) -> None:
        self.first.insert(0, folder.name)


@pytest.mark.parametrize(
    ('setuptools', 'has_wheel', 'fetched'),
    [
        ('', False, True),
        ('65.5.0', False, True),
        ('65.5.0', True, False),
        ('70.1', False, False),
        ('84.2', True, False),
    ],
)
def test_build_tools_that_lack_are_fetched_for_the_build_only(
    setuptools: str, has_wheel: bool, fetched: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('converse_basicsr.installation.distributions.version', lambda name: setuptools)
    find_spec = wheel.importlib.util.find_spec
    monkeypatch.setattr(
        'importlib.util.find_spec', lambda name, *rest: has_wheel or None if name == 'wheel' else find_spec(name, *rest)
    )
    recorder = Recorder()
    wheel.prepare_build(recorder, tmp_path)
    assert recorder.commands == ([('install', '--target', str(tmp_path / 'tools'), 'setuptools')] if fetched else [])
    assert recorder.first == ['start_up', 'tools'][: 1 + fetched]


def test_start_up_file_leaves_exec_with_names_of_its_own_alone(tmp_path: Path) -> None:
    (tmp_path / 'sitecustomize.py').write_text(wheel.START_UP)
    code = """if True:
        def assigned():
            exec('a = 1')
            given, both = {}, {}
            exec('b = 2', given)
            exec('c = 3', given, both)
            return locals()['a'], given['b'], both
        exec('d = 4')
        print(assigned(), d)
    """
    environment = {**os.environ, 'PYTHONPATH': str(tmp_path)}
    done = subprocess.run([sys.executable, '-c', code], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("(1, 2, {'c': 3}) 4\n", '')
