"""Exchange operators of a network for reverse convolutions: find them, replace them, check that it still runs."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeGuard, TypeVar

import torch
from torch import nn

from converse_basicsr.blocks import ConverseBlock
from converse_basicsr.ops.start import DEFAULT_KERNEL_INIT
from converse_basicsr.surgery import parts
from converse_basicsr.surgery.dataflow import Dataflow, observe, run
from converse_basicsr.surgery.parts import LOGGER, Start

# Kernel size in the blocks that replace residual blocks: that of Converse-SRResNet (arXiv 2508.09824).
BLOCK_KERNEL_SIZE = 5

_Module = TypeVar('_Module', bound=nn.Module)


def replace(
    net: nn.Module,
    *,
    upsample: bool = True,
    depthwise: bool = False,
    conv3x3: bool = False,
    input_shape: Sequence[int] | None = None,
    kernel_init: str | None = None,
    lam_init: float | None = None,
) -> nn.Module:
    """Return a copy of a network with reverse convolutions in it; the network itself does not change.

    What is exchanged is logged (logger ``basicsr``). All other parameters keep their names, so that checkpoints of the
    original load with ``strict=False``, which reports the parts that they do not contain.

    Args:
        net: Any network with one input, BasicSR's or not, trained or new.
        upsample: Exchange the upsampling steps: PixelShuffle, nearest interpolation before a convolution,
            ``nn.Upsample`` of nearest mode, transposed convolutions whose output is stride times as large.
        depthwise: Exchange depthwise convolutions with stride 1 that keep the size, for reverse convolutions with the
            same kernel size and padding mode.
        conv3x3: Exchange residual blocks of two 3x3 convolutions (MSRResNet, EDSR) for ``ConverseBlock``, which starts
            as the identity.
        input_shape: Shape of the input on which the network is run once; if None, common ones are tried.
        kernel_init: Law of the initial kernels (see ``Converse2D``); None for softmax. Upsampling that starts as
            nearest does so with softmax kernels only; one that starts as PixelShuffle has kernels of its own.
        lam_init: Initial lam, in networks with upsampling steps above 1e-3; None for what suits each part: 0.1, and
            in blocks the paper's 1.3e-4.

    Returns:
        The changed copy, with the device, dtype and mode of the original.

    Raises:
        ValueError: If there is nothing to exchange, or the network cannot be run.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(8, 32, 3, padding=1), nn.PixelShuffle(2))
        >>> replace(net)[0].up
        Converse2D(8, 8, kernel_size=(2, 2), scale=2, padding=(2, 2), padding_mode='replicate', eps=0.001)
    """
    net = copy.deepcopy(net)
    exchange(
        net,
        upsample=upsample,
        depthwise=depthwise,
        conv3x3=conv3x3,
        input_shape=input_shape,
        kernel_init=kernel_init,
        lam_init=lam_init,
    )
    return net


def exchange(
    net: nn.Module,
    *,
    upsample: bool = True,
    depthwise: bool = False,
    conv3x3: bool = False,
    input_shape: Sequence[int] | None = None,
    kernel_init: str | None = None,
    lam_init: float | None = None,
) -> None:
    """Do in place what :func:`replace`, whose arguments it has, does to a copy.

    Raises:
        ValueError: As :func:`replace`. If the network does not run after the exchange, it remains changed.
    """
    asked = {'upsample': upsample, 'depthwise': depthwise, 'conv3x3': conv3x3}
    for name, is_wanted in asked.items():
        if not isinstance(is_wanted, bool):
            raise ValueError(f'{name} must be true or false, got {is_wanted!r}')
    wanted = [name for name, is_wanted in asked.items() if is_wanted]
    if not wanted:
        raise ValueError(f'one of {", ".join(asked)} must be true, or there is nothing to exchange')
    start = Start(DEFAULT_KERNEL_INIT if kernel_init is None else kernel_init, lam_init)
    flow, input_shape = observe(net, input_shape)
    names = {module: name for name, module in net.named_modules()}
    report: list[str] = []
    parts_of: dict[nn.Module, nn.Module] = {}
    for name in wanted:
        # A module is replaced once; the network itself cannot be replaced in place.
        found = [step for step in _SEARCHES[name](net, flow, start) if {net, *parts_of}.isdisjoint(step.parts)]
        for step in found:
            parts_of.update(step.parts)
            report.append(f'{" + ".join(names[module] for module in step.parts)}: {step.before} -> {step.after}')
        if not found:
            report.append(f'no {_SOUGHT[name]}')
    left = list(dict.fromkeys(flow.functional)) if upsample else []
    if not parts_of:
        raise ValueError(f'{type(net).__name__} has ' + '; '.join(report + [f'out of reach: {text}' for text in left]))
    for module, part in parts_of.items():
        _put(net, module, part)
    _check_it_runs(net, flow, input_shape)
    for line in report + [f'left as it is: {text}' for text in left]:
        LOGGER.info(f'Reverse convolution in {type(net).__name__}: {line}.')


_SOUGHT = {
    'upsample': (
        'upsampling step (PixelShuffle, nearest interpolation before a convolution, nn.Upsample of nearest mode, '
        'transposed convolution whose output is stride times as large)'
    ),
    'depthwise': 'depthwise convolution with stride 1 that keeps the size',
    'conv3x3': 'residual block of two 3x3 convolutions',
}


@dataclass
class _Exchange:
    """One exchange: the part that replaces each module, and what was there before and after, in words."""

    parts: dict[nn.Module, nn.Module]
    before: str
    after: str


def _put(net: nn.Module, module: nn.Module, part: nn.Module) -> None:
    """Replace a module by a part wherever it is registered; the part takes its mode, device and dtype."""
    like = next(chain(module.parameters(), net.parameters()), torch.empty(0))
    part.to(device=like.device, dtype=like.dtype).train(module.training)
    for parent in list(net.modules()):
        for name, child in parent._modules.items():
            if child is module:
                parent._modules[name] = part


def _check_it_runs(net: nn.Module, flow: Dataflow, input_shape: Sequence[int]) -> None:
    try:
        shapes = run(net, input_shape).shapes
    except Exception as error:  # a network may raise anything on the outputs of the new parts
        raise ValueError(f'{type(net).__name__} does not run with reverse convolutions: {error}') from error
    if shapes != flow.shapes:
        raise ValueError(f'{type(net).__name__} with reverse convolutions must give {flow.shapes}, got {shapes}')


def _is_plain(module: nn.Module | None, kind: type[_Module]) -> TypeGuard[_Module]:
    """Whether a module is exactly of a class, and no weight or spectral normalisation recomputes its weight."""
    if module is None or type(module) is not kind:
        return False
    return not module._forward_pre_hooks and not hasattr(module, 'parametrizations')


def _upsampling(net: nn.Module, flow: Dataflow, start: Start) -> Iterator[_Exchange]:
    for module in list(net.modules()):
        if flow.calls[module] == 0:
            continue
        if isinstance(module, nn.PixelShuffle):
            yield from _shuffle(module, flow, start)
        elif isinstance(module, nn.Upsample):
            yield from _enlargement(module, flow, start)
        elif _is_plain(module, nn.ConvTranspose2d):
            yield from _transposed(module, start)
        elif _is_plain(module, nn.Conv2d):
            yield from _interpolation(module, flow, start)


def _shuffle(shuffle: nn.PixelShuffle, flow: Dataflow, start: Start) -> Iterator[_Exchange]:
    scale = shuffle.upscale_factor
    sources = list(dict.fromkeys(flow.sources[shuffle]))
    convs = [source for source in sources if _only_feeds(source, shuffle, flow)]
    if len(convs) == len(sources):
        widths = sorted({conv.out_channels for conv in convs})
        yield _Exchange(
            {**{conv: parts.ConvThenConverse(conv, scale, start) for conv in convs}, shuffle: nn.Identity()},
            f'convolution to {_list(widths)} channels and PixelShuffle({scale})',
            f'convolution to {_list(width // scale**2 for width in widths)} channels and Converse2D x{scale}',
        )
    elif len(set(flow.channels[shuffle])) == 1:
        channels = flow.channels[shuffle][0]
        num_out_ch = channels // scale**2
        yield _Exchange(
            {shuffle: parts.ConverseShuffle(num_out_ch, scale, start)},
            f'PixelShuffle({scale}) of {channels} channels',
            f'Converse2D x{scale} of {channels} channels and 1x1 convolution to {num_out_ch}, started as PixelShuffle',
        )


def _only_feeds(conv: nn.Module | None, shuffle: nn.PixelShuffle, flow: Dataflow) -> TypeGuard[nn.Conv2d]:
    """Whether ``conv`` is a convolution all of whose outputs are shuffled, into features rather than an image."""
    if not _is_plain(conv, nn.Conv2d) or flow.calls[conv] != flow.sources[shuffle].count(conv):
        return False
    num_feat = conv.out_channels // shuffle.upscale_factor**2
    return num_feat % conv.groups == 0 and not parts.gives_image(conv.in_channels, num_feat)


def _list(numbers: Iterable[int]) -> str:
    return ' and '.join(map(str, numbers))


def _enlargement(module: nn.Upsample, flow: Dataflow, start: Start) -> Iterator[_Exchange]:
    if len(flow.enlarged[module]) == flow.calls[module] and len(set(flow.enlarged[module])) == 1:
        num_feat, scale = flow.enlarged[module][0]
        part = parts.build_converse_upsampler(num_feat, scale, start)
        yield _Exchange({module: part}, f'nearest upsampling x{scale}', f'Converse2D x{scale} of {num_feat} channels')


def _interpolation(conv: nn.Conv2d, flow: Dataflow, start: Start) -> Iterator[_Exchange]:
    scale = flow.interpolated[conv][0]
    if scale > 1 and set(flow.interpolated[conv]) == {scale}:
        yield _Exchange(
            {conv: parts.UpsampledConv2d(conv, scale, start)},
            f'nearest interpolation x{scale} and convolution',
            f'Converse2D x{scale} of {conv.in_channels} channels and the same convolution',
        )


def _transposed(conv: nn.ConvTranspose2d, start: Start) -> Iterator[_Exchange]:
    scale = conv.stride[0]
    # (H - 1) s - 2 p + k + output_padding is s H where k + output_padding - 2 p is s.
    padding = map(int, conv.padding)  # numbers: transposed convolutions take no padding by name
    grows = [k + o - 2 * p for k, o, p in zip(conv.kernel_size, conv.output_padding, padding)]
    if scale > 1 and conv.stride == (scale, scale) and conv.dilation == (1, 1) and grows == [scale, scale]:
        yield _Exchange(
            {conv: parts.replace_transposed(conv, start)},
            f'transposed convolution {conv.in_channels} -> {conv.out_channels} with stride {scale}',
            f'Converse2D x{scale} with kernels of {_size(conv)}'
            + ('' if conv.groups == conv.in_channels == conv.out_channels else ' and 1x1 convolution'),
        )


def _depthwise(net: nn.Module, flow: Dataflow, start: Start) -> Iterator[_Exchange]:
    for conv in list(net.modules()):
        if flow.calls[conv] == 0 or not _is_plain(conv, nn.Conv2d) or not flow.maps[conv]:
            continue
        is_depthwise = conv.groups == conv.in_channels == conv.out_channels > 1
        if is_depthwise and conv.stride == conv.dilation == (1, 1) and max(conv.kernel_size) > 1:
            size = _size(conv)
            part = parts.replace_depthwise(conv, start)
            yield _Exchange({conv: part}, f'depthwise convolution {size}', f'Converse2D with kernels of {size}')


def _size(conv: nn.Conv2d | nn.ConvTranspose2d) -> str:
    return ' x '.join(map(str, conv.kernel_size))


def _residual_blocks(net: nn.Module, flow: Dataflow, start: Start) -> Iterator[_Exchange]:
    blocks = [module for module in net.modules() if flow.maps.get(module) and _is_residual(module)]
    for block in blocks:
        # A container of a single block is such a map too: take the block itself.
        if not any(other is not block and other in blocks for other in block.modules()):
            num_feat = next(m for m in block.modules() if isinstance(m, nn.Conv2d)).in_channels
            part = ConverseBlock(
                num_feat,
                kernel_size=BLOCK_KERNEL_SIZE,
                padding_mode=parts.PADDING_MODE,
                kernel_init=start.kernel_init,
                lam_init=start.lam_init,
                alpha=True,
            )
            yield _Exchange({block: part}, 'residual block of two 3x3 convolutions', 'ConverseBlock')


def _is_residual(module: nn.Module) -> bool:
    """Whether a module is ``x + f(x)`` and all its parameters are those of two 3x3 convolutions of one width in f."""
    holders = [m for m in module.modules() if next(m.parameters(recurse=False), None) is not None]
    convs = [m for m in holders if _is_plain(m, nn.Conv2d)]
    if len(holders) != 2 or len(convs) != 2:
        return False
    width = convs[0].in_channels
    shapes = {tuple(conv.weight.shape) for conv in convs}
    if shapes != {(width, width, 3, 3)} or any(conv.stride != (1, 1) for conv in convs):
        return False
    # With convolutions that give zeros, a residual block is the identity.
    probe = copy.deepcopy(module).eval()
    with torch.no_grad():
        for parameter in probe.parameters():
            parameter.zero_()
        like = convs[0].weight
        x = torch.linspace(-1, 1, width * 64, dtype=like.dtype, device=like.device).view(1, width, 8, 8)
        return torch.equal(probe(x.clone()), x)


_SEARCHES = {'upsample': _upsampling, 'depthwise': _depthwise, 'conv3x3': _residual_blocks}
