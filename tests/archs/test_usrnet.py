import pytest
import torch
from torch import nn

from converse_basicsr.archs import USRNet


class KeepImage(nn.Module):
    """A prior that changes nothing: the network is then the data step's iteration alone."""

    def forward(self, x):
        return x[:, :-1]


def tiny(**options):
    torch.manual_seed(0)
    return USRNet(num_feat=2, num_block=1, num_iter=3, num_hidden=4, **options).double().eval()


def blur_matrix(kernel, height, width, scale):
    """Dense circular blur and decimation, built from its definition."""
    kh, kw = kernel.shape
    rows = []
    for i in range(0, height, scale):
        for j in range(0, width, scale):
            row = torch.zeros(height, width, dtype=torch.float64)
            for a in range(kh):
                for b in range(kw):
                    row[(i - a + kh // 2) % height, (j - b + kw // 2) % width] += kernel[a, b]
            rows.append(row.flatten())
    return torch.stack(rows)


@pytest.mark.parametrize('scale', [1, 2, 3])
def test_data_steps_are_the_least_squares_solutions(scale):
    net = tiny()
    net.p = KeepImage()
    x = torch.rand(1, 3, 4, 3, dtype=torch.float64)
    kernel = torch.rand(1, 1, 3, 5, dtype=torch.float64)
    matrix = blur_matrix(kernel[0, 0], 4 * scale, 3 * scale, scale)
    alphas, _ = net.predict_hyper(x, scale, 0.02)
    z = x.repeat_interleave(scale, -1).repeat_interleave(scale, -2).flatten(2).mT[0]
    y = x.flatten(2).mT[0]
    for alpha in alphas.flatten():
        left = matrix.T @ matrix + alpha * torch.eye(matrix.shape[1], dtype=torch.float64)
        z = torch.linalg.solve(left, matrix.T @ y + alpha * z)
    torch.testing.assert_close(net(x, kernel, scale, 0.02), z.mT.view(1, 3, 4 * scale, 3 * scale))


def test_hyper_parameters_are_positive_and_depend_on_noise_and_scale():
    net, x = tiny(), torch.rand(2, 3, 4, 4, dtype=torch.float64)
    hyper = net.predict_hyper(x, 1, torch.tensor([0.0, 0.1]))
    assert hyper.shape == (2, 3, 2, 1, 1, 1)
    assert (hyper > 0).all()
    assert not torch.allclose(hyper[:, :, 0], hyper[:, :, 1])
    assert not torch.allclose(hyper, net.predict_hyper(x, 2, torch.tensor([0.0, 0.1])))


@pytest.mark.parametrize(('height', 'width'), [(8, 16), (9, 7), (1, 3)])
def test_prior_pads_and_crops(height, width):
    net = tiny()
    x = torch.rand(1, 4, height, width, dtype=torch.float64)
    assert net.p(x).shape == (1, 3, height, width)
    padded = torch.nn.functional.pad(x, (0, -width % 8, 0, -height % 8), mode='replicate')
    torch.testing.assert_close(net.p(x), net.p(padded)[..., :height, :width])


def test_one_sigma_or_one_a_sample():
    net, x, kernel = tiny(), torch.rand(2, 3, 8, 8).double(), torch.full((1, 1, 3, 3), 1 / 9).double()
    expected = net(x, kernel, 1, 0.03)
    torch.testing.assert_close(net(x, kernel, 1, torch.full((2, 1, 1, 1), 0.03)), expected)
    assert not torch.allclose(net(x, kernel, 1, torch.tensor([0.03, 0.2]))[1], expected[1])
    with pytest.raises(ValueError, match=r'sigma must be one number or one per sample \(2\), got 3'):
        net(x, kernel, 1, torch.rand(3))


def test_bad_kernel_and_scale():
    net, x = tiny(), torch.rand(2, 3, 8, 8).double()
    with pytest.raises(ValueError, match=r'kernel must be of shape \(1 or 2, 1, kh, kw\), got \(3, 3\)'):
        net(x, torch.ones(3, 3).double())
    with pytest.raises(ValueError, match='scale must be a positive integer, got 0'):
        net(x, torch.ones(1, 1, 3, 3).double(), 0)
