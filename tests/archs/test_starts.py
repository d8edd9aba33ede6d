"""Where the networks start: as they always did unless told otherwise, and with each lam as its argument says."""

import pytest
import torch
import torch.nn.functional as F

from converse_basicsr import archs
from converse_basicsr.archs.converse_usrnet import ConverseDataStep
from converse_basicsr.archs.upscale import build_upsampler
from converse_basicsr.ops import Converse2D
from converse_basicsr.ops.start import KERNEL_LAWS

SMALL = {'num_feat': 4, 'num_block': 2}
# network, arguments -> a weighted sum of its parameters, and the next random number, both recorded before the starts
# could be chosen: seed 0 gives the same network as ever, and leaves the generator where it ever did
RECORDED = [
    ('ConverseDnCNN', {}, 20.050689110670938, 0.34265756607055664),
    ('ConverseDnCNN', {'kernel_init': 'normal'}, 16.138864648202436, 0.34265756607055664),
    ('ConverseDnCNN', {'kernel_init': 'uniform'}, 111.85758539818809, 0.635556161403656),
    ('ConverseDnCNN', {'lam_init': 0.1}, 81.27466763011063, 0.34265756607055664),
    ('ConverseNet', {}, 15.465270024634568, 0.8091306686401367),
    ('ConverseNet', {'operator': 'conv'}, 8.308100764842592, 0.44563496112823486),
    ('ConverseSRResNet', {}, 48.21361470088741, 0.721687376499176),
    ('ConverseSRResNet', {'kernel_init': 'uniform'}, 283.44132898153254, 0.36588507890701294),
    ('ConverseSRResNet', {'lam_init': 0.1}, 201.27356099948665, 0.721687376499176),
    ('ConverseUSRNet', {'num_iter': 2}, 34.199492291317775, 0.3372495770454407),
    ('ConverseUSRNet', {'num_iter': 2, 'lam_init': 0.1}, 95.42347081075746, 0.3372495770454407),
    ('ConverseUSRNet', {'num_iter': 2, 'operator': 'conv'}, 28.952494537296655, 0.19237971305847168),
    ('ConverseUpSRResNet', {'upscale': 3}, 1.9919530778425996, 0.7867333889007568),
    ('ConverseUpSRResNet', {'upscale': 3, 'lam_init': 0.1}, 18.970989409019356, 0.7867333889007568),
]


@pytest.mark.parametrize(('name', 'options', 'total', 'then'), RECORDED)
def test_a_seed_gives_the_network_that_it_always_gave(
    name: str, options: dict[str, object], total: float, then: float
) -> None:
    with torch.device('cpu'):  # generators of other devices draw other numbers
        torch.manual_seed(0)
        net = getattr(archs, name)(**SMALL, **options)
        assert torch.rand(1).item() == pytest.approx(then, abs=1e-6)
    weighted = 0.0
    for value in net.state_dict().values():
        places = torch.arange(1, value.numel() + 1).view_as(value)
        weighted += float((value.double() * places / value.numel()).sum())
    assert weighted == pytest.approx(total, rel=1e-5)


def test_each_lam_starts_where_its_own_argument_says() -> None:
    net = archs.ConverseSRResNet(**SMALL, lam_init=0.05, up_lam_init=0.2)
    lams = {name: module.lam for name, module in net.named_modules() if isinstance(module, Converse2D)}
    assert len(lams) == 7
    for name, lam in lams.items():
        torch.testing.assert_close(lam, torch.full_like(lam, 0.2 if name in ('up1', 'up2') else 0.05))
    net = archs.ConverseUSRNet(**SMALL, num_iter=1, lam_init=0.05, data_lam_init=0.2)
    torch.testing.assert_close(net.d.lam, torch.full((1, 4, 1, 1), 0.2))
    torch.testing.assert_close(net.p.m_body[0].conv1[3].lam, torch.full((1, 8, 1, 1), 0.05))


@pytest.mark.parametrize('law', KERNEL_LAWS)
def test_the_upsamplers_kernels_can_have_a_law_of_their_own(law: str) -> None:
    """That of the blocks where they have none."""
    for given, of_blocks, of_upsamplers in (
        ({'kernel_init': 'normal', 'up_kernel_init': law}, 'normal', law),
        ({'up_kernel_init': law}, 'softmax', law),
        ({'kernel_init': law}, law, law),
    ):
        net = archs.ConverseSRResNet(**SMALL, **given)
        for name, module in net.named_modules():
            if isinstance(module, Converse2D):
                assert module.kernel_init == (of_upsamplers if name in ('up1', 'up2') else of_blocks)
    with pytest.raises(ValueError, match=r"^up_kernel_init must be one of .*, got 'x'"):
        archs.ConverseSRResNet(**SMALL, up_kernel_init='x')
    with pytest.raises(ValueError, match=r"^up_kernel_init must be left out for operator 'conv'"):
        archs.ConverseSRResNet(**SMALL, up_kernel_init=law, operator='conv')


@pytest.mark.parametrize(
    ('name', 'argument'), [('ConverseSRResNet', 'up_lam_init'), ('ConverseUSRNet', 'data_lam_init')]
)
def test_mistakes_name_the_argument(name: str, argument: str) -> None:
    cls = getattr(archs, name)
    for value in (1e-3, 1.1, 5e-4, float('nan'), 'x'):
        with pytest.raises(ValueError, match=rf'^{argument} must be between eps \(0.001\) and 1 \+ eps, got '):
            cls(**SMALL, **{argument: value})
    for operator in ('conv', 'convtranspose'):
        with pytest.raises(ValueError, match=f"{argument} must be left out for operator '{operator}'"):
            cls(**SMALL, operator=operator, **{argument: 0.1})
        cls(**SMALL, operator=operator)


@pytest.mark.parametrize('lam', [None, 0.002, 0.1, 0.9])
def test_an_upsampler_of_2_starts_as_nearest_and_lam_divides_its_gradient(lam: float | None) -> None:
    torch.manual_seed(0)
    up = build_upsampler(3, scale=2, operator='converse', padding_mode='replicate', lam_init=lam)
    x = torch.randn(1, 3, 5, 4)
    torch.testing.assert_close(up(x), F.interpolate(x, scale_factor=2, mode='nearest'))
    towards = torch.randn(1, 3, 10, 8)
    (up(x) * towards).sum().backward()
    # Phase j has the gain 1 + k_j (1 - sum k) / (|k|^2 + lam); each tap's gradient is the same, as only the sum acts.
    k = up.weight.detach().flip(-2, -1)
    blocks = (towards * F.interpolate(x, scale_factor=2, mode='nearest')).unflatten(-2, (5, 2)).unflatten(-1, (4, 2))
    expected = -(blocks.sum((2, 4)) * k).sum((-2, -1), keepdim=True) / (k.square().sum((-2, -1), keepdim=True) + up.lam)
    torch.testing.assert_close(up.weight.grad, expected.expand_as(k), atol=1e-4, rtol=1e-4)
    # lam itself learns only from where the kernels have left the sum of 1.
    assert up.bias.grad.abs().max() < 1e-5


@pytest.mark.parametrize('lam', [None, 0.1, 0.9])
def test_the_data_step_starts_as_the_identity(lam: float | None) -> None:
    net = archs.ConverseUSRNet(**SMALL, num_iter=1, data_lam_init=lam)
    kernels = net.convs[0](net.kernelnet(torch.rand(1, 1, 7, 7)))
    x = torch.randn(1, 4, 8, 9)
    torch.testing.assert_close(net.d(x, kernels, 1), x, atol=1e-5, rtol=1e-5)
    # Where a kernel loses frequencies, lam limits what is amplified: to (1 + sqrt(1 + 1 / lam)) / 2.
    blur = torch.ones(1, 4, 7, 7) / 49
    noise = torch.randn(1, 4, 21, 21)
    gain = torch.fft.fft2(net.d(noise, blur, 1)).abs() / torch.fft.fft2(noise).abs()
    bound = (1 + (1 + 1 / net.d.lam.max()).sqrt()) / 2
    assert gain.max() < 1.001 * bound


def test_the_lam_of_the_data_step_is_exact_in_half_precision() -> None:
    step = ConverseDataStep(2, lam_init=0.1).half()
    assert step.lam.dtype == torch.float32
    assert step.lam.flatten()[0].item() == pytest.approx(0.1, rel=5e-3)
