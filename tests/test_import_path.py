"""Modules and metadata that lie in the current folder: they are not those of the installation."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from converse_basicsr import import_path
from converse_basicsr.processes.launch import COMMAND

ROOT = Path(import_path.__file__).parents[1]
SHADOWED = (
    *('argparse', 'ast', 'csv', 'email', 'inspect', 'json', 'logging', 'pathlib', 'pickle', 'random', 'socket'),
    *('struct', 'subprocess', 'tempfile', 'threading', 'typing', 'zipfile'),
    *('basicsr', 'cv2', 'lmdb', 'numpy', 'PIL', 'scipy', 'torch', 'tqdm', 'yaml', 'sitecustomize', 'mc'),
)
"""Modules of Python, and packages, that the commands import."""

BY_MODULE = [sys.executable, '-m', 'converse_basicsr.cli']
BY_SCRIPT = [sys.executable, 'bin/basicsr']


@pytest.fixture
def hostile_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with modules that leave a mark when they are imported, and a plugin that nobody installed."""
    monkeypatch.chdir(tmp_path)
    for name in SHADOWED:
        Path(f'{name}.py').write_text(f"open('imported_{name}', 'w').close()\n")
    Path('evil.py').write_text("open('imported_evil', 'w').close()\ndef register(): pass\n")
    for info in ('evil-1.0.dist-info', 'evil2.egg-info'):
        Path(info).mkdir()
        for name in ('METADATA', 'PKG-INFO'):
            Path(info, name).write_text(f'Metadata-Version: 2.1\nName: {info[:5].strip("-.")}\nVersion: 1.0\n')
        Path(info, 'entry_points.txt').write_text('[basicsr.plugins]\nevil = evil:register\n')
    Path('bin').mkdir()  # as pip writes it, in a folder of its own
    code = "import sys\nfrom converse_basicsr.cli import main\nif __name__ == '__main__':\n    sys.exit(main())\n"
    Path('bin/basicsr').write_text(code)
    return tmp_path


def run(command: list[str]) -> str:
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONSAFEPATH'}
    done = subprocess.run(command, env={**environment, 'OMP_NUM_THREADS': '1'}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'evil' not in done.stderr
    return done.stdout


def imported() -> list[str]:
    return sorted(name for name in os.listdir() if name.startswith('imported_'))


@pytest.mark.promise('modules, and metadata of plugins, in the current folder')
@pytest.mark.parametrize('command', [BY_SCRIPT, COMMAND, BY_MODULE], ids=['script', 'nproc', 'module'])
@pytest.mark.usefixtures('hostile_folder')
def test_nothing_in_the_current_folder_is_imported(command: list[str]) -> None:
    if command is BY_MODULE and sys.version_info < (3, 11):
        pytest.skip('what this Python imports to find the module is not built into it')
    output = run([*command, 'list', 'arch'])
    assert 'ConverseSRResNet' in output
    assert imported() == []


@pytest.mark.promise('modules, and metadata of plugins, in the current folder')
@pytest.mark.usefixtures('hostile_folder')
def test_nor_in_the_processes_of_multiprocessing() -> None:
    Path('images').mkdir()
    import cv2
    import numpy as np

    for number in range(2):
        cv2.imwrite(f'images/{number}.png', np.full((64, 64, 3), 9 * number, np.uint8))
    sizes = ('--scale', '2', '--crop', '32', '--step', '32')
    run([*BY_SCRIPT, 'prepare', 'sr', '--input', 'images', '--output', 'out', *sizes, '--workers', '2'])
    assert imported() == []


@pytest.mark.usefixtures('hostile_folder')
def test_another_package_that_is_started_keeps_its_folder() -> None:
    """``python -m mine``, whose ``__init__`` imports this package."""
    Path('mine').mkdir()
    Path('mine/__init__.py').write_text('import converse_basicsr\n')
    Path('mine/cli.py').write_text('import evil\nprint("ran")\n')
    for name in SHADOWED:
        Path(f'{name}.py').unlink()
    environment = {**os.environ, 'PYTHONPATH': ''}
    done = subprocess.run([sys.executable, '-m', 'mine.cli', 'x'], env=environment, capture_output=True, text=True)
    assert done.stdout == 'ran\n', done.stderr


@pytest.mark.parametrize('command', [COMMAND, BY_MODULE], ids=['nproc', 'module'])
def test_a_checkout_that_is_not_installed_still_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    (tmp_path / 'converse_basicsr').symlink_to(ROOT / 'converse_basicsr')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(import_path, '_ROOT', str(tmp_path))
    if command is COMMAND:
        command = import_path.command('converse_basicsr.cli')
    monkeypatch.setenv('PYTHONPATH', str(Path(yaml.__file__).parents[1]))  # what it needs, but without -S itself too
    assert 'converse_basicsr' in run([command[0], '-S', *command[1:], '--version'])
