import pytest
import torch
from torch import nn

from converse_basicsr.archs import DnCNN, merge_batchnorm


def trained(num_ch=1):
    torch.manual_seed(0)
    net = DnCNN(num_ch, num_ch, num_feat=6, num_layer=5)
    with torch.no_grad():
        for layer in net.model:
            if isinstance(layer, nn.BatchNorm2d):
                for tensor in (layer.weight, layer.bias, layer.running_mean):
                    tensor.normal_()
                layer.running_var.uniform_(0.1, 3)
    return net.eval()


def test_prediction_is_subtracted():
    net = trained()
    x = torch.rand(1, 1, 8, 8)
    torch.testing.assert_close(net(x) + net.model(x), x)


@pytest.mark.parametrize('num_ch', [1, 3])
def test_merging_keeps_the_output(num_ch):
    net = trained(num_ch).double()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    merged = merge_batchnorm(net)
    x = torch.rand(2, num_ch, 9, 7, dtype=torch.float64)
    torch.testing.assert_close(merged(x), net(x))
    assert not merged.training
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_merged_layout_is_that_of_released_weights():
    layout = {key: value.shape for key, value in merge_batchnorm(DnCNN()).state_dict().items()}
    assert layout == {key: value.shape for key, value in DnCNN(norm='none').state_dict().items()}
    assert list(layout) == [f'model.{2 * i}.{kind}' for i in range(17) for kind in ('weight', 'bias')]


def test_nothing_to_merge():
    with pytest.raises(ValueError, match="net must be a DnCNN with norm='bn', got"):
        merge_batchnorm(DnCNN(norm='none'))
