"""The perceptual loss: which layers there are, and where its weights must be."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib import error, request

from converse_basicsr.options.check.problem import Problem
from converse_basicsr.options.file import did_you_mean

_CRITERIA = ('l1', 'l2', 'fro')

SECONDS = 5
"""Time that the server of the weights has to answer; nothing is downloaded for that."""


def perceptual_problem(place: tuple[str, ...], arguments: Mapping[str, Any]) -> Problem | None:
    """Say what would stop BasicSR's ``PerceptualLoss``.

    Args:
        place: The key of the loss.
        arguments: Its section.
    """
    from basicsr.archs import vgg_arch

    network = arguments.get('vgg_type', 'vgg19')
    plain = str(network).replace('_bn', '')
    if plain not in vgg_arch.NAMES or network not in (plain, f'{plain}_bn'):
        known = sorted([*vgg_arch.NAMES, *(f'{name}_bn' for name in vgg_arch.NAMES)])
        return Problem((*place, 'vgg_type'), f'no VGG is named {network!r}{did_you_mean(str(network), known)}')
    layers, weights = vgg_arch.NAMES[plain], arguments.get('layer_weights')
    if network != plain:
        layers = vgg_arch.insert_bn(layers)
    if not isinstance(weights, dict) or not weights:
        return Problem((*place, 'layer_weights'), 'must be layers and their weights, such as {conv5_4: 1}')
    for layer, weight in weights.items():
        if layer not in layers:
            return Problem((*place, 'layer_weights'), f'{network} has no layer {layer!r}{did_you_mean(layer, layers)}')
        if isinstance(weight, bool) or not isinstance(weight, (int, float)):
            return Problem((*place, 'layer_weights'), f'{layer} must have a number, got {weight!r}')
    if arguments.get('criterion', 'l1') not in _CRITERIA:
        return Problem((*place, 'criterion'), f'must be one of {", ".join(_CRITERIA)}, got {arguments["criterion"]!r}')
    return _absence((*place, 'type'), network, vgg_arch.VGG_PRETRAIN_PATH)


def _absence(place: tuple[str, ...], network: str, own_path: str) -> Problem | None:
    """Say so if the weights of a VGG are not here and cannot be downloaded."""
    import torch
    from torchvision.models import get_model_weights

    weights: Any = get_model_weights(network)
    url = weights.IMAGENET1K_V1.url
    cached = Path(torch.hub.get_dir(), 'checkpoints', os.path.basename(url))
    if cached.is_file() or Path(own_path).is_file():
        return None
    try:
        request.urlopen(request.Request(url, method='HEAD'), timeout=SECONDS).close()
    except error.HTTPError:
        return None  # it answers; what a proxy makes of HEAD says nothing about a download
    except (OSError, ValueError) as reason:
        return Problem(
            place, f'needs the weights {url}, which cannot be downloaded here ({reason}); put the file at {cached}'
        )
    return None
