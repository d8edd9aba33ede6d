"""``basicsr doctor`` tells what is broken, and is not broken by it."""

import json
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from converse_basicsr import cli
from converse_basicsr.installation import combinations, diagnosis, distributions
from converse_basicsr.installation.distributions import Found
from converse_basicsr.installation.probing import Outcome

TORCH = {'version': '2.14.1+cpu', 'built for': 'no CUDA, no ROCm', 'threads': '2'}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend what is installed, and what fails when it is imported."""

    def pretend(*absent: str, **errors: str) -> None:
        def probe_all(names: Sequence[str]) -> dict[str, Outcome]:
            return {name: Outcome(TORCH if name == 'torch' else {}, errors.get(name, '')) for name in names}

        def find(name: str) -> Found:
            return Found(name, Path(name), name, '1.0')

        monkeypatch.setattr(diagnosis, 'probe_all', probe_all)
        monkeypatch.setattr(diagnosis, '_is_there', lambda name: name not in absent)
        monkeypatch.setattr(distributions, 'find', find)
        monkeypatch.setattr(combinations, 'faults', list)
        monkeypatch.setattr(combinations, 'notes', lambda suppliers: [])
        monkeypatch.setattr('shutil.which', lambda name: None)

    return pretend


def test_all_is_well(here: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    here('wandb')
    assert cli.main(['doctor']) == 0
    output = capsys.readouterr().out
    for title in ('system:', 'packages:', 'devices:', 'commands:', 'faults: none'):
        assert f'\n{title}' in f'\n{output}'
    assert '\n  torch: 2.14.1+cpu, no CUDA, no ROCm\n' in output
    assert '\n  accelerators: none\n' in output
    assert '\n  wandb in option files: no, for want of wandb: pip install wandb\n' in output
    assert output.count(': no, for want of') == 1
    assert all(': ' in line or line.endswith(':') for line in output.splitlines())


def test_without_basicsr_nothing_is_broken(here: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    here('basicsr', 'lmdb')
    assert cli.main(['doctor', '--json']) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {'system', 'packages', 'devices', 'commands', 'faults', 'notes'}
    assert found['packages']['basicsr'] == 'absent'
    remedies = {group['remedy']: group for group in found['commands']}
    assert set(remedies) == {'', 'basicsr setup'}
    assert remedies['basicsr setup']['lacks'] == ['basicsr', 'lmdb']
    assert 'train' in remedies['basicsr setup']['commands']


def test_a_broken_import_is_a_fault_of_one_line(here: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    here(cv2='ImportError: libGL.so.1: cannot open shared object file', onnx='killed by SIGSEGV')
    assert cli.main(['doctor']) == 1
    output = capsys.readouterr().out
    assert '\n  export --format onnx: no, for want of onnx: see the faults\n' in output
    faults = output.partition('faults: 2\n')[2].splitlines()
    assert 'cannot be imported: ImportError: libGL.so.1' in faults[0]
    assert faults[0].endswith('; pip uninstall opencv-python, then pip install opencv-python-headless')
    assert 'cannot be imported: killed by SIGSEGV; pip install --force-reinstall --no-deps onnx' in faults[1]


def test_without_torch_and_with_damaged_metadata_it_still_tells(
    here: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def damaged(*arguments: Any) -> None:
        raise UnicodeDecodeError('utf-8', b'\xff', 0, 1, 'invalid start byte')

    here('torch')
    for owner, name in ((metadata, 'packages_distributions'), (combinations, 'faults'), (combinations, 'notes')):
        monkeypatch.setattr(owner, name, damaged)
    monkeypatch.setattr('platform.platform', damaged)
    assert cli.main(['doctor']) == 1
    output = capsys.readouterr().out
    assert '\n  torch is absent: pip install torch\n' in output
    assert '\n  unknown: torch is absent\n' in output
    assert '\n  numpy: of unknown version\n' in output


def test_a_driver_without_a_build_for_it_is_noted(
    here: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here()
    monkeypatch.setattr('shutil.which', lambda name: '/usr/bin/nvidia-smi')
    assert cli.main(['doctor']) == 0
    assert 'there is an NVIDIA driver, and this PyTorch (no CUDA, no ROCm) cannot use it' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('versions', 'fault'),
    [
        ({'torch': '2.14.1', 'torchvision': '0.29.1'}, ''),
        ({'torch': '2.14.1+cu126', 'torchvision': '0.29.1+cu126'}, ''),
        (
            {'torch': '2.13.0', 'torchvision': '0.29.1'},
            'for torch 2.14.1, and torch 2.13.0 is installed: pip',
        ),
        ({'torch': '2.3.1'}, 'torch 2.3.1 is older than 2.4: pip install -U torch torchvision'),
        ({'torch': '2.10.0'}, ''),
        ({}, ''),
    ],
)
def test_versions_that_do_not_fit_are_faults(
    versions: dict[str, str], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributions, 'version', lambda name: versions.get(name, ''))
    monkeypatch.setattr(metadata, 'requires', lambda name: ['numpy', 'torch==2.14.1', 'gdown; extra == "gdown"'])
    found = combinations.faults()
    assert len(found) == bool(fault)
    assert fault in ''.join(found)


def test_distributions_that_overwrite_each_other_are_noted() -> None:
    suppliers = {
        'cv2': ['opencv-python', 'opencv-python-headless'],
        'mmcv': ['mmcv-lite', 'mmcv'],
        'tensorboard': ['tensorboard', 'tensorboard'],
    }
    opencv, mmcv = combinations.notes(suppliers)
    assert opencv.startswith('opencv-python and opencv-python-headless are all installed, and overwrite each other')
    assert mmcv.startswith('mmcv and mmcv-lite are all installed')


@pytest.mark.parametrize(
    ('package', 'error', 'remedy'),
    [
        ('torch', 'RuntimeError: Numpy is not available', "it is older than NumPy 2: pip install 'numpy<2'"),
        ('torch', 'ImportError: libcudnn.so.9: cannot open', 'pip install --force-reinstall torch torchvision'),
        ('torchvision', 'RuntimeError: operator torchvision::nms does not exist', 'pip install -U torch torchvision'),
        ('basicsr', "ModuleNotFoundError: No module named 'cv2'", 'pip install opencv-python'),
        ('cv2', 'killed by SIGSEGV', 'pip install --force-reinstall --no-deps opencv-'),
    ],
)
def test_errors_of_imports_come_with_a_remedy(package: str, error: str, remedy: str) -> None:
    assert remedy in combinations.remedy_of_import(package, error)
