"""Find the reverse convolutions of a network and measure them."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from converse_basicsr.archs.converse_usrnet import DATA_EPS, ConverseDataStep
from converse_basicsr.errors import ArgumentError, UserError
from converse_basicsr.inspection.filters import GRID, Filters, measure
from converse_basicsr.ops import Converse2D

MAX_GRID = 512
"""Grids beyond it take minutes a layer and show nothing that this one does not."""

SLOPE = 0.1
"""A logit is saturated where the slope of ln lam over it, 1 where it learns best, is below this: lam is then within a
tenth of its lower bound, or above nine tenths of its range, and hardly moves whatever the gradient."""

_SHOWN = 3


@dataclass(frozen=True)
class Layer:
    """A reverse convolution of C channels.

    Attributes:
        name: Its name among the network's modules.
        scale: Upsampling factor.
        lam: The regularisation weights, (C,), float64.
        saturated: Channels whose lam hardly learns, (C,), bool.
        filters: What its filters do; None where they depend on a kernel that is not known.
    """

    name: str
    scale: int
    lam: torch.Tensor
    saturated: torch.Tensor
    filters: Filters | None


@torch.no_grad()
def inspect_network(net: nn.Module, *, grid: int = GRID, call: Callable[[], object] | None = None) -> list[Layer]:
    """Measure every reverse convolution of a network, in the order of its modules.

    Args:
        net: The network; nothing of it is changed.
        grid: Side of the grid of samples on which filters are measured.
        call: Runs the network once, on any image, so that data steps (``ConverseDataStep``) are measured with the
            kernels that they are given; a data step that is used n times makes n layers. Without it only their lam is.

    Raises:
        ArgumentError: If the grid is out of range.
        UserError: If there is no reverse convolution, or one whose filters are not finite.

    Example:
        >>> from converse_basicsr.archs import ConverseDnCNN
        >>> layers = inspect_network(ConverseDnCNN(num_feat=4, num_block=1))
        >>> [(layer.name, len(layer.lam)) for layer in layers]
        [('m_body.0.conv1.3', 8)]
    """
    if not 1 <= grid <= MAX_GRID:
        raise ArgumentError(f'grid must be between 1 and {MAX_GRID}, got {grid}')
    given = _given_kernels(net, call)
    layers: list[Layer] = []
    for name, module in net.named_modules():
        name = name or type(module).__name__
        if isinstance(module, Converse2D):
            layers.append(_measure(name, module.weight, module.lam, module.eps, module.scale, grid))
        elif isinstance(module, ConverseDataStep):
            calls = given.get(module, [(None, 1)])
            for number, (kernel, scale) in enumerate(calls, 1):
                title = name if len(calls) == 1 else f'{name} ({number})'
                layers.append(_measure(title, kernel, module.lam, DATA_EPS, scale, grid))
    if not layers:
        raise UserError(f'{type(net).__name__} has no reverse convolution, so there is nothing to inspect')
    if bad := [layer.name for layer in layers if not _is_finite(layer)]:
        names = ', '.join(bad[:_SHOWN]) + (f' and {len(bad) - _SHOWN} more' if len(bad) > _SHOWN else '')
        raise UserError(f'the weights or filters of {names} hold infinity or NaN: inspect an earlier checkpoint')
    return layers


def _measure(name: str, kernel: torch.Tensor | None, lam: torch.Tensor, eps: float, scale: int, grid: int) -> Layer:
    lam = lam.detach().cpu().double().flatten()  # in this order: not every device has float64
    learned = (lam - eps).clamp(0, 1)  # lam is sigmoid + eps: d ln lam / d logit is p (1 - p) / lam
    saturated = learned * (1 - learned) <= SLOPE * lam
    filters = None if kernel is None else measure(kernel.detach().cpu().double()[0], lam, scale, grid)
    return Layer(name, scale, lam, saturated, filters)


def _is_finite(layer: Layer) -> bool:
    tensors = [layer.lam]
    if layer.filters is not None:
        tensors += [layer.filters.kernel, layer.filters.rms, layer.filters.peak]
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


def _given_kernels(
    net: nn.Module, call: Callable[[], object] | None
) -> dict[nn.Module, list[tuple[torch.Tensor, int]]]:
    """Run the network and note the kernel and the scale of each call of its data steps."""
    given: dict[nn.Module, list[tuple[torch.Tensor, int]]] = {}

    def note(module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        bound = inspect.signature(module.forward).bind(*args, **kwargs).arguments
        given.setdefault(module, []).append((bound['kernel'], bound['scale']))

    steps = [module for module in net.modules() if isinstance(module, ConverseDataStep)]
    if call is not None and steps:
        hooks = [step.register_forward_pre_hook(note, with_kwargs=True) for step in steps]
        try:
            call()
        finally:
            for hook in hooks:
                hook.remove()
    return given
