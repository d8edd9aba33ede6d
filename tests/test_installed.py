"""The package as it is installed: out of its wheel, where what is not required is absent."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import bare_install
import pytest
import yaml

from converse_basicsr.options.library import option_files
from converse_basicsr.packages import WITHOUT_BASICSR

ROOT = Path(__file__).parents[1]
LMDB = 'lmdb is not installed in this Python: run: pip install lmdb'
BUILD = 'import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])'

Ran = dict[str, Any]


@pytest.fixture(scope='module')
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the tree, as the build leaves folders behind."""
    source, target = tmp_path_factory.mktemp('source'), tmp_path_factory.mktemp('wheel')
    for name in ('converse_basicsr', 'options'):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / name, source)
    subprocess.run([sys.executable, '-c', BUILD, str(target)], cwd=source, check=True, capture_output=True)
    (built,) = target.glob('*.whl')
    return built


@pytest.fixture(scope='module')
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like ``site-packages`` with the package in it, and a module of somebody who left a ``setup.py``."""
    site = tmp_path_factory.mktemp('site')
    pip = [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--no-index', '--no-compile']
    subprocess.run([*pip, '--target', str(site), str(wheel)], check=True, capture_output=True)
    (site / 'setup.py').write_text('')
    return site


@pytest.fixture(scope='module')
def bare(site: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What became of the commands of :mod:`bare_install`, with the folder in which they ran."""
    folder = tmp_path_factory.mktemp('bare')
    command = [sys.executable, bare_install.__file__, str(folder)]
    environment = {**os.environ, 'PYTHONPATH': str(site)}
    ran = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return {**json.loads(ran.stdout), 'folder': folder}


def test_the_wheel_holds_the_option_files_and_says_that_it_is_typed(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name for name in names if name.endswith('.yml')} == {
        f'converse_basicsr/option_files/{name}' for name, _ in option_files()
    }
    assert 'converse_basicsr/py.typed' in names


def test_it_is_the_wheel_that_runs_and_nothing_hidden_is_imported(bare: dict[str, Any], site: Path) -> None:
    assert Path(bare['file']).is_relative_to(site)
    assert bare['imported'] == []


def test_option_files_are_listed_and_copied(bare: dict[str, Any]) -> None:
    files = dict(option_files())
    assert (bare['copy']['status'], bare['copy']['out']) == (0, f'{len(files)} option files are in options\n')
    for name, path in files.items():
        assert (bare['folder'] / 'options' / name).read_bytes() == path.read_bytes()
        assert name in bare['working']['options']['out']


def test_every_help_is_shown(bare: dict[str, Any]) -> None:
    assert {name: ran['status'] for name, ran in bare['help'].items()} == dict.fromkeys(bare['help'], 0)
    assert all(f'usage: basicsr {name}'.strip() in ran['out'] for name, ran in bare['help'].items())


@pytest.mark.parametrize('name', bare_install.WORKING)
def test_what_needs_no_basicsr_works_without(bare: dict[str, Any], name: str) -> None:
    ran = bare['working'][name]
    assert (ran['status'], 'error' in ran['err']) == (0, False), ran['err']
    if name.startswith('restore'):
        assert f'{name.split()[1]}/small.png' in ran['new']


@pytest.mark.parametrize('name', bare_install.REFUSED)
def test_what_needs_more_says_so_in_one_line_and_writes_nothing(bare: dict[str, Any], name: str) -> None:
    ran = bare['refused'][name]
    line = {'prepare denoise': LMDB, 'prepare deblur': LMDB}.get(name, WITHOUT_BASICSR)
    if name.startswith(('restore', 'export', 'inspect')):
        known = ', '.join(sorted(bare_install.NETWORKS))
        line = f'network EDSR is none of this package; known: {known}: {WITHOUT_BASICSR}'
    assert (ran['status'], ran['out'], ran['err']) == (2, '', f'basicsr: error: {line}\n')
    assert ran['new'] == []


def test_without_basicsr_the_list_is_of_this_package(bare: dict[str, Any]) -> None:
    ran = bare['working']['list']
    listed = json.loads(ran['out'])
    assert sorted(listed['arch']) == sorted(bare_install.NETWORKS)
    assert listed['arch']['ConverseSRResNet'].endswith('(converse_basicsr.archs.converse_srresnet)')
    assert (sorted(listed['model']), listed['loss']) == (['RestorationModel'], {})
    assert ran['err'] == f'note: only what this package offers is listed: {WITHOUT_BASICSR}\n'


def test_without_basicsr_the_schema_takes_every_option_file_and_still_finds_mistakes(bare: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip('jsonschema')
    ran = bare['working']['schema']
    assert ran['err'].endswith(f'{WITHOUT_BASICSR}\n')
    schema = json.loads(ran['out'])
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    texts = {name: yaml.safe_load(path.read_text(encoding='utf-8')) for name, path in option_files()}
    assert {name: error.message for name, one in texts.items() for error in validator.iter_errors(one)} == {}

    options = texts['converse_srresnet_x4.yml']
    assert validator.is_valid({**options, 'network_g': {'type': 'EDSR', 'num_in_ch': 3, 'of_others': True}})
    assert not validator.is_valid({**options, 'network_g': {**options['network_g'], 'num_feature': 64}})
    assert not validator.is_valid({**options, 'mannual_seed': 0})


@pytest.mark.parametrize(
    ('bridge', 'needs', 'made'),
    [('spandrel', 'spandrel', 'ConverseNet'), ('mmcv', 'mmengine', 'Converse'), ('surgery', 'torch', 'Converse2D')],
)
def test_bridges_and_surgery_need_no_basicsr(bare: dict[str, Any], bridge: str, needs: str, made: str) -> None:
    if importlib.util.find_spec(needs) is None:
        pytest.skip(f'{needs} is not installed')
    assert made in bare['bridges'][bridge], bare['bridges'][bridge]


def test_registering_without_basicsr_says_what_to_do(bare: dict[str, Any]) -> None:
    assert bare['bridges']['register'] == f'UserError: {WITHOUT_BASICSR}'


@pytest.mark.parametrize('command', ['train', 'schema'])
def test_a_basicsr_whose_import_fails_is_named_with_the_reason(bare: dict[str, Any], command: str) -> None:
    ran = bare[f'broken {command}']
    reason = 'RuntimeError: compiled for another torch'
    line = f'BasicSR is installed, but its import fails ({reason}): run: basicsr doctor'
    assert (ran['status'], ran['err'], ran['new']) == (2, f'basicsr: error: {line}\n', [])


def test_our_networks_restore_beside_a_broken_basicsr(bare: dict[str, Any]) -> None:
    assert bare['broken restore']['status'] == 0, bare['broken restore']['err']
