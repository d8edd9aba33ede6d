"""Whole networks: as they are, with the textbook operator and a mean/var LayerNorm, and their convolution twins."""

import copy
import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from converse_basicsr.archs import ConverseDnCNN, ConverseSRResNet
from converse_basicsr.benchmark import timing
from converse_basicsr.benchmark.textbook import PlainLayerNorm2d, TextbookConverse2D
from converse_basicsr.blocks import LayerNorm2d
from converse_basicsr.ops import Converse2D

# Name, network by operator, channels, default height and width.
NETWORKS: list[tuple[str, Callable[[str], nn.Module], int, int]] = [
    ('Converse-DnCNN (k 7)', lambda operator: ConverseDnCNN(kernel_size=7, operator=operator), 1, 256),
    ('Converse-SRResNet x4', lambda operator: ConverseSRResNet(operator=operator), 3, 64),
]


def with_textbook(network: nn.Module) -> nn.Module:
    """Return a copy of the network with textbook operators and normalisations."""
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, Converse2D):
                setattr(module, name, TextbookConverse2D(child))
            elif isinstance(child, LayerNorm2d):
                setattr(module, name, PlainLayerNorm2d(child))
    return network


def measure(
    *, size: int | None = None, device: str = 'cpu', repeats: int = 5, threads: int | None = None
) -> dict[str, Any]:
    """Measure the inference of every network.

    Args:
        size: Height and width of the input; by network if not given.
        device: Where to compute, see :func:`converse_basicsr.devices.choose`.
        repeats: Number of runs that the median is taken of.
        threads: CPU threads; torch's choice if not given.

    Returns:
        The machine and the cases.

    Raises:
        converse_basicsr.errors.UserError: If the device cannot be used.
    """
    where = timing.prepare(device, threads)
    cases: list[dict[str, Any]] = []
    for name, build, channels, default_size in NETWORKS:
        torch.manual_seed(0)
        ours = build('converse').to(where).eval()
        networks = {
            'ours': ours,
            'textbook': with_textbook(ours),
            'conv': build('conv').to(where).eval(),
            'convtranspose': build('convtranspose').to(where).eval(),
        }
        side = size or default_size
        x = torch.rand(1, channels, side, side, device=where)
        with torch.inference_mode():
            ours(x)  # filters are stored when they are used for the second time
            seconds = timing.interleaved_medians(
                {key: functools.partial(net, x) for key, net in networks.items()}, repeats, where, warm_up=1
            )
            difference = float((ours(x) - networks['textbook'](x)).abs().max())
        ratios = {key: value / seconds['ours'] for key, value in seconds.items()}
        case = f'{name}, {side}x{side}'
        cases.append(
            {'case': case, 'seconds': seconds, 'ratio_to_ours': ratios, 'largest_difference_to_textbook': difference}
        )
    return {'machine': timing.describe_machine(where), 'benchmark': 'network', 'cases': cases}
