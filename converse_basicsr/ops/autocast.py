"""Autocast off, on any device."""

from contextlib import AbstractContextManager, nullcontext

import torch


def has_autocast(device_type: str) -> bool:
    """Whether there is autocast on a kind of device; not on ``meta``, and on ``mps`` only from torch 2.5."""
    # torch.compile meets no device without autocast, and up to torch 2.6 it cannot follow the question.
    return torch.compiler.is_compiling() or torch.amp.is_autocast_available(device_type)


def autocast_off(device_type: str) -> AbstractContextManager[object]:
    """A context with autocast off; nothing to switch off where there is none."""
    return torch.autocast(device_type, enabled=False) if has_autocast(device_type) else nullcontext()
