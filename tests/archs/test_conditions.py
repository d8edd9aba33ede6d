from torch import nn

from converse_basicsr import archs
from converse_basicsr.archs.conditions import conditions_of


def test_conditions_are_what_forward_names() -> None:
    assert conditions_of(nn.Identity()) == {}
    assert conditions_of(archs.USRNet(num_feat=2, num_block=1)) == {'kernel': True, 'scale': False, 'sigma': False}
