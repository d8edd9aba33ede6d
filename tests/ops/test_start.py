"""How reverse convolutions start: laws of the kernels, lam and its logit."""

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from converse_basicsr.ops import Converse2D
from converse_basicsr.ops.start import KERNEL_LAWS, RECOMMENDED_LAM_INIT, initial_logit, lam_of

DOCUMENT = Path(__file__).parents[2] / 'docs/networks.md'
every_law = pytest.mark.parametrize('law', KERNEL_LAWS)


@every_law
@pytest.mark.parametrize('size', [1, 2, (3, 5)])
def test_a_law_draws_kernels_of_the_layers_shape_and_kind(law: str, size: int | tuple[int, int]) -> None:
    layer = Converse2D(6, 6, size, kernel_init=law)
    drawn = KERNEL_LAWS[law](layer.weight)
    assert (drawn.shape, drawn.dtype, drawn.device) == (layer.weight.shape, layer.weight.dtype, layer.weight.device)
    assert KERNEL_LAWS[law](layer.weight.double()).dtype == torch.float64
    assert KERNEL_LAWS[law](layer.weight.to('meta')).device.type == 'meta'


@every_law
def test_layers_draw_by_the_law_they_name(law: str) -> None:
    torch.manual_seed(1)
    layer = Converse2D(6, 6, 5, kernel_init=law)
    torch.manual_seed(1)
    assert torch.equal(layer.weight, KERNEL_LAWS[law](torch.empty(1, 6, 5, 5)))
    assert layer.weight.is_leaf


def test_the_laws_are_those_of_the_first_version() -> None:
    """The same numbers, and as many of them, so that a seed gives the same network."""
    first = {'normal': torch.Tensor.normal_, 'uniform': torch.Tensor.uniform_}
    for law in ('normal', 'uniform', 'softmax'):
        torch.manual_seed(2)
        expected = first.get(law, torch.Tensor.normal_)(torch.empty(1, 7, 5, 5))
        if law == 'softmax':
            expected = expected.flatten(-2).softmax(-1).view_as(expected)
        then = torch.rand(1)
        torch.manual_seed(2)
        assert torch.equal(Converse2D(7, 7, 5, kernel_init=law).weight, expected)
        assert torch.equal(torch.rand(1), then)


def test_unit_normal_kernels_have_a_norm_of_1_and_any_sum() -> None:
    torch.manual_seed(3)
    kernels = Converse2D(200, 200, 2, scale=2, kernel_init='unit_normal').weight
    torch.testing.assert_close(kernels.square().sum((-2, -1)), torch.ones(1, 200))
    assert abs(kernels.sum((-2, -1)).mean()) < 0.3 < kernels.sum((-2, -1)).std()


def test_small_normal_kernels_start_a_convolution_beside_the_identity() -> None:
    torch.manual_seed(7)
    layer = Converse2D(50, 50, 5, kernel_init='small_normal', lam_init=RECOMMENDED_LAM_INIT).double()
    torch.testing.assert_close(layer.weight.square().sum((-2, -1)).sqrt(), torch.full((1, 50), 0.1).double())
    x = torch.rand(2, 50, 12, 9).double()
    correlated = F.conv2d(F.pad(x, (2, 2, 2, 2), 'circular'), layer.weight.transpose(0, 1), groups=50)
    linear = x + correlated / RECOMMENDED_LAM_INIT
    error = (layer(x) - linear).square().mean() / (linear - x).square().mean()
    assert error < 0.2, 'what is left is of the order |K|^2 / lam'


@pytest.mark.parametrize('size', [1, 2, 3, 5, 8, (3, 7)])
def test_gabor_kernels_have_a_norm_of_1_and_differ(size: int | tuple[int, int]) -> None:
    torch.manual_seed(5)
    kernels = Converse2D(40, 40, size, kernel_init='gabor').weight[0]
    torch.testing.assert_close(kernels.square().sum((-2, -1)), torch.ones(40))
    if size != 1:
        assert len(kernels.round(decimals=3).unique(dim=0)) == 40


def test_gabor_kernels_reverse_a_band_and_leave_the_rest() -> None:
    """A filter starts at a gain of about 1 wherever its kernel passes little, and below 2.2 anywhere."""
    torch.manual_seed(6)
    layer = Converse2D(100, 100, 5, kernel_init='gabor', lam_init=RECOMMENDED_LAM_INIT)
    k = torch.fft.fft2(layer.weight, s=(32, 32))
    energy = k.abs().square().flatten(-2)
    strongest = energy.sort(-1, descending=True).values.cumsum(-1) / energy.sum(-1, keepdim=True)
    assert (strongest[..., energy.shape[-1] // 3] > 0.8).all()


def test_softmax_kernels_of_an_upsampler_learn_their_sum_alone_and_unit_normal_ones_more() -> None:
    """What docs/training.md derives: where the taps sum to 1, the gradient is the same for all of them."""
    for law, learns_all in (('softmax', False), ('unit_normal', True)):
        torch.manual_seed(4)
        layer = Converse2D(5, 5, 2, scale=2, kernel_init=law)
        (layer(torch.rand(1, 5, 6, 6)) * torch.rand(1, 5, 12, 12)).sum().backward()
        gradient = layer.weight.grad.flatten(-2)
        assert torch.allclose(gradient, gradient[..., :1].expand_as(gradient), rtol=1e-3) is not learns_all


@pytest.mark.parametrize('eps', [0.0, 1e-5, 1e-3])
@pytest.mark.parametrize('lam', [0.002, RECOMMENDED_LAM_INIT, 0.9])
def test_the_logit_gives_lam_back(lam: float, eps: float) -> None:
    logit = torch.tensor(initial_logit(lam, eps))
    assert lam_of(logit, eps).item() == pytest.approx(lam, rel=1e-4)
    assert lam_of(logit.half(), eps).dtype == torch.float32
    assert lam_of(logit.double(), eps).dtype == torch.float64


def test_the_papers_start_has_a_zero_logit() -> None:
    assert initial_logit(None, 1e-5) == 0
    assert lam_of(torch.zeros(1), 1e-5).item() == pytest.approx(1.334e-4, rel=1e-3)


@pytest.mark.parametrize('lam', [0, 1e-5, 1.1, -1, float('nan'), float('inf'), '0.1', True, [0.1]])
def test_what_is_no_lam_is_refused(lam: object) -> None:
    with pytest.raises(ValueError, match=r'lam_init must be between eps \(1e-05\) and 1 \+ eps, got '):
        Converse2D(2, 2, 3, lam_init=lam)


@pytest.mark.parametrize('law', ['ones', None, ['softmax'], ''])
def test_what_is_no_law_is_refused(law: object) -> None:
    with pytest.raises(ValueError, match=r"kernel_init must be one of \[.*'softmax', .*\], got "):
        Converse2D(2, 2, 3, kernel_init=law)


def test_the_document_names_every_law_and_no_other() -> None:
    (row,) = re.findall(r'^\| `kernel_init` \| (.*?) \|', DOCUMENT.read_text(encoding='utf-8'), re.MULTILINE)
    assert sorted(re.findall(r'`(\w+)`', row)) == sorted(KERNEL_LAWS)
