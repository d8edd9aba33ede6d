"""The patches as a whole: each alone, none in another's way, and none for what they do not know."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from converse_basicsr import compat
from converse_basicsr.compat.patches import replaced
from converse_basicsr.compat.replacement import Replacement, put, take_back


def test_no_two_patches_replace_the_same_name() -> None:
    places = Counter((id(owner), name) for replacements in replaced().values() for owner, name in replacements)
    assert max(places.values()) == 1


def test_every_patch_finds_its_defect_in_the_installed_basicsr() -> None:
    """One that finds nothing can be deleted; two depend on the versions of Python, OpenCV and torch."""
    without = {name for name, replacements in replaced().items() if not replacements}
    assert without <= {'distutils', 'jpeg_quality'}
    assert set(replaced()) == {*compat.IMPORTS, *compat.PATCHES}


def test_apply_twice_changes_nothing() -> None:
    before = replaced()
    compat.apply()
    assert replaced() == before


def test_a_patch_can_be_taken_back_and_put_again() -> None:
    from basicsr.models.base_model import BaseModel

    ours = BaseModel.model_ema
    with compat.disabled('ema_buffers'):
        assert BaseModel.model_ema is not ours
        assert BaseModel.model_ema.__module__ == 'basicsr.models.base_model'
    assert BaseModel.model_ema is ours


@pytest.mark.slow
def test_a_later_major_version_is_left_alone(run_python: Callable[..., Any]) -> None:
    result = run_python(
        """
        import warnings
        from converse_basicsr import compat
        from converse_basicsr.compat import imports
        from converse_basicsr.compat.patches import replaced
        from converse_basicsr.compat.replacement import put
        put(imports.functional_tensor())
        import basicsr.version
        basicsr.version.__version__ = '2.0.1'
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter('always')
            compat.apply()
        from basicsr.models.base_model import BaseModel
        print([str(one.message) for one in told if 'BasicSR' in str(one.message)], BaseModel.save_network.__module__)
        print(set(replaced()) <= set(compat.IMPORTS))
        """
    )
    assert 'BasicSR 2.0.1 is newer than this package knows (1.x): it runs unpatched' in result.stdout, result.stderr
    assert 'basicsr.models.base_model' in result.stdout
    assert result.stdout.endswith('True\n')


@pytest.mark.parametrize('held', [{}, {'name': 1}])
def test_replacements_of_items_are_taken_back(held: dict[str, int]) -> None:
    before = dict(held)
    undo = put([Replacement(held, 'name', 2), Replacement(held, 'other', 3)])
    assert held == {'name': 2, 'other': 3}
    take_back(undo)
    assert held == before


def test_an_attribute_that_was_not_there_goes_again() -> None:
    class Owner:
        pass

    undo = put([Replacement(Owner, 'name', 2)])
    assert Owner.name == 2  # type: ignore[attr-defined]
    take_back(undo)
    assert not hasattr(Owner, 'name')
