"""The operator against the textbook evaluation, depthwise convolutions and the bare chunked FFT pair."""

import copy
import functools
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from converse_basicsr import devices
from converse_basicsr.benchmark import timing
from converse_basicsr.benchmark.textbook import TextbookConverse2D
from converse_basicsr.ops import Converse2D
from converse_basicsr.ops.float64 import has_float64


@dataclass(frozen=True)
class Case:
    """One setting: batch, channels, height = width, kernel, scale, padding; a training step or inference."""

    num: int
    channels: int
    size: int
    kernel: int
    scale: int
    padding: int
    train: bool = False

    def __str__(self) -> str:
        mode = 'training step' if self.train else 'inference'
        batch = f'N {self.num}, ' if self.num > 1 else ''
        scale = f', s {self.scale}' if self.scale > 1 else ''
        return f'{mode}, {batch}C {self.channels}, {self.size}x{self.size}, k {self.kernel}{scale}, pad {self.padding}'


HEADLINE = [
    Case(1, 128, 256, 7, 1, 6),
    Case(1, 128, 64, 5, 1, 4),
    Case(1, 64, 128, 2, 2, 2),
    Case(1, 64, 96, 5, 2, 4),
    Case(8, 128, 48, 5, 1, 4, train=True),
]
# Grid sizes with small prime factors only (72, 264) and with large ones (268 = 4 * 67, 134 = 2 * 67).
GRID = [
    *(Case(1, 128, size, kernel, 1, kernel - 1) for size, kernel in ((126, 5), (128, 4), (256, 5), (96, 7), (32, 5))),
    *(Case(1, 64, 64, kernel, scale, kernel - 1) for scale, kernel in ((2, 3), (3, 3), (3, 5), (4, 4), (4, 7))),
    *(Case(num, 64, 64, 5, 1, 4) for num in (2, 8)),
    *(
        Case(num, 64, 48, kernel, scale, kernel - 1, train=True)
        for num, kernel, scale in ((1, 5, 1), (8, 2, 2), (4, 5, 2))
    ),
]
CASES = {
    'headline': HEADLINE,
    'all': [*HEADLINE, *GRID],
    'quick': [Case(1, 16, 24, 5, 1, 4), Case(2, 8, 16, 3, 2, 2, train=True)],
}


class Depthwise(nn.Module):
    """Depthwise convolution of the operator's kernel size: after nearest upsampling, or transposed and strided."""

    def __init__(self, case: Case, transposed: bool) -> None:
        super().__init__()
        self.scale, self.kernel, self.transposed = case.scale, case.kernel, transposed
        self.weight = nn.Parameter(torch.randn(case.channels, 1, case.kernel, case.kernel) / case.kernel)
        self.bias = nn.Parameter(torch.zeros(case.channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C, sH, sW)."""
        size = (x.shape[-2] * self.scale, x.shape[-1] * self.scale)
        if self.transposed:
            out = F.conv_transpose2d(x, self.weight, self.bias, stride=self.scale, groups=x.shape[1])
            # No border to crop where the kernel is smaller than the stride.
            top = max(0, out.shape[-2] - size[0]) // 2
            return out[..., top : top + size[0], top : top + size[1]]
        if self.scale > 1:
            x = F.interpolate(x, scale_factor=self.scale, mode='nearest')
        before, after = (self.kernel - 1) // 2, self.kernel // 2
        return F.conv2d(F.pad(x, (before, after, before, after)), self.weight, self.bias, groups=x.shape[1])


class BareTransforms(nn.Module):
    """Pad, rfft2, product, irfft2, crop, in chunks of 2 MiB: the least that a filter on the whole grid can cost.

    For scales above 1 the transforms are at the low resolution and the upsampling is not included. Inference only.
    """

    def __init__(self, case: Case) -> None:
        super().__init__()
        grid = case.size + 2 * case.padding
        self.padding = case.padding
        self.chunk = max(1, (2 << 20) // (4 * grid * grid))
        self.otf = nn.Parameter(torch.randn(case.channels, grid, grid // 2 + 1, dtype=torch.complex64), False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        p, size = self.padding, x.shape[-1]
        out = torch.empty_like(x)
        step = self.chunk if x.device.type == 'cpu' else x.shape[1]
        for n in range(x.shape[0]):
            for c in range(0, x.shape[1], step):
                padded = F.pad(x[n : n + 1, c : c + step], (p, p, p, p), mode='circular')
                spectrum = torch.fft.rfft2(padded).mul_(self.otf[c : c + step])
                out[n, c : c + step] = torch.fft.irfft2(spectrum, s=padded.shape[-2:])[0, :, p : p + size, p : p + size]
        return out


def build(case: Case, device: str | torch.device) -> tuple[torch.Tensor, dict[str, nn.Module]]:
    """Return the input of a case and the modules to compare on it."""
    torch.manual_seed(0)
    ours = Converse2D(case.channels, case.channels, case.kernel, case.scale, case.padding)
    modules = {
        'ours': ours,
        'textbook': TextbookConverse2D(ours),
        'conv': Depthwise(case, transposed=False),
        'convtranspose': Depthwise(case, transposed=True),
    }
    if not case.train:
        modules['floor'] = BareTransforms(case)
    x = torch.rand(case.num, case.channels, case.size, case.size, device=device, requires_grad=case.train)
    return x, {name: module.to(device).train(case.train) for name, module in modules.items()}


def candidate(case: Case, module: nn.Module, x: torch.Tensor) -> Callable[[], Any]:
    """Return a function that makes one forward pass or, for training, one forward and backward pass."""
    if not case.train:

        def infer() -> torch.Tensor:
            with torch.inference_mode():
                return module(x)

        return infer
    with torch.no_grad():
        grad = torch.rand_like(module(x))

    def step() -> None:
        x.grad = None
        module.zero_grad()
        module(x).backward(grad)

    return step


def errors(modules: dict[str, nn.Module], x: torch.Tensor) -> dict[str, float]:
    """Return the relative L2 distance of each float32 output to the float64 solution."""
    with torch.no_grad():
        inputs = x.detach()
        where = x.device if has_float64(x.device) else torch.device('cpu')
        float32 = {name: modules[name](inputs).to(where) for name in ('ours', 'textbook')}
        reference = copy.deepcopy(modules['ours']).to(where).double()(inputs.to(where).double())
        return {name: float((y - reference).norm() / reference.norm()) for name, y in float32.items()}


def measure(
    which: str = 'headline',
    *,
    device: str = 'cpu',
    repeats: int = 15,
    threads: int | None = None,
    with_memory: bool = True,
) -> dict[str, Any]:
    """Measure a set of cases.

    Args:
        which: Name of the set, a key of :data:`CASES`.
        device: Where to compute, see :func:`converse_basicsr.devices.choose`.
        repeats: Number of runs that the median is taken of.
        threads: CPU threads; torch's choice if not given.
        with_memory: Whether to measure peak memory, on the CPU in a fresh process per candidate.

    Returns:
        The machine and the cases.

    Raises:
        converse_basicsr.errors.UserError: If the device cannot be used.
    """
    where = timing.prepare(device, threads)
    results: list[dict[str, Any]] = []
    for case in CASES[which]:
        x, modules = build(case, where)
        runs = {name: candidate(case, module, x) for name, module in modules.items()}
        seconds = timing.interleaved_medians(runs, repeats, where)
        result: dict[str, Any] = {'case': str(case), **asdict(case), 'seconds': seconds}
        result['ratio_to_ours'] = {name: value / seconds['ours'] for name, value in seconds.items()}
        if case.train:
            result['bytes_for_backward'] = {
                name: timing.saved_bytes(functools.partial(module, x), list(module.parameters()))
                for name, module in modules.items()
            }
        result['error'] = errors(modules, x)
        if with_memory and where.type == 'cpu':
            spec = {**asdict(case), 'threads': torch.get_num_threads()}
            result['peak_bytes'] = {name: timing.peak_growth(__name__, {**spec, 'name': name}) for name in modules}
        elif with_memory:
            result['peak_bytes'] = {name: devices.peak_growth(where, work) for name, work in runs.items()}
        results.append(result)
    return {'machine': timing.describe_machine(where), 'benchmark': 'operator', 'cases': results}


def main(argument: str) -> None:
    """Print the growth of this process's memory over three runs of one candidate."""
    spec = json.loads(argument)
    name = spec.pop('name')
    torch.set_num_threads(spec.pop('threads'))
    case = Case(**spec)
    tiny = Case(1, 1, 8, 3, case.scale, 2, case.train)
    _single(tiny, name)()  # loads the libraries
    work = _single(case, name)

    def thrice() -> None:
        for _ in range(3):
            work()

    print(timing.resident_growth(thrice))


def _single(case: Case, name: str) -> Callable[[], Any]:
    x, modules = build(case, 'cpu')
    return candidate(case, modules[name], x)


if __name__ == '__main__':
    main(sys.argv[1])
