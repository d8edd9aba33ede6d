"""The examples in the docstrings run and give what they say."""

import doctest
import importlib
import pkgutil
from types import ModuleType

import pytest

import converse_basicsr

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(converse_basicsr.__path__, f'{converse_basicsr.__name__}.')
)


OPTIONAL = {'converse_basicsr.mmcv': 'mmengine', 'converse_basicsr.spandrel': 'spandrel'}


def import_module(name: str) -> ModuleType:
    if name in OPTIONAL:
        pytest.importorskip(OPTIONAL[name], reason=f'{OPTIONAL[name]}, which {name} is for, is not installed')
    return importlib.import_module(name)


@pytest.mark.parametrize('name', MODULES)
def test_examples(name: str) -> None:
    converse_basicsr.register()  # the data and model modules import BasicSR
    assert doctest.testmod(import_module(name)).failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    tests = [test for name in MODULES if name not in OPTIONAL for test in finder.find(import_module(name))]
    assert sum(bool(test.examples) for test in tests) > 20
