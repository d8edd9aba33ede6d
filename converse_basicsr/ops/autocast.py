"""Autocast off, on any device."""

from contextlib import AbstractContextManager, nullcontext

import torch


def autocast_off(device_type: str) -> AbstractContextManager[object]:
    """A context with autocast off; without a step in any graph where it is not on, or where there is none.

    There is none on ``meta``, and on ``mps`` only from torch 2.5.
    """
    # torch.compile meets no device without autocast, and up to torch 2.6 it cannot follow the question.
    has_autocast = torch.compiler.is_compiling() or torch.amp.is_autocast_available(device_type)
    is_on = has_autocast and torch.is_autocast_enabled(device_type)
    return torch.autocast(device_type, enabled=False) if is_on else nullcontext()
