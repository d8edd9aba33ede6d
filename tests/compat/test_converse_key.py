"""The key ``converse`` of a network; tests/surgery/test_option_key.py trains with it."""

import pytest

from converse_basicsr import compat
from converse_basicsr.ops import Converse2D

EDSR = {'type': 'EDSR', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 4, 'num_block': 1, 'upscale': 2}


def test_networks_are_built_with_exchanged_parts() -> None:
    from basicsr import archs

    options = {**EDSR, 'converse': {'upsample': True}}
    assert any(isinstance(module, Converse2D) for module in archs.build_network(options).modules())
    with compat.disabled('converse_key'), pytest.raises(TypeError, match='converse'):
        archs.build_network(options)


def test_other_networks_are_built_as_they_are() -> None:
    from basicsr import archs

    for options in (EDSR, {**EDSR, 'converse': None}):
        assert not any(isinstance(module, Converse2D) for module in archs.build_network(options).modules())
