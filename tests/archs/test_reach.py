import pytest
import torch
from torch import nn

from converse_basicsr import archs
from converse_basicsr.archs.reach import Reach, reach_of
from converse_basicsr.ops import Converse2D
from converse_basicsr.register import REGISTERED

(NAMES,) = REGISTERED['arch'].values()


def test_networks_of_others_have_the_default() -> None:
    net = nn.Conv2d(1, 1, 3)
    assert reach_of(net) == Reach()
    net.reach = torch.zeros(())  # whatever else a network calls so
    assert reach_of(net) == Reach()


def test_a_network_has_the_reach_of_its_class() -> None:
    assert reach_of(archs.ConverseNet(num_feat=2, num_block=1)) == reach_of(archs.ConverseNet)
    assert reach_of(archs.ConverseNet) != Reach()


@pytest.mark.parametrize('name', NAMES)
def test_networks_with_global_filters_say_so(name: str) -> None:
    network = getattr(archs, name)
    net = network(num_feat=2, **({'num_layer': 3} if name == 'DnCNN' else {'num_block': 1}))
    layers = [module for module in net.modules() if isinstance(module, Converse2D)]
    # Where no tap leaves the block of its sample, the operator is local; USRNet reverses the blur without a layer.
    is_global = name == 'USRNet' or any(max(layer.kernel_size) > layer.scale for layer in layers)
    assert reach_of(net).spans_image == is_global
