"""What is there stays as it is; what is absent is installed, in versions that suit it."""

import json
from pathlib import Path

import pytest

from converse_basicsr.errors import UserError
from converse_basicsr.installation import distributions, needed

BASICSR = ['lmdb', 'numpy>=1.17', 'opencv-python', 'Pillow', 'scikit-image', 'tb-nightly', 'torch>=1.7', 'yapf']


class Resolver:
    """Stands in for pip, and chooses one version for everything."""

    def __init__(self, name: str = 'yapf', version: str = '3.0') -> None:
        self.chosen = [{'metadata': {'name': each, 'version': version}} for each in ('platformdirs', name)]
        self.commands: list[tuple[str, ...]] = []
        self.constraints = ''

    def run(self, *arguments: str, failure: str) -> None:
        self.commands.append(arguments)
        self.constraints = Path(arguments[arguments.index('--constraint') + 1]).read_text()
        Path(arguments[arguments.index('--report') + 1]).write_text(json.dumps({'install': self.chosen}))


@pytest.mark.parametrize(
    ('installed', 'lacking'),
    [
        ('', 'lmdb numpy>=1.17 opencv-python Pillow scikit-image tensorboard torch>=1.7 yapf'),
        ('LMDB numpy opencv-python-headless pillow scikit_image tensorboard torch', 'yapf'),
        ('lmdb numpy opencv-contrib-python pillow scikit-image tb-nightly torch yapf', ''),
    ],
)
def test_only_what_is_absent_is_asked_for(installed: str, lacking: str) -> None:
    assert needed.absent(BASICSR, installed.split()) == lacking.split()


def test_versions_are_chosen_around_everything_that_is_installed(tmp_path: Path) -> None:
    pip = Resolver()
    assert needed.resolve(['yapf'], pip, tmp_path) == ['platformdirs==3.0', 'yapf==3.0']
    (command,) = pip.commands
    assert command[:2] == ('install', '--dry-run')
    assert command[-1] == 'yapf'
    for name in ('torch', 'numpy', 'pip'):
        assert f'{name}=={distributions.version(name)}\n' in pip.constraints


@pytest.mark.parametrize('build', ['cpu', 'cu126', 'rocm6.3', 'xpu'])
def test_torchvision_comes_from_where_the_build_of_torch_came_from(build: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributions, 'version', lambda name: f'2.8.0+{build}')
    its_index = ['--index-url', f'https://download.pytorch.org/whl/{build}']
    assert [*needed.by_index(['lmdb', 'torchvision', 'yapf'])] == [(its_index, ['torchvision']), ([], ['lmdb', 'yapf'])]
    assert [*needed.by_index(['torchvision==0.23.0'])] == [(its_index, ['torchvision==0.23.0'])]
    assert [*needed.by_index(['lmdb'])] == [([], ['lmdb'])]


@pytest.mark.parametrize('version', ['2.8.0', '2.8.0a0+gitabc'])
def test_other_builds_take_everything_from_one_index(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributions, 'version', lambda name: version)
    assert [*needed.by_index(['lmdb', 'torchvision'])] == [([], ['lmdb', 'torchvision'])]


def test_a_torchvision_of_another_build_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributions, 'version', lambda name: '2.8.0+cpu')
    with pytest.raises(UserError, match=r'install it first: pip install --index-url https\S+/cpu torchvision$'):
        needed.resolve(['torchvision'], Resolver('torchvision', '0.23.0'), tmp_path)
    assert needed.resolve(['torchvision'], Resolver('torchvision', '0.23.0+cpu'), tmp_path) == [
        'platformdirs==0.23.0+cpu',
        'torchvision==0.23.0+cpu',
    ]


def test_pytorch_is_left_to_its_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(UserError, match=r'^PyTorch is not installed .*: pip install torch torchvision$'):
        needed.require_torch()
