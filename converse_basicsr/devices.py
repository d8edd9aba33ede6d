"""Devices: which there are, which one is taken, when their work is done and how much memory it took."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from converse_basicsr.errors import ArgumentError
from converse_basicsr.messages import tell

AUTO = 'auto'
ACCELERATORS: Mapping[str, Callable[[], int]] = {
    'cuda': lambda: torch.cuda.device_count() if torch.cuda.is_available() else 0,
    'xpu': lambda: torch.xpu.device_count() if torch.xpu.is_available() else 0,
    'mps': lambda: int(torch.backends.mps.is_available()),
}
"""How many there are of each kind, in the order in which :data:`AUTO` takes them. AMD's GPUs are ``cuda`` too."""

_SIZES = ((4, 6), (5, 7), (6, 9))
_TOLERANCE = 1e-4
_SHORT_OF_MEMORY = (
    'out of memory',  # CUDA, MPS, XPU
    "can't allocate memory",  # the CPU
    'not enough memory',  # the CPU on Windows
    'ALLOC_FAILED',  # cuFFT, cuDNN, cuBLAS
    'OUT_OF_DEVICE_MEMORY',  # XPU
    'Invalid buffer size',  # MPS, a single tensor
)


def choose(name: str | torch.device | None = AUTO) -> torch.device:
    """Return the device of a name, after a trial.

    Devices other than the CPU and ``cuda`` are taken only if their Fourier transforms are right: those of MPS were
    wrong with some versions of macOS and PyTorch (pytorch/pytorch, issues 124096 and 126649).

    Args:
        name: ``cpu``, ``cuda``, ``xpu``, one of several such as ``cuda:1``, or ``mps``; :data:`AUTO` or None for the
            first that can be used of :data:`ACCELERATORS`, else the CPU.

    Raises:
        ArgumentError: If it cannot be used.
    """
    if name is None or name == AUTO:
        for kind, count in ACCELERATORS.items():
            reason = _fault(torch.device(kind)) if count() else 'absent'
            if not reason:
                return torch.device(kind)
            if count():
                tell(f'note: {kind} cannot be used ({reason}), so something else is')
        return torch.device('cpu')
    try:
        device = torch.device(name)
        reason = _fault(device) if _is_here(device) else ''
    except RuntimeError:  # no name of a device
        device, reason = None, ''
    if device is None or reason or not _is_here(device):
        reason = reason or f'not on this machine, or not in this PyTorch ({torch.__version__})'
        raise ArgumentError(f'device {name} cannot be used: {reason}; choose from {", ".join([AUTO, *present()])}')
    return device


def present() -> list[str]:
    """Return the names of the devices that there are, the CPU first."""
    names = ['cpu']
    for kind, count in ACCELERATORS.items():
        number = count()
        names += [kind] if number == 1 else [f'{kind}:{index}' for index in range(number)]
    return names


def _is_here(device: torch.device) -> bool:
    if device.type in ACCELERATORS:
        return (device.index or 0) < ACCELERATORS[device.type]()
    return device.type != 'meta'  # one of another kind, which comes with a package of its own, shows in the trial


def _fault(device: torch.device) -> str:
    """Return why a device cannot be used; empty if it can."""
    try:
        torch.zeros(1, device=device)
        right = device.type in ('cpu', 'cuda') or _transforms_are_right(device)
    except Exception as error:  # torch raises different classes for different kinds of devices
        return next(iter(str(error).splitlines()), type(error).__name__)
    return '' if right else f'its Fourier transforms are wrong with this PyTorch ({torch.__version__})'


def _transforms_are_right(device: torch.device) -> bool:
    """Compare transforms of even and odd sizes, there and back, with those of the CPU."""
    for height, width in _SIZES:
        x = torch.arange(height * width, dtype=torch.float32).cos().view(height, width)
        spectrum = torch.fft.rfft2(x.to(device))
        back = torch.fft.irfft2(spectrum, s=x.shape)
        for theirs, ours in ((spectrum, torch.fft.rfft2(x)), (back, x)):
            if not torch.allclose(theirs.cpu(), ours, rtol=0, atol=_TOLERANCE):
                return False
    return True


def synchronize(device: torch.device) -> None:
    """Wait until a device has done its work; the CPU always has."""
    if device.type == 'cpu':
        return
    if hasattr(torch, 'accelerator'):  # torch 2.6
        torch.accelerator.synchronize(device)
    elif device.type == 'mps':
        torch.mps.synchronize()
    else:
        getattr(torch, device.type).synchronize(device)


def name_of(device: torch.device) -> str | None:
    """Return what the maker calls an accelerator; None where PyTorch does not say."""
    if device.type in ('cuda', 'xpu'):
        return str(getattr(torch, device.type).get_device_name(device))
    if device.type == 'mps' and hasattr(torch.backends.mps, 'get_name'):
        return str(torch.backends.mps.get_name())
    return None


def peak_growth(device: torch.device, work: Callable[[], Any]) -> int | None:
    """Return the bytes by which the tensors on a GPU rise above their present size while ``work`` runs.

    None where PyTorch does not count them: on the CPU, with MPS, and on GPUs of Intel in early versions.
    """
    memory = _counter(device)
    if memory is None:
        return None
    memory.reset_peak_memory_stats(device)
    before = memory.memory_allocated(device)
    work()
    return int(memory.max_memory_allocated(device)) - int(before)


def peak_allocated(device: torch.device) -> int | None:
    """Return the most bytes that tensors on a GPU have taken; None where PyTorch does not count them."""
    memory = _counter(device)
    return None if memory is None else int(memory.max_memory_allocated(device))


def _counter(device: torch.device) -> Any:
    memory = getattr(torch, device.type) if device.type in ('cuda', 'xpu') else None
    return memory if hasattr(memory, 'max_memory_allocated') else None


def is_short_of_memory(error: BaseException) -> bool:
    """Whether an exception says that the memory of the CPU or of a GPU was used up."""
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in _SHORT_OF_MEMORY)
