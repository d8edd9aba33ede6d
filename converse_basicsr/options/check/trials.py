"""Try what an option file asks for on a few numbers: optimizers, schedules, losses and metrics of PyTorch and BasicSR.

Those of other plugins may load weights or the like; they are left to ``basicsr check --dry-run`` and to the run.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from converse_basicsr.models.learning_rates import ROLES, WITHOUT_EFFECT
from converse_basicsr.ops.roles import parameters_of
from converse_basicsr.options.check import registered
from converse_basicsr.options.check.attempt import device_of, generators_kept, one_line, quiet
from converse_basicsr.options.check.perceptual import perceptual_problem
from converse_basicsr.options.check.problem import Problem
from converse_basicsr.options.check.sections import section

if TYPE_CHECKING:
    from torch import nn

_OURS = ('basicsr.', 'converse_basicsr.')
_SIDE = {'calculate_niqe': 192}
"""Least side in pixels of images for a metric; 32 pixels suit the others."""

KeyPath = tuple[str, ...]


def trial_problems(
    options: Mapping[str, Any], networks: Mapping[str, 'nn.Module'], at_fault: Collection[KeyPath], *, is_train: bool
) -> Iterator[Problem]:
    """Name optimizers, schedulers, losses and metrics that would fail at their first use.

    Args:
        options: Options of the file.
        networks: The networks that could be built, whose parameters the optimizers get.
        at_fault: Keys with problems, which are left out.
        is_train: Training (or else testing).
    """
    train = section(options, 'train') if is_train else {}
    for key, value in train.items():
        if isinstance(value, dict) and ('train', key) not in at_fault:
            if key.startswith('optim_'):
                yield from _optimizer_problems(options, key, networks.get(f'network_{key.removeprefix("optim_")}'))
            elif key.endswith('_opt'):
                yield from _loss_problems(key, value)
    for name, metric in section(options, 'val', 'metrics').items():
        if not {('val',), ('val', 'metrics'), ('val', 'metrics', name)} & set(at_fault):
            yield from _metric_problems(name, metric)


def _optimizer_problems(options: Mapping[str, Any], key: str, network: 'nn.Module | None') -> Iterator[Problem]:
    """Let an optimizer, and its schedule, make steps on parameters that have as many dimensions as the network's."""
    import torch

    train = options['train']
    arguments = dict(train[key])
    name = arguments.pop('type')
    for factor, role in ROLES.items():
        is_asked = arguments.pop(factor, 1) != 1 and factor in registered.optimizer_keys(options.get('model_type'))
        if is_asked and network and not any(value.requires_grad for value in parameters_of(network, role)):
            yield Problem(('train', key, factor), WITHOUT_EFFECT)
    target: Any = registered.find_callable(options, 'optimizer', name)
    dimensions = {value.ndim for value in network.parameters() if value.requires_grad} if network else {1, 4}
    if not dimensions:
        yield Problem((f'network_{key.removeprefix("optim_")}',), 'has no parameter that could be trained')
        return
    device = device_of(options)
    with generators_kept(), quiet():
        weights = [torch.nn.Parameter(torch.ones((2,) * count, device=device)) for count in sorted(dimensions)]
        try:
            optimizer = target(weights, **arguments)
        except Exception as error:
            yield Problem(('train', key), f'{name} cannot be built: {one_line(error)}')
            return
        try:
            for _ in range(2):
                for weight in weights:
                    weight.grad = torch.ones_like(weight)
                optimizer.step()
        except Exception as error:
            reason = f'{name} cannot make the steps of this training (no closure, dense gradients): {one_line(error)}'
            yield Problem(('train', key, 'type'), reason)
            return
        scheduler = dict(section(train, 'scheduler'))
        schedule: Any = registered.find_callable(options, 'scheduler', str(scheduler.pop('type', '')))
        try:
            if schedule is not None:
                schedule(optimizer, **scheduler)
        except Exception as error:
            yield Problem(('train', 'scheduler'), f'cannot be built: {one_line(error)}')


_PLACES = {'PerceptualLoss': 'PerceptualLoss', **dict.fromkeys(('GANLoss', 'MultiScaleGANLoss'), 'an adversarial loss')}
_WANTED = {
    'pixel_opt': 'a loss on pixels, such as L1Loss',
    'ldl_opt': 'a loss on pixels, such as L1Loss',
    'perceptual_opt': 'PerceptualLoss',
    'gan_opt': 'an adversarial loss',
}


def _loss_problems(key: str, arguments: Mapping[str, Any]) -> Iterator[Problem]:
    from basicsr.losses import build_loss

    name, place = str(arguments.get('type')), ('train', key)
    target = registered.find('loss', name)
    if target is None or not target.__module__.startswith(_OURS):
        return
    kind = _PLACES.get(name, 'a loss on pixels, such as L1Loss')
    if key in _WANTED and kind != _WANTED[key]:
        yield Problem((*place, 'type'), f'must be {_WANTED[key]}, got {name}')
        return
    if name == 'PerceptualLoss':
        if problem := perceptual_problem(place, arguments):
            yield problem
        return
    with generators_kept(), quiet():
        try:
            loss = build_loss(dict(arguments))
        except Exception as error:
            yield Problem(place, f'{name} cannot be built: {one_line(error)}')
            return
        try:
            if key in _USES:
                _USES[key](loss).backward()
        except Exception as error:
            yield Problem(place, f'{name} cannot be trained with as {key}: {one_line(error)}')


def _on_pixels(loss: Any) -> Any:
    import torch

    return loss(torch.rand(1, 3, 8, 8, requires_grad=True), torch.rand(1, 3, 8, 8))


def _on_judgements(loss: Any) -> Any:
    import torch

    return loss(torch.rand(1, 1, requires_grad=True), True, is_disc=False)


_USES: Mapping[str, Callable[[Any], Any]] = {
    'pixel_opt': _on_pixels,
    'ldl_opt': _on_pixels,
    'gan_opt': _on_judgements,
}
"""How BasicSR's models call the loss of a key."""


def _metric_problems(name: str, arguments: Mapping[str, Any]) -> Iterator[Problem]:
    """Score two images of noise, as BasicSR's models hand them over: NumPy arrays (H, W, C) of 8 bits."""
    import numpy as np
    from basicsr.metrics import calculate_metric

    kind = arguments['type']
    target = registered.find('metric', kind)
    if target is None or not target.__module__.startswith(_OURS):
        return
    side = _SIDE.get(kind, 32) + 2 * min(arguments.get('crop_border', 0), 64)
    first, second = np.random.default_rng(0).integers(0, 256, (2, side, side, 3)).astype(np.uint8)
    images = {'img': first, **({'img2': second} if registered.takes_ground_truth(kind) else {})}
    try:
        with quiet():
            calculate_metric(images, {**arguments, 'crop_border': min(arguments.get('crop_border', 0), 64)})
    except Exception as error:
        twin = kind.removesuffix('_pt')
        remedy = f'; {twin} can' if twin != kind and registered.find('metric', twin) is not None else ''
        yield Problem(
            ('val', 'metrics', name, 'type'),
            f'{kind} cannot score the images that a model hands over (NumPy arrays): {one_line(error)}{remedy}',
        )
