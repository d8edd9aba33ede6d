import pytest
import torch

from converse_basicsr.blocks import OPERATORS, DepthwiseConv2d, DepthwiseConvTranspose2d, build_operator
from converse_basicsr.ops import Converse2D

CLASSES = {'conv': DepthwiseConv2d, 'converse': Converse2D, 'convtranspose': DepthwiseConvTranspose2d}


@pytest.mark.parametrize('operator', OPERATORS)
@pytest.mark.parametrize('scale', [1, 2, 3])
def test_one_interface(operator, scale):
    op = build_operator(operator, 6, 3, scale=scale, padding_mode='replicate')
    assert type(op) is CLASSES[operator]
    assert sorted(op.state_dict()) == ['bias', 'weight']
    assert sum(p.numel() for p in op.parameters()) == 6 * 9 + 6
    assert op(torch.rand(2, 6, 5, 4)).shape == (2, 6, 5 * scale, 4 * scale)


def test_options_reach_the_reverse_convolution():
    def output(**options):
        torch.manual_seed(0)
        return build_operator('converse', 4, 3, **options)(torch.linspace(0, 1, 4 * 36).sin().view(1, 4, 6, 6))

    default = output()
    for options in (
        {'padding': 4},
        {'padding_mode': 'replicate'},
        {'eps': 0.1},
        {'kernel_init': 'normal'},
        {'kernel_init': 'uniform'},
        {'lam_init': 0.1},
    ):
        assert not torch.allclose(output(**options), default), options


def test_unknown_operator():
    with pytest.raises(ValueError, match=r"operator must be one of \['conv', 'converse', 'convtranspose'\], got 'fft'"):
        build_operator('fft', 4, 3)


@pytest.mark.parametrize('operator', ['conv', 'convtranspose'])
@pytest.mark.parametrize('option', [{'padding': 4}, {'kernel_init': 'normal'}, {'lam_init': 0.1}])
def test_twins_refuse_what_they_would_ignore(operator, option):
    [(name, value)] = option.items()
    with pytest.raises(ValueError, match=f'{name} must be left out for operator {operator!r}.*, got {value!r}'):
        build_operator(operator, 4, 3, **option)
