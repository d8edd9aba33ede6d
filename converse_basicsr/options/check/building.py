"""Build the networks of an option file without memory, and give up on those that no machine could train."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from converse_basicsr.options.check.attempt import generators_kept, quiet
from converse_basicsr.options.check.offline import offline
from converse_basicsr.options.networks import build_network

MOST_PARTS = 30_000
"""Layers and parameters of a network; the largest published ones have some ten thousand."""

_SMALL = 2**12
"""Numbers of a tensor that no operation turns into a large one."""


class TooLargeError(Exception):
    """A network that would take hours or all memory to build."""


def build(section: Mapping[str, Any], *, most_bytes: float | None = None) -> Any:
    """Build a network whose layers have no memory, or, if it cannot be built so, as it is.

    Args:
        section: Its ``type`` and arguments.
        most_bytes: What its weights may need; the memory of this machine if not given.

    Raises:
        TooLargeError: If it has more parts, or needs more memory, than this machine could build.
        DownloadNeeded: If its constructor fetches weights.
    """
    most = _memory_bytes() if most_bytes is None else most_bytes
    with quiet(), generators_kept(), _parts_counted(), offline():
        try:
            with _memory_counted(most, on_meta=True):
                return build_network(section)
        except TooLargeError:
            raise
        except Exception:  # such as weights that are read back while building
            with _memory_counted(most, on_meta=False):
                return build_network(section)


@contextlib.contextmanager
def _parts_counted() -> Iterator[None]:
    from torch.nn.modules import module

    count = 0

    def add(*_: Any) -> None:
        nonlocal count
        count += 1
        if count > MOST_PARTS:
            raise TooLargeError(f'it has more than {MOST_PARTS} layers and parameters, which would take hours to build')

    of_layers = module.register_module_module_registration_hook(add)
    of_parameters = module.register_module_parameter_registration_hook(add)
    try:
        yield
    finally:
        of_layers.remove()
        of_parameters.remove()


@contextlib.contextmanager
def _memory_counted(most: float, *, on_meta: bool) -> Iterator[None]:
    """Count what layers take from ``torch.empty``; what networks compute while building stays on the CPU, if small."""
    import torch
    from torch.overrides import TorchFunctionMode

    total = 0

    class Counter(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal total
            kwargs = dict(kwargs or {})
            is_layer = func is torch.empty and kwargs.get('device') is None
            needed = _result_bytes(func, args, kwargs)
            total += needed if is_layer else 0
            if max(needed, total) > most:
                raise TooLargeError(
                    f'it needs {max(needed, total) / 2**30:.1f} GiB, more than the {most / 2**30:.1f} that it may take'
                )
            if is_layer and on_meta:
                kwargs['device'] = 'meta'
            return func(*args, **kwargs)

    with Counter():
        yield


def _result_bytes(func: Any, args: Any, kwargs: dict[str, Any]) -> int:
    """Return what a call of PyTorch would need for its result, found by making it without memory; 0 if unknown."""
    import torch

    tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)]
    if tensors and max(value.numel() for value in tensors) < _SMALL:
        return 0

    def without_memory(value: Any) -> Any:
        return torch.empty_like(value, device='meta') if isinstance(value, torch.Tensor) else value

    kwargs = {name: without_memory(value) for name, value in kwargs.items()}
    try:
        result = func(*map(without_memory, args), **(kwargs if tensors else {**kwargs, 'device': 'meta'}))
    except Exception:  # no function that makes tensors, or none that can without memory
        return 0
    return result.nbytes if isinstance(result, torch.Tensor) else 0


def _memory_bytes() -> float:
    """Return the size of this machine's memory."""
    try:
        return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    except (AttributeError, ValueError, OSError):  # not on this system
        return float('inf')
