import pytest
import torch
from devices import seeded

from converse_basicsr.archs import ConverseUSRNet
from converse_basicsr.ops import converse2d


def tiny(**options):
    torch.manual_seed(0)
    net = ConverseUSRNet(num_feat=4, num_block=1, num_iter=2, num_kernel_feat=3, **options).eval()
    torch.nn.init.normal_(net.kernelnet.fc3.weight, std=0.1)  # at the start it ignores the blur kernel
    return net


def kernels(batch):
    kernel = torch.rand(batch, 1, 7, 7, generator=seeded(1))
    return kernel / kernel.sum((-2, -1), keepdim=True)


@pytest.mark.parametrize('operator', ['conv', 'converse', 'convtranspose'])
@pytest.mark.parametrize('scale', [1, 2, 3])
def test_only_the_first_iteration_upsamples(operator, scale):
    net, seen = tiny(operator=operator), []
    net.d.register_forward_hook(lambda _, args, output: seen.append((args[2], output.shape[-2:])))
    assert net(torch.rand(2, 3, 6, 5), kernels(2), scale).shape == (2, 3, 6 * scale, 5 * scale)
    assert seen == [(scale, (6 * scale, 5 * scale)), (1, (6 * scale, 5 * scale))]


@pytest.mark.parametrize('operator', ['conv', 'converse', 'convtranspose'])
def test_at_the_start_nothing_is_reversed(operator):
    net = ConverseUSRNet(num_feat=4, num_block=2, num_iter=3, operator=operator)
    x = torch.rand(2, 3, 9, 8)
    torch.testing.assert_close(net(x, kernels(2)), net.conv2(net.conv1(x)), atol=1e-5, rtol=1e-5)
    net(x, kernels(2)).square().mean().backward()
    gradients = net.kernelnet.fc3.weight.grad.unflatten(0, net.kernelnet.shape)
    assert not torch.allclose(gradients[0], gradients[1])  # the predicted kernels come apart


def test_data_step_solves_with_a_floor_under_lam():
    net = tiny().double()
    torch.nn.init.normal_(net.d.alpha, 5, 3)
    x, kernel = torch.rand(2, 4, 6, 5, dtype=torch.float64), torch.rand(2, 4, 7, 7, dtype=torch.float64)
    lam = 1 / (1 + torch.exp(9 - net.d.alpha)) + 1e-3
    torch.testing.assert_close(net.d(x, kernel, 2), converse2d(x, kernel, lam, 2))


def test_one_kernel_serves_the_batch():
    net, x = tiny(), torch.rand(3, 3, 6, 5)
    torch.testing.assert_close(net(x, kernels(1)), net(x, kernels(1).expand(3, -1, -1, -1)), atol=1e-5, rtol=1e-4)


def test_kernel_is_neither_flipped_nor_transposed():
    net, x = tiny(), torch.rand(1, 3, 6, 5)
    seen, kernel = [], kernels(1)
    net.kernelnet.fc1.register_forward_hook(lambda _, args, __: seen.append(args[0]))
    net(x, kernel)
    assert torch.equal(seen[0], kernel.flatten(1))


@pytest.mark.parametrize('shape', [(7, 7), (2, 1, 5, 5), (2, 3, 7, 7), (4, 1, 7, 7)])
def test_kernel_of_another_shape(shape):
    with pytest.raises(ValueError, match=r'kernel must be of shape \(1 or 2, 1, 7, 7\), got'):
        tiny()(torch.rand(2, 3, 6, 5), torch.ones(shape))


@pytest.mark.parametrize('scale', [0, 1.5])
def test_bad_scale(scale):
    with pytest.raises(ValueError, match='scale must be a positive integer, got'):
        tiny()(torch.rand(2, 3, 6, 5), kernels(2), scale)
