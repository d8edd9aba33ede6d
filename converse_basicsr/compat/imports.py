"""Modules that BasicSR imports and that are gone: without them ``import basicsr`` fails."""

import importlib.util
import sys
import types
from collections.abc import Iterator
from typing import Any

from converse_basicsr.compat.replacement import Replacement


def functional_tensor() -> Iterator[Replacement]:
    """Supply ``torchvision.transforms.functional_tensor``, gone since torchvision 0.17.

    Upstream: XPixelGroup/BasicSR#663. Can go when BasicSR imports ``rgb_to_grayscale`` from where it is now.
    """
    name = 'torchvision.transforms.functional_tensor'
    if name in sys.modules or importlib.util.find_spec(name) is not None:
        return
    from torchvision.transforms.functional import rgb_to_grayscale

    module: Any = types.ModuleType(name, 'Stand-in made by converse_basicsr for a module that torchvision removed.')
    module.rgb_to_grayscale = rgb_to_grayscale
    yield Replacement(sys.modules, name, module)


def distutils() -> Iterator[Replacement]:
    """Supply ``distutils.version.LooseVersion`` on Python 3.12 and later without setuptools.

    Can go when BasicSR compares versions without distutils.
    """
    if 'distutils' in sys.modules or importlib.util.find_spec('distutils') is not None:
        return
    from torch.torch_version import TorchVersion

    package: Any = types.ModuleType('distutils')
    version: Any = types.ModuleType('distutils.version')
    package.__path__, package.version, version.LooseVersion = [], version, TorchVersion
    yield Replacement(sys.modules, 'distutils', package)
    yield Replacement(sys.modules, 'distutils.version', version)
