"""What a network does with its upsampling modules, observed by running it once."""

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

# Multiples of the window sizes and downsampling factors of common networks; SpyNet needs at least 64.
SIDES = (16, 28, 24, 64)
# Frames per clip, for EDVR, TOFlow and the like.
FRAMES = (5, 7)


@dataclass
class Dataflow:
    """Where the inputs of modules came from in one run; the lists hold one item per call of the module.

    Attributes:
        shapes: Shapes of the network's outputs.
        calls: How many times each module was called.
        sources: For each module, the module whose output it got unchanged, or None.
        channels: For each ``PixelShuffle``, the channels of its input.
        interpolated: For each convolution, the factor by which nearest interpolation had enlarged its input, or 1.
        enlarged: For each ``nn.Upsample`` of nearest mode, its channels and factor.
        maps: For each module, whether every call turned one map into one of the same shape.
        functional: Upsampling in the code of modules, in words: interpolation that no convolution follows, and
            functional pixel_shuffle.
    """

    shapes: list[tuple[int, ...]] = field(default_factory=list)
    calls: dict[nn.Module, int] = field(default_factory=lambda: defaultdict(int))
    sources: dict[nn.Module, list[nn.Module | None]] = field(default_factory=lambda: defaultdict(list))
    channels: dict[nn.Module, list[int]] = field(default_factory=lambda: defaultdict(list))
    interpolated: dict[nn.Module, list[int]] = field(default_factory=lambda: defaultdict(list))
    enlarged: dict[nn.Module, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    maps: dict[nn.Module, bool] = field(default_factory=dict)
    functional: list[str] = field(default_factory=list)


def observe(net: nn.Module, input_shape: Sequence[int] | None = None) -> tuple[Dataflow, tuple[int, ...]]:
    """Run a network on zeros and observe its upsampling; weights, statistics and random state do not change.

    Args:
        net: The network.
        input_shape: Shape of an input; if None, those of :func:`likely_shapes` are tried.

    Returns:
        What was observed, and the shape of the input.

    Raises:
        ValueError: If the network does not run on such an input.
    """
    tried: list[tuple[int, ...]] = []
    reason = ''
    for shape in [tuple(input_shape)] if input_shape is not None else likely_shapes(net):
        try:
            return run(net, shape), shape
        except Exception as error:  # whatever a network raises on an input that it was not made for
            tried.append(shape)
            reason = reason or f'{type(error).__name__}: {" ".join(str(error).split())[:200]}'
    raise ValueError(
        f'{type(net).__name__} must run on one input for its upsampling to be seen, and does not on the shapes {tried} '
        f'({reason}); give input_shape, the shape of an input that it takes'
    )


def likely_shapes(net: nn.Module) -> Iterator[tuple[int, ...]]:
    """Shapes of small images, then of small clips, that a restoration network may take."""
    first = next((m.in_channels for m in net.modules() if isinstance(m, nn.Conv2d)), 3)
    channels = list(dict.fromkeys((first, 3, 1)))
    for c in channels:
        yield from ((1, c, side, side) for side in SIDES)
    for c in channels:
        yield from ((1, frames, c, max(SIDES), max(SIDES)) for frames in FRAMES)


def run(net: nn.Module, shape: Sequence[int]) -> Dataflow:
    """Run a network on zeros of a shape, in evaluation mode, and return what was observed."""
    flow = Dataflow()
    like = next(net.parameters(), torch.empty(0))
    watch = _Watch(flow, {module: name for name, module in net.named_modules()})
    with _evaluating(net), torch.random.fork_rng(devices=[]), watch.hooks(net), torch.no_grad(), watch:
        out = net(torch.zeros(shape, dtype=like.dtype, device=like.device))
    flow.shapes = [tuple(t.shape) for t in _tensors(out)]
    flow.functional += watch.unused_interpolation()
    return flow


@contextmanager
def _evaluating(net: nn.Module) -> Iterator[None]:
    training = [module for module in net.modules() if module.training]
    net.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


@dataclass
class _Origin:
    """What made a tensor, and its version at that time: an in-place operation changes it and so ends the origin."""

    tensor: torch.Tensor  # kept alive, so that no other tensor can get its id
    version: int
    module: nn.Module | None = None
    factor: int = 1
    where: str = ''
    used: bool = False


class _Watch(TorchFunctionMode):
    """Follow the tensors of one run by the modules and interpolations that made them."""

    def __init__(self, flow: Dataflow, names: dict[nn.Module, str]) -> None:
        super().__init__()
        self.flow = flow
        self.names = names
        self.running: list[nn.Module] = []
        self.origins: dict[int, _Origin] = {}
        self.interpolations: list[_Origin] = []

    @contextmanager
    def hooks(self, net: nn.Module) -> Iterator[None]:
        handles = []
        for module in net.modules():
            handles.append(module.register_forward_pre_hook(self.before))
            handles.append(module.register_forward_hook(self.after))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def before(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        self.running.append(module)
        origin = self.origin(args[0]) if args and isinstance(args[0], torch.Tensor) else None
        self.flow.calls[module] += 1
        self.flow.sources[module].append(origin.module if origin else None)
        if isinstance(module, nn.PixelShuffle):
            self.flow.channels[module].append(args[0].shape[-3])
        if isinstance(module, nn.Conv2d):
            self.flow.interpolated[module].append(origin.factor if origin else 1)
            if origin:
                origin.used = True

    def after(self, module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        self.running.pop()
        x = args[0] if len(args) == 1 and isinstance(args[0], torch.Tensor) else None
        keeps_shape = x is not None and isinstance(out, torch.Tensor) and out.shape == x.shape
        self.flow.maps[module] = keeps_shape and self.flow.maps.get(module, True)
        if not isinstance(out, torch.Tensor) or next(module.children(), None) is not None:
            return
        origin = self.origin(out)
        if out is x and origin:
            return  # an identity, or dropout in evaluation mode
        if isinstance(module, nn.Upsample) and origin and origin.factor > 1 and x is not None:
            self.flow.enlarged[module].append((x.shape[1], origin.factor))
            origin.used = True
        self.origins[id(out)] = _Origin(out, out._version, module)

    def origin(self, tensor: torch.Tensor) -> _Origin | None:
        origin = self.origins.get(id(tensor))
        return origin if origin and origin.version == tensor._version else None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        where = self.names[self.running[-1]] if self.running else ''
        if func is F.interpolate:
            given = inspect.signature(F.interpolate).bind(*args, **(kwargs or {})).arguments
            factor = _factor(given['input'], out)
            if factor and given.get('mode', 'nearest') in ('nearest', 'nearest-exact'):
                origin = _Origin(out, out._version, factor=factor, where=where)
                self.origins[id(out)] = origin
                self.interpolations.append(origin)
        elif func is torch.pixel_shuffle and not isinstance(self.running[-1], nn.PixelShuffle):
            self.flow.functional.append(f'functional pixel_shuffle in {where or "the network"}')
        return out

    def unused_interpolation(self) -> list[str]:
        return [
            f'nearest interpolation in {origin.where or "the network"} whose output no convolution takes'
            for origin in self.interpolations
            if not origin.used
        ]


def _factor(x: torch.Tensor, out: torch.Tensor) -> int | None:
    """The whole number above 1 by which an image grew in both directions, or None."""
    if x.ndim != 4 or 0 in x.shape:
        return None
    factor = out.shape[-1] // x.shape[-1]
    grown = (factor * x.shape[-2], factor * x.shape[-1])
    return factor if factor > 1 and tuple(out.shape[-2:]) == grown else None
