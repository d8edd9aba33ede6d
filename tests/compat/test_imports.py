"""Modules that BasicSR imports and that are gone."""

import importlib.util
import sys
from collections.abc import Callable
from typing import Any

import pytest

from converse_basicsr.compat import imports
from converse_basicsr.compat.replacement import put, take_back


@pytest.mark.slow
@pytest.mark.parametrize('without', [(), ('functional_tensor',)])
def test_basicsr_is_imported_with_the_patch_and_not_without(
    run_python: Callable[..., Any], without: tuple[str, ...]
) -> None:
    result = run_python(
        f"""
        from converse_basicsr import compat
        compat.apply(without={without})
        import basicsr
        print('imported')
        """
    )
    assert ('imported' in result.stdout) is not bool(without)
    assert ('functional_tensor' in result.stderr) is bool(without)


def test_the_stand_in_holds_what_basicsr_takes_from_it() -> None:
    from torchvision.transforms.functional import rgb_to_grayscale

    module = sys.modules['torchvision.transforms.functional_tensor']
    assert module.rgb_to_grayscale is rgb_to_grayscale


def test_distutils_is_supplied_where_python_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition('.')[0] == 'distutils']:
        monkeypatch.delitem(sys.modules, name)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None if name == 'distutils' else find_spec(name))
    undo = put(imports.distutils())
    try:
        from distutils.version import LooseVersion

        assert LooseVersion('0.10.0') >= LooseVersion('0.9.0')
    finally:
        take_back(undo)
    assert 'distutils' not in sys.modules


def test_what_is_there_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'distutils', sys)
    assert list(imports.distutils()) == []
    assert list(imports.functional_tensor()) == []
