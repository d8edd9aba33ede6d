"""What ``setup.py`` hands to setuptools."""

import runpy
from pathlib import Path
from typing import Any

import pytest
import setuptools

ROOT = Path(__file__).parents[2]


def read() -> dict[str, Any]:
    """Run ``setup.py`` without setuptools; return its arguments, and its ``PROJECT_URL`` beside them."""
    given: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, 'setup', lambda **arguments: given.update(arguments))
        patch.chdir(ROOT)
        given['PROJECT_URL'] = runpy.run_path(str(ROOT / 'setup.py'))['PROJECT_URL']
    return given
