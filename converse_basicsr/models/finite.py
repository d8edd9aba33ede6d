"""Whether what a model would save is finite: from weights that are not, nothing can go on."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

ADVICE = (
    'start anew, under another name, from the last good networks (path:pretrain_network_g) with a lower '
    'train:optim_g:lr; going on with --auto_resume would keep the old rate'
)
"""What helps after a divergence."""


def not_finite(model: Any) -> list[tuple[str, torch.Tensor]]:
    """Return the tensors of a model of BasicSR, of its networks and optimizers, that hold infinity or NaN.

    All are looked at in one go, so that a GPU is waited for once.
    """
    named = [(name, value.detach()) for name, value in _tensors(model) if _can_be_infinite(value)]
    if not named:
        return []
    flags = torch.stack([value.isfinite().all().to(named[0][1].device) for _, value in named])
    return [entry for entry, finite in zip(named, flags.tolist()) if not finite]


def _tensors(model: Any) -> Iterator[tuple[str, Any]]:
    seen: set[int] = set()
    for attribute, value in vars(model).items():
        if not isinstance(value, nn.Module):
            continue
        network = model.get_bare_model(value)
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            if id(tensor) not in seen:  # one network may have several names: wrapped, compiled
                seen.add(id(tensor))
                yield f'{attribute}.{name}', tensor
    for number, optimizer in enumerate(model.optimizers):
        for state in optimizer.state.values():
            if isinstance(state, dict):
                yield from ((f'optimizer {number}, {key}', value) for key, value in state.items())


def _can_be_infinite(value: Any) -> bool:
    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.numel() > 0
        and (value.is_floating_point() or value.is_complex())
    )
