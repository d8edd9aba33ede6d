"""Exchanging operators in whole networks: BasicSR's and a few that hold what BasicSR's do not."""

import copy
import logging
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from devices import assert_identical, seeded
from torch import nn

import converse_basicsr
from converse_basicsr.blocks import ConverseBlock
from converse_basicsr.ops import Converse2D
from converse_basicsr.surgery import ConverseShuffle, ConvThenConverse, UpsampledConv2d, replace

SWINIR = {'type': 'SwinIR', 'img_size': 16, 'embed_dim': 12, 'depths': [1], 'num_heads': [2], 'window_size': 8}
# network -> options, and the parts that come in, in order
NETWORKS: dict[str, tuple[dict[str, Any], list[type[nn.Module]]]] = {
    'EDSR x2': ({'type': 'EDSR', 'num_in_ch': 3, 'num_out_ch': 3, 'upscale': 2}, [ConvThenConverse]),
    'EDSR x3': ({'type': 'EDSR', 'num_in_ch': 3, 'num_out_ch': 3, 'upscale': 3}, [ConvThenConverse]),
    'EDSR x4': ({'type': 'EDSR', 'num_in_ch': 3, 'num_out_ch': 3, 'upscale': 4}, [ConvThenConverse] * 2),
    'RCAN x4': (
        {'type': 'RCAN', 'num_in_ch': 3, 'num_out_ch': 3, 'num_group': 1, 'num_feat': 16, 'upscale': 4},
        [ConvThenConverse] * 2,
    ),
    'MSRResNet x3': ({'type': 'MSRResNet', 'upscale': 3}, [ConvThenConverse]),
    'MSRResNet x4': ({'type': 'MSRResNet', 'upscale': 4}, [ConvThenConverse] * 2),
    'RRDBNet x1': ({'type': 'RRDBNet', 'num_in_ch': 3, 'num_out_ch': 3, 'scale': 1}, [UpsampledConv2d] * 2),
    'RRDBNet x2': ({'type': 'RRDBNet', 'num_in_ch': 3, 'num_out_ch': 3, 'scale': 2}, [UpsampledConv2d] * 2),
    'RRDBNet x4': ({'type': 'RRDBNet', 'num_in_ch': 3, 'num_out_ch': 3, 'scale': 4}, [UpsampledConv2d] * 2),
    'RRDBNet gray': ({'type': 'RRDBNet', 'num_in_ch': 1, 'num_out_ch': 1, 'scale': 4}, [UpsampledConv2d] * 2),
    'SwinIR pixelshuffle x3': ({**SWINIR, 'upscale': 3, 'upsampler': 'pixelshuffle'}, [ConvThenConverse]),
    'SwinIR pixelshuffle x4': ({**SWINIR, 'upscale': 4, 'upsampler': 'pixelshuffle'}, [ConvThenConverse] * 2),
    'SwinIR direct x2': ({**SWINIR, 'upscale': 2, 'upsampler': 'pixelshuffledirect'}, [ConverseShuffle]),
    'SwinIR direct x3': ({**SWINIR, 'upscale': 3, 'upsampler': 'pixelshuffledirect'}, [ConverseShuffle]),
    'SwinIR nearest': ({**SWINIR, 'upscale': 4, 'upsampler': 'nearest+conv'}, [UpsampledConv2d] * 2),
    'SRVGGNetCompact x4': ({'type': 'SRVGGNetCompact', 'num_conv': 1, 'upscale': 4}, [ConverseShuffle]),
    'ECBSR x2': (
        {
            'type': 'ECBSR',
            'num_in_ch': 3,
            'num_out_ch': 3,
            'num_block': 1,
            'num_channel': 8,
            'with_idt': True,
            'act_type': 'prelu',
            'scale': 2,
        },
        [ConverseShuffle],
    ),
    'EDVR': ({'type': 'EDVR', 'num_extract_block': 1, 'num_reconstruct_block': 1}, [ConvThenConverse] * 2),
}
SIZES = {'num_feat': 8, 'num_block': 2, 'num_grow_ch': 4}
every_network = pytest.mark.parametrize('name', NETWORKS)


def build(name: str) -> nn.Module:
    converse_basicsr.register()
    from basicsr.archs import build_network
    from basicsr.utils.registry import ARCH_REGISTRY

    options, _ = NETWORKS[name]
    arch = dict(iter(ARCH_REGISTRY)).get(options['type']) or ARCH_REGISTRY.get(f'{options["type"]}_basicsr')
    sizes = {key: value for key, value in SIZES.items() if key in arch.__init__.__code__.co_varnames}
    torch.manual_seed(0)
    with torch.device('cpu'):  # some of BasicSR's networks can be made there only
        net = build_network({**sizes, **options})
    return net.to(torch.get_default_device())


def image(name: str) -> torch.Tensor:
    channels = NETWORKS[name][0].get('num_in_ch', 3)
    shape = (1, 5, channels, 16, 24) if name == 'EDVR' else (1, channels, 16, 24)
    return torch.rand(shape, generator=seeded(1))


def parts(net: nn.Module) -> list[type[nn.Module]]:
    return [type(m) for m in net.modules() if isinstance(m, (ConvThenConverse, ConverseShuffle, UpsampledConv2d))]


@every_network
def test_it_exchanges_every_step_and_nothing_else(name: str) -> None:
    net = build(name).eval()
    state, x = copy.deepcopy(net.state_dict()), image(name)
    with torch.no_grad():
        before = net(x)
        new = replace(net)
        after = new(x)
        assert_identical(net(x), before)
    assert all(torch.equal(net.state_dict()[key], value) for key, value in state.items())
    assert not new.training
    assert parts(new) == NETWORKS[name][1]
    assert not any(isinstance(m, nn.PixelShuffle) for m in new.modules())
    assert after.shape == before.shape
    if ConvThenConverse not in NETWORKS[name][1]:
        torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-4)


@every_network
def test_it_exchanges_on_the_device_of_the_network(name: str, device: torch.device) -> None:
    net = build(name).eval()
    with torch.device('cpu'):  # the default, where no test sets another
        new = replace(net)
    assert {p.device.type for p in new.parameters()} == {device.type}
    other = replace(net)
    other.load_state_dict(new.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(new(image(name)), other(image(name)))


@every_network
def test_every_parameter_gets_a_gradient(name: str) -> None:
    net = build(name).train()
    new = replace(net)
    assert new.training
    for network in (net, new):
        network(image(name)).square().sum().backward()

    def silent(network: nn.Module) -> set[str]:
        return {key for key, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0}

    assert silent(new) <= silent(net)


@every_network
def test_all_other_parameters_keep_their_names(name: str) -> None:
    net = build(name)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.01 * torch.randn_like(p))
    new = replace(build(name))
    keys = new.load_state_dict(net.state_dict(), strict=False)
    assert keys.unexpected_keys == []
    assert all('.up.' in key or '.mix.' in key for key in keys.missing_keys)
    other = replace(net)
    other.load_state_dict(new.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(other.eval()(image(name)), new.eval()(image(name)))


@every_network
def test_a_checkpoint_decides_whatever_the_start(name: str) -> None:
    """Networks of earlier versions started with lam of a zero logit; their files load and restore as they did."""
    net = build(name).eval()
    earlier = replace(net, lam_init=1.1234e-3)
    new = replace(net)
    assert {key: value.shape for key, value in new.state_dict().items()} == {
        key: value.shape for key, value in earlier.state_dict().items()
    }
    assert any(not torch.equal(value, new.state_dict()[key]) for key, value in earlier.state_dict().items())
    new.load_state_dict(earlier.state_dict(), strict=True)
    with torch.no_grad():
        assert_identical(new(image(name)), earlier(image(name)))


@pytest.mark.slow
@pytest.mark.parametrize('name', ['EDSR x3', 'MSRResNet x4', 'RRDBNet x4', 'SRVGGNetCompact x4'])
def test_it_compiles_to_one_graph(name: str) -> None:
    net = replace(build(name)).eval()
    if name.startswith('EDSR'):
        net.mean = net.mean.clone()  # its forward assigns to it
    with torch.no_grad():
        compiled = torch.compile(net, fullgraph=True, backend='aot_eager')
        torch.testing.assert_close(compiled(image(name)), net(image(name)), atol=1e-5, rtol=1e-4)


def test_weights_statistics_and_random_state_stay() -> None:
    net = nn.Sequential(nn.Conv2d(3, 48, 3, padding=1), nn.BatchNorm2d(48), nn.Dropout(), nn.PixelShuffle(2)).train()
    before, random_state = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    with pytest.raises(ValueError, match='has no depthwise'):
        replace(net, upsample=False, depthwise=True)
    assert all(torch.equal(net.state_dict()[key], value) for key, value in before.items())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(m.training for m in net.modules())


class Everything(nn.Module):
    """What the networks of BasicSR do not hold: depthwise and transposed convolutions, modules used in several ways."""

    def __init__(self) -> None:
        super().__init__()
        self.dw = nn.Conv2d(8, 8, 5, padding=2, groups=8, padding_mode='reflect')
        self.dw_strided = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8)
        self.up = nn.Upsample(scale_factor=2)
        self.bilinear = nn.Upsample(scale_factor=2, mode='bilinear')
        self.deconv = nn.ConvTranspose2d(8, 4, 4, 2, 1)
        self.valid_deconv = nn.ConvTranspose2d(8, 4, 3, 2)
        self.after = nn.Conv2d(8, 8, 3, padding=1)
        self.alias = self.up
        self.head = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        x = self.dw(self.head(x))
        small = self.dw_strided(x)
        twice = self.after(F.interpolate(small, scale_factor=2)) + self.after(x)
        return [self.alias(small), self.bilinear(small), self.deconv(x), self.valid_deconv(x), twice]


def test_it_takes_what_fits_and_leaves_the_rest() -> None:
    net = Everything()
    new = replace(net, depthwise=True)
    assert isinstance(new.dw.converse, Converse2D)
    assert isinstance(new.up, Converse2D)
    assert new.up is new.alias
    assert isinstance(new.deconv.up, Converse2D)
    for name in ('dw_strided', 'bilinear', 'valid_deconv', 'after', 'head'):
        assert type(getattr(new, name)) is type(getattr(net, name))
    x = torch.rand(1, 3, 16, 20)
    assert [y.shape for y in new(x)] == [y.shape for y in net(x)]


def test_depthwise_alone_leaves_the_upsampling() -> None:
    new = replace(Everything(), upsample=False, depthwise=True)
    assert isinstance(new.up, nn.Upsample)
    assert isinstance(new.dw.converse, Converse2D)


def test_normalised_convolutions_are_left() -> None:
    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 48, 3, padding=1))
    new = replace(nn.Sequential(conv, nn.PixelShuffle(2)))
    assert type(new[0]) is type(conv)
    assert isinstance(new[1], ConverseShuffle)


@pytest.mark.parametrize('name', ['MSRResNet x4', 'EDSR x2'])
def test_residual_blocks_become_converse_blocks(name: str) -> None:
    net = build(name).eval()
    new = replace(net, upsample=False, conv3x3=True)
    assert [type(block) for block in new.body] == [ConverseBlock] * 2
    assert sum(isinstance(m, nn.PixelShuffle) for m in new.modules()) == 1
    # The blocks start as the identity.
    net.body = nn.Identity()
    with torch.no_grad():
        torch.testing.assert_close(new(image(name)), net(image(name)))


@pytest.mark.parametrize(('lam_init', 'of_blocks', 'of_others'), [(None, None, 0.1), (0.3, 0.3, 0.3)])
def test_the_start_reaches_blocks_and_depthwise_convolutions(
    lam_init: float | None, of_blocks: float | None, of_others: float
) -> None:
    start = {'lam_init': lam_init, 'kernel_init': 'normal'}
    for net, expected in (
        (replace(build('EDSR x2'), upsample=False, conv3x3=True, **start), of_blocks),
        (replace(Everything(), depthwise=True, **start), of_others),
    ):
        operators = [module for module in net.modules() if isinstance(module, Converse2D)]
        assert operators
        assert {(one.kernel_init, one.lam_init) for one in operators} == {('normal', expected)}


def test_a_chain_of_two_convolutions_is_no_residual_block() -> None:
    chain = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1))
    with pytest.raises(ValueError, match='Sequential has no residual block of two 3x3 convolutions'):
        replace(nn.Sequential(chain), upsample=False, conv3x3=True)


def test_the_log_says_what_was_exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(logging.getLogger('basicsr'), 'info', lines.append)
    replace(build('SRVGGNetCompact x4'), depthwise=True)
    shuffle, depthwise, left = lines[-3:]
    assert shuffle.startswith(
        'Reverse convolution in SRVGGNetCompact: upsampler: PixelShuffle(4) of 48 channels -> Conv'
    )
    assert depthwise.endswith('no depthwise convolution with stride 1 that keeps the size.')
    assert left.endswith('left as it is: nearest interpolation in the network whose output no convolution takes.')


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.pixel_shuffle(self.conv(x), 2)


class Picky(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(5, 20, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[-1] != 40:
            raise RuntimeError('40 columns, please')
        return self.net(x)


@pytest.mark.parametrize(
    ('net', 'options', 'message'),
    [
        (nn.Conv2d(3, 3, 3), {}, 'Conv2d has no upsampling step'),
        (nn.ConvTranspose2d(3, 3, 4, 2, 1), {}, 'ConvTranspose2d has no upsampling step'),
        (Functional(), {}, 'out of reach: functional pixel_shuffle in the network'),
        (Picky(), {}, r'Picky must run on one input.*40 columns, please\); give input_shape'),
        (Picky(), {'input_shape': (1, 5, 8, 8)}, r'does not on the shapes \[\(1, 5, 8, 8\)\]'),
        (Picky(), {'upsample': False}, 'one of upsample, depthwise, conv3x3 must be true'),
        (Picky(), {'upsample': 'yes'}, "upsample must be true or false, got 'yes'"),
        (Picky(), {'lam_init': 2}, r'lam_init must be between eps \(1e-05\) and 1 \+ eps, got 2'),
        (Picky(), {'kernel_init': 'x'}, "kernel_init must be one of .*, got 'x'"),
    ],
)
def test_refusals(net: nn.Module, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(net, **options)


def test_an_input_shape_can_be_given() -> None:
    new = replace(Picky(), input_shape=(1, 5, 8, 40))
    assert new(torch.rand(1, 5, 6, 40)).shape == (1, 5, 12, 80)


class AlsoRead(nn.Module):
    """The output of its convolution goes to another place as well."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.conv = nn.Conv2d(3, 64, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        feat = self.conv(x)
        return self.shuffle(feat), feat.unflatten(1, (self.channels, -1))


@pytest.mark.parametrize(
    ('channels', 'message'), [(1, 'AlsoRead with reverse convolutions must give'), (64, 'AlsoRead does not run with')]
)
def test_a_network_that_needs_the_exchanged_part_is_refused(channels: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(AlsoRead(channels))


@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16])
def test_parts_take_the_dtype_of_the_network(dtype: torch.dtype) -> None:
    new = replace(build('EDSR x2').to(dtype))
    assert {p.dtype for p in new.parameters()} == {dtype}
