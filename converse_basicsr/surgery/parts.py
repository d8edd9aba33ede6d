"""The parts that replace the operators of a network; each starts as close to what it replaces as the operator can."""

import logging
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from converse_basicsr.archs.upscale import build_upsampler
from converse_basicsr.ops import Converse2D
from converse_basicsr.ops.converse2d import DEFAULT_EPS
from converse_basicsr.ops.float64 import for_float64
from converse_basicsr.ops.start import DEFAULT_KERNEL_INIT, RECOMMENDED_LAM_INIT, check_kernel_init, check_lam_init

# BasicSR's logger, by its name, so that the log file of a run says what was exchanged.
LOGGER = logging.getLogger('basicsr')

# Beyond its border the map is continued: with zeros, a positive feature map would get a dark frame.
PADDING_MODE = 'replicate'


def prime_steps(scale: int) -> list[int]:
    """The steps of an upsampling, small ones first: 4 -> [2, 2], 3 -> [3], 6 -> [2, 3]."""
    steps, factor = [], 2
    while scale > 1:
        if scale % factor:
            factor += 1
        else:
            steps.append(factor)
            scale //= factor
    return steps


@dataclass(frozen=True)
class Start:
    """How the reverse convolutions of a part start.

    Args:
        kernel_init: Law of the kernels (see ``Converse2D``).
        lam_init: Lam of all parts. None for 0.1, but in blocks, which come in by gains of zero, for the paper's: there
            it has measured better (docs/mixing.md).

    Raises:
        ValueError: If an argument is out of range.
    """

    kernel_init: str = DEFAULT_KERNEL_INIT
    lam_init: float | None = None

    def __post_init__(self) -> None:
        """Check the arguments, also those that the parts of a network happen not to need."""
        check_kernel_init(self.kernel_init)
        check_lam_init(self.lam_init, DEFAULT_EPS)

    @property
    def lam_without_gain(self) -> float:
        """Initial lam of operators whose output is used as it is, from the first iteration."""
        return RECOMMENDED_LAM_INIT if self.lam_init is None else self.lam_init

    def converse(self, num_feat: int, kernel_size: int | tuple[int, int], *, scale: int = 1, mode: str) -> Converse2D:
        """Build a reverse convolution that starts so."""
        return Converse2D(
            num_feat,
            num_feat,
            kernel_size,
            scale=scale,
            padding_mode=mode,
            kernel_init=self.kernel_init,
            lam_init=self.lam_without_gain,
        )


DEFAULT_START = Start()


def build_converse_upsampler(num_feat: int, scale: int, start: Start = DEFAULT_START) -> nn.Module:
    """Build reverse convolutions that upsample by ``scale``, one per prime step, with kernels as large as the step.

    A step of 2 starts exactly as nearest-neighbour upsampling, whatever lam is: softmax kernels, which sum to 1, make
    all its gains 1. Lam divides the gradient of its kernels by ``|kernel|^2 + lam``.

    Shape:
        - Input: ``(N, num_feat, H, W)``.
        - Output: ``(N, num_feat, scale * H, scale * W)``.
    """
    ups = [
        build_upsampler(
            num_feat,
            scale=step,
            operator='converse',
            padding_mode=PADDING_MODE,
            kernel_init=start.kernel_init,
            lam_init=start.lam_without_gain,
        )
        for step in prime_steps(scale)
    ]
    return ups[0] if len(ups) == 1 else nn.Sequential(*ups)


class ConvThenConverse(nn.Module):
    """A convolution, then upsampling by reverse convolution, in place of a convolution and ``PixelShuffle``.

    Its convolution starts with the mean of the original's filters over the phases, at once or when a checkpoint of the
    original is loaded. At scales that are powers of 2, where the operator starts as nearest-neighbour upsampling, every
    block of ``scale`` x ``scale`` output pixels then holds the mean of the original's output in that block.

    Args:
        conv: The convolution before ``PixelShuffle(scale)``.
        scale: Upsampling factor s.
        start: How the operators start.

    Shape:
        - Input: that of ``conv``, whose output ``(N, C s^2, H, W)`` the network shuffled.
        - Output: ``(N, C, s H, s W)``.
    """

    def __init__(self, conv: nn.Conv2d, scale: int, start: Start = DEFAULT_START) -> None:
        super().__init__()
        num_feat = conv.out_channels // scale**2
        self.scale = scale
        self.conv = _similar_conv(conv, num_feat)
        self.up = build_converse_upsampler(num_feat, scale, start)
        self.load_state_dict(conv.state_dict(), strict=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve, then upsample."""
        return self.up(self.conv(x))

    def _load_from_state_dict(self, state_dict: dict[str, torch.Tensor], prefix: str, *args: object) -> None:
        phases = self.scale**2
        shapes = {
            name: (phases * len(parameter), *parameter.shape[1:]) for name, parameter in self.conv.named_parameters()
        }
        if all(
            f'{prefix}{name}' in state_dict and state_dict[f'{prefix}{name}'].shape == shape
            for name, shape in shapes.items()
        ):
            for name in shapes:
                original = state_dict.pop(f'{prefix}{name}')
                state_dict[f'{prefix}conv.{name}'] = original.unflatten(0, (-1, phases)).mean(1)
            if prefix:
                LOGGER.info(f'{prefix}conv starts with the mean over the phases of {prefix}weight.')
        super()._load_from_state_dict(state_dict, prefix, *args)


class UpsampledConv2d(nn.Conv2d):
    """A convolution whose input, upsampled by nearest interpolation, is upsampled by Converse2D instead.

    The interpolation is in the code of the network and cannot be replaced; taking every ``scale``-th sample undoes it
    exactly. Weight and bias are those of the original and keep their names, so that checkpoints of the network load.

    Args:
        conv: The convolution that follows the interpolation.
        scale: Factor of the interpolation.
        start: How the operators start.

    Shape:
        - Input: ``(N, in_channels, scale * H, scale * W)``, constant in blocks of ``scale`` x ``scale``.
        - Output: that of the convolution.
    """

    def __init__(self, conv: nn.Conv2d, scale: int, start: Start = DEFAULT_START) -> None:
        super().__init__(conv.in_channels, conv.out_channels, **_geometry(conv))
        self.weight, self.bias = conv.weight, conv.bias
        self.scale = scale
        self.up = build_converse_upsampler(conv.in_channels, scale, start)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Undo the nearest interpolation, upsample by the reverse convolution, convolve."""
        return super().forward(self.up(x[..., :: self.scale, :: self.scale]))


class ConverseShuffle(nn.Module):
    r"""``PixelShuffle`` by reverse convolution: upsample every channel, then mix the ``scale ** 2`` of each output.

    It starts as ``PixelShuffle``, up to rounding, for every lam. A kernel whose taps lie within the block of their
    sample gives phase j the gain :math:`1 + k_j (1 - \sum k) / (\sum k^2 + \lambda)`. With one tap at b = 1/2 and the
    others at :math:`a = -1/2 - 2\lambda`, the gain is :math:`1 - b / a` at that phase and 0 elsewhere: zero insertion,
    times the gain, by which the mixing convolution divides. A scale that is not prime is made of prime steps.

    Args:
        num_out_ch: Channels C of the output.
        scale: Upsampling factor s.
        start: How the operators start; their kernels always do as above.

    Shape:
        - Input: ``(N, C s^2, H, W)``.
        - Output: ``(N, C, s H, s W)``.

    Raises:
        ValueError: If ``scale`` is below 2.

    Example:
        >>> x = torch.rand(1, 12, 5, 4)
        >>> torch.allclose(ConverseShuffle(3, 2)(x), nn.PixelShuffle(2)(x), atol=1e-5)
        True
    """

    def __init__(self, num_out_ch: int, scale: int, start: Start = DEFAULT_START) -> None:
        super().__init__()
        if scale < 2:
            raise ValueError(f'scale must be at least 2, got {scale}')
        self.num_out_ch = num_out_ch
        self.steps = prime_steps(scale)
        phases = scale**2
        self.up, self.mix = nn.ModuleList(), nn.ModuleList()
        for step in self.steps:
            # The centre is tap 2 (s - 1) // 2 = s - 1, so that taps 0 to s - 1 cover the block.
            size, channels = 2 * (step - 1), num_out_ch * phases
            up = start.converse(channels, size, scale=step, mode=PADDING_MODE)
            phases //= step**2
            mix = nn.Conv2d(channels, num_out_ch * phases, 1, groups=num_out_ch * phases, bias=False)
            _start_as_zero_insertion(up, mix)
            self.up.append(up)
            self.mix.append(mix)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Upsample and mix, step by step."""
        for i, (up, mix) in enumerate(zip(self.up, self.mix)):
            x = mix(up(self._phases_of_step_last(x, i)))
        return x

    def _phases_of_step_last(self, x: torch.Tensor, step: int) -> torch.Tensor:
        """Reorder the channels to (C, phases of later steps, phases of this step); earlier steps are done already."""
        here, later = self.steps[step], math.prod(self.steps[step + 1 :])
        if later == 1:
            return x
        n, _, h, w = x.shape
        x = x.reshape(n, self.num_out_ch, here, later, here, later, h, w)
        return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(n, -1, h, w)


@torch.no_grad()
def _start_as_zero_insertion(up: Converse2D, mix: nn.Conv2d) -> None:
    scale = up.scale
    # b (b - a) + a + lam = 0 makes the other gains 0. It has a solution for any b below 1; from 1/2 follow taps and a
    # gain of ordinary size for every lam.
    b, a = 0.5, -0.5 - 2 * for_float64(up.lam).double()
    rows, columns = torch.meshgrid(torch.arange(scale), torch.arange(scale), indexing='ij')
    channel = torch.arange(up.in_channels)
    row, column = rows.flatten()[channel % scale**2], columns.flatten()[channel % scale**2]
    up.weight.zero_()
    up.weight[..., :scale, :scale] = a.to(up.weight.dtype)
    up.weight[0, channel, scale - 1 - row, scale - 1 - column] = b
    gain = 1 - b / a.flatten()
    mix.weight.copy_((1 / gain).view(mix.out_channels, -1, 1, 1))


def replace_transposed(conv: nn.ConvTranspose2d, start: Start = DEFAULT_START) -> nn.Module:
    """Make the replacement of a transposed convolution with stride s whose output is s times as large as its input.

    It is a reverse convolution of the same kernel size. Unless the original is depthwise, a 1x1 convolution mixes the
    channels; it starts with the original's mean response to constant maps. It comes before the reverse convolution, but
    after it where the output is an image: the operator works channel by channel, and the few channels of an image could
    not carry the detail.

    Shape:
        ``(N, C_in, H, W)`` -> ``(N, C_out, s H, s W)``.
    """
    scale = conv.stride[0]
    mix_last = gives_image(conv.in_channels, conv.out_channels)
    num_feat = conv.in_channels if mix_last else conv.out_channels
    up = start.converse(num_feat, _kernel_size(conv), scale=scale, mode=PADDING_MODE)
    parts: dict[str, nn.Module] = {'up': up}
    if not conv.groups == conv.in_channels == conv.out_channels:
        mix = nn.Conv2d(conv.in_channels, conv.out_channels, 1, groups=conv.groups, bias=conv.bias is not None)
        with torch.no_grad():
            answers = conv.weight.sum((-2, -1)).unflatten(0, (conv.groups, -1)) / scale**2
            mix.weight.copy_(answers.transpose(1, 2).flatten(0, 1)[..., None, None])
            if conv.bias is not None:
                mix.get_parameter('bias').copy_(conv.bias)
        parts = {'up': up, 'conv': mix} if mix_last else {'conv': mix, 'up': up}
    return nn.Sequential(OrderedDict(parts))


def replace_depthwise(conv: nn.Conv2d, start: Start = DEFAULT_START) -> nn.Module:
    """Make the replacement of a depthwise convolution: a reverse convolution of its kernel size and padding mode.

    Shape:
        ``(N, C, H, W)`` -> ``(N, C, H, W)``.
    """
    mode = 'constant' if conv.padding_mode == 'zeros' else conv.padding_mode
    part = start.converse(conv.in_channels, _kernel_size(conv), mode=mode)
    # Inside a Sequential its keys differ from those of the original, whose shapes in a checkpoint would not fit.
    return nn.Sequential(OrderedDict(converse=part))


def gives_image(num_in_ch: int, num_out_ch: int) -> bool:
    """Whether a layer turns features into an image: its output has at most 4 channels, and fewer than its input."""
    return num_out_ch <= 4 and num_out_ch < num_in_ch


def _kernel_size(conv: nn.Conv2d | nn.ConvTranspose2d) -> tuple[int, int]:
    rows, columns = conv.kernel_size
    return rows, columns


def _geometry(conv: nn.Conv2d) -> dict[str, Any]:
    names = ('kernel_size', 'stride', 'padding', 'dilation', 'groups', 'padding_mode')
    return {name: getattr(conv, name) for name in names} | {'bias': conv.bias is not None}


def _similar_conv(conv: nn.Conv2d, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(conv.in_channels, out_channels, **_geometry(conv))
