"""Arguments of ``build_operator`` that belong to the reverse convolution alone."""

from typing import Any

import pytest
import torch

from converse_basicsr.archs.upscale import build_upsampler
from converse_basicsr.blocks import OPERATORS, build_operator
from converse_basicsr.ops import Converse2D

# As values Converse2D's own defaults, which the twins must not ignore either.
CONVERSE_ONLY = {'padding': 2, 'eps': 1e-5, 'kernel_init': 'softmax', 'lam_init': 0.1}


@pytest.mark.parametrize('operator', ['conv', 'convtranspose'])
@pytest.mark.parametrize('name', CONVERSE_ONLY)
def test_twins_refuse_the_arguments_of_the_reverse_convolution(operator: str, name: str) -> None:
    value = CONVERSE_ONLY[name]
    arguments: dict[str, Any] = {name: value}
    message = f'{name} must be left out for operator {operator!r}, which has none, got {value!r}'
    with pytest.raises(ValueError, match=message):
        build_operator(operator, 4, 3, **arguments)


def test_what_is_left_out_has_the_default_of_the_reverse_convolution() -> None:
    torch.manual_seed(0)
    built = build_operator('converse', 4, 3)
    torch.manual_seed(0)
    expected = Converse2D(4, 4, 3)
    assert isinstance(built, Converse2D)
    assert (built.eps, built.kernel_init, built.padding) == (expected.eps, expected.kernel_init, expected.padding)
    assert torch.equal(built.weight, expected.weight)
    assert torch.equal(built.lam, expected.lam)


@pytest.mark.parametrize('operator', OPERATORS)
def test_upsamplers_can_be_built_of_each_operator(operator: str) -> None:
    up = build_upsampler(4, scale=2, operator=operator, padding_mode='replicate')
    assert up(torch.rand(1, 4, 5, 3)).shape == (1, 4, 10, 6)
    if isinstance(up, Converse2D):
        assert up.eps == 1e-3
