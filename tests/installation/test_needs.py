"""What commands need is stated for all of them, and the remedies bring it."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import setuptools

from converse_basicsr import cli
from converse_basicsr.commands.prepare import group
from converse_basicsr.installation.distributions import normalised
from converse_basicsr.installation.needs import CORE, DISTRIBUTIONS, NEEDS, SETUP, remedy

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def metadata() -> dict[str, Any]:
    """What setup.py hands to setuptools."""
    given: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, 'setup', lambda **arguments: given.update(arguments))
        patch.chdir(ROOT)
        runpy.run_path(str(ROOT / 'setup.py'))
    return given


def names(requirements: list[str]) -> set[str]:
    return {normalised(re.match(r'[\w.-]+', requirement)[0]) for requirement in requirements}


def test_every_command_says_what_it_needs() -> None:
    stated = [command for need in NEEDS for command in need.commands]
    words = {command.split()[0] for command in stated}
    assert set(cli.COMMANDS) <= words
    prepared = {name for command in stated if command.startswith('prepare ') for name in command.split()[1].split('|')}
    assert prepared == set(group.COMMANDS)


def test_what_always_comes_is_required_by_this_package(metadata: dict[str, Any]) -> None:
    assert {DISTRIBUTIONS.get(name, name) for name in CORE} <= names(metadata['install_requires'])


@pytest.mark.parametrize('need', [need for need in NEEDS if '[' in need.remedy], ids=lambda need: need.remedy)
def test_extras_bring_what_they_are_named_for(need: Any, metadata: dict[str, Any]) -> None:
    extra = re.search(r'\[(.+)\]', need.remedy)[1]
    # mmengine comes with mmcv
    needed = {DISTRIBUTIONS.get(name, name) for name in need.packages if name != 'mmengine'}
    assert needed <= names(metadata['extras_require'][extra])


def test_basicsr_is_not_set_up_again_where_only_another_package_lacks() -> None:
    (need,) = [need for need in NEEDS if need.remedy == SETUP]
    assert remedy(need, ['basicsr', 'skimage']) == 'basicsr setup'
    assert remedy(need, ['skimage', 'lmdb']) == 'pip install scikit-image lmdb'
