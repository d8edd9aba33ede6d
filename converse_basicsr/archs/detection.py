"""Recognise a network by the keys and shapes of its state dict.

What the shapes do not tell is assumed and listed in :attr:`Architecture.assumed`:

- ``operator``: ``conv`` and ``convtranspose`` hold the same parameters; ``conv`` is assumed.
- ``padding`` and ``padding_mode`` of the operators: the network's defaults, with which the released weights were made.
- ``num_iter`` of ``ConverseNet``, whose iterations share their weights: its default.

``kernel_init`` and ``lam_init`` are never listed: they initialise parameters that a checkpoint replaces. The
``scale`` of ``ConverseUSRNet`` and ``USRNet`` is an argument of ``forward``.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from converse_basicsr import archs

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Architecture:
    """A network that a state dict fits.

    Attributes:
        type: Its name in BasicSR's registry.
        options: The arguments that the shapes tell.
        assumed: The other arguments that have an effect, with the values assumed for them.
    """

    type: str
    options: dict[str, Any]
    assumed: dict[str, Any] = field(default_factory=dict)

    @property
    def network_g(self) -> dict[str, Any]:
        """The section of an option file that builds it."""
        return {'type': self.type, **self.options, **self.assumed}


def detect(state_dict: Mapping[str, torch.Tensor]) -> Architecture:
    """Find the network that a state dict belongs to: one of ``converse_basicsr.archs`` or BasicSR's ``MSRResNet``.

    The keys tell the network and the shapes its arguments. A network built from these must have exactly the keys and
    shapes of the state dict (not checked for ``MSRResNet``, which BasicSR builds).

    Args:
        state_dict: Parameters and buffers by name, without a ``module.`` prefix.

    Returns:
        The network, its arguments, and those that had to be assumed.

    Raises:
        ValueError: If it belongs to none of them, or does not fit the one that it looks like.

    Example:
        >>> net = archs.ConverseNet(num_feat=8, num_block=2, kernel_size=5)
        >>> detect(net.state_dict()).options
        {'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 8, 'num_block': 2, 'kernel_size': 5, 'operator': 'converse'}
    """
    for key, value in state_dict.items():
        if value.layout != torch.strided or value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise ValueError(f'state_dict must hold dense tensors, but {key} has more values than numbers')
    shapes = {key: tuple(value.shape) for key, value in state_dict.items()}
    for name, (markers, read) in _NETWORKS.items():
        if all(marker in shapes for marker in markers):
            try:
                architecture = read(name, shapes)
                expected = _shapes_of(architecture)
            except Exception as error:  # with odd shapes, constructors raise anything
                reason = ' '.join(str(error).split())[:200]
                raise ValueError(f'state_dict must be complete; it looks like {name}, but {reason} is amiss') from error
            if expected is not None:
                _check_fit(architecture, expected, shapes)
            return architecture
    few = ', '.join(list(shapes)[:3])
    raise ValueError(f'state_dict must be that of one of {sorted(_NETWORKS)}, got one with the keys {few}, ...')


def _shapes_of(architecture: Architecture) -> Shapes | None:
    """Build a network without memory; None for one that is BasicSR's."""
    cls = getattr(archs, architecture.type, None)
    if cls is None:
        return None
    with torch.device('meta'):
        net = cls(**architecture.options, **architecture.assumed)
    return {key: tuple(value.shape) for key, value in net.state_dict().items()}


def _check_fit(architecture: Architecture, expected: Shapes, shapes: Shapes) -> None:
    # Exporters of older PyTorch versions leave out this counter, which evaluation does not use.
    different = [
        key
        for key in sorted(expected.keys() | shapes.keys())
        if expected.get(key) != shapes.get(key) and not (key.endswith('.num_batches_tracked') and key not in shapes)
    ]
    if different:
        key = different[0]
        raise ValueError(
            f'state_dict must fit {architecture.type}, which it looks like, but {len(different)} tensors differ; '
            f'{key} must be {expected.get(key, "absent")}, got {shapes.get(key, "none")}'
        )


def _count(shapes: Shapes, prefix: str) -> int:
    """Length of the ``ModuleList`` or ``Sequential`` named ``prefix``."""
    start = len(prefix) + 1
    count = 1 + max(int(key[start:].split('.')[0]) for key in shapes if key.startswith(f'{prefix}.'))
    if count > len(shapes):  # checked before as many layers are built
        raise ValueError(f'{prefix}.{count - 1}')
    return count


def _is_converse(shapes: Shapes, operator: str) -> bool:
    """Whether an operator is the reverse convolution: its bias has four axes, that of a twin one."""
    return len(shapes[f'{operator}.bias']) == 4


def _with_border(
    name: str, options: dict[str, Any], converse: bool, *, padding: bool, padding_mode: bool = True, **assumed: Any
) -> Architecture:
    """Add the operator to the arguments, and what is assumed about it."""
    defaults = inspect.signature(getattr(archs, name)).parameters
    if converse:
        options = {**options, 'operator': 'converse'}
    else:
        assumed['operator'] = 'conv'
    for argument, matters in (('padding', padding and converse), ('padding_mode', padding_mode)):
        if matters:
            assumed[argument] = defaults[argument].default
    return Architecture(name, options, assumed)


def _blocks(shapes: Shapes, prefix: str) -> dict[str, int]:
    """Arguments of a stack of Converse blocks."""
    return {
        'num_feat': shapes[f'{prefix}.0.conv1.0.weight'][0],
        'num_block': _count(shapes, prefix),
        'kernel_size': shapes[f'{prefix}.0.conv1.3.weight'][-1],
    }


def _channels(shapes: Shapes, first: str, last: str) -> dict[str, int]:
    return {'num_in_ch': shapes[f'{first}.weight'][1], 'num_out_ch': shapes[f'{last}.weight'][0]}


def _read_converse_dncnn(name: str, shapes: Shapes) -> Architecture:
    options = _channels(shapes, 'm_head.0', 'm_tail.0') | _blocks(shapes, 'm_body')
    return _with_border(name, options, _is_converse(shapes, 'm_body.0.conv1.3'), padding=True)


def _upscale(shapes: Shapes) -> int:
    """The scale, from the upsamplers' kernels: each is as large as the scale of its step."""
    side = shapes['up1.weight'][-1]
    return side * shapes['up2.weight'][-1] if 'up2.weight' in shapes else side


def _read_converse_srresnet(name: str, shapes: Shapes) -> Architecture:
    options = _channels(shapes, 'conv_first', 'conv_last') | _blocks(shapes, 'conv_body')
    options['upscale'] = _upscale(shapes)
    return _with_border(name, options, _is_converse(shapes, 'conv_body.0.conv1.3'), padding=True)


def _read_converse_up_srresnet(name: str, shapes: Shapes) -> Architecture:
    options = _channels(shapes, 'conv_first', 'conv_last')
    options |= {'num_feat': shapes['conv_first.weight'][0], 'num_block': _count(shapes, 'body')}
    options['upscale'] = _upscale(shapes)
    converse = _is_converse(shapes, 'up1')
    # Reverse convolutions with 2 x 2 kernels stay within the block of their sample: the padding has no effect.
    return _with_border(name, options, converse, padding=False, padding_mode=not converse or options['upscale'] == 3)


def _read_conversenet(name: str, shapes: Shapes) -> Architecture:
    options = _channels(shapes, 'conv1', 'conv2') | _blocks(shapes, 'p.m_body')
    num_iter = inspect.signature(archs.ConverseNet).parameters['num_iter'].default
    return _with_border(name, options, _is_converse(shapes, 'p.m_body.0.conv1.3'), padding=True, num_iter=num_iter)


def _read_converse_usrnet(name: str, shapes: Shapes) -> Architecture:
    num_hidden, taps = shapes['kernelnet.fc1.weight']
    options = _channels(shapes, 'conv1', 'conv2') | _blocks(shapes, 'p.m_body')
    options |= {
        'num_iter': _count(shapes, 'convs'),
        'blur_kernel_size': round(taps**0.5),
        'num_kernel_feat': shapes['convs.0.weight'][1],
        'num_hidden': num_hidden,
    }
    return _with_border(name, options, _is_converse(shapes, 'p.m_body.0.conv1.3'), padding=True)


def _read_dncnn(name: str, shapes: Shapes) -> Architecture:
    convolutions = [key for key, shape in shapes.items() if key.endswith('.weight') and len(shape) == 4]
    options: dict[str, Any] = {**_channels(shapes, 'model.0', f'model.{_count(shapes, "model") - 1}')}
    options |= {
        'num_feat': shapes['model.0.weight'][0],
        'num_layer': len(convolutions),
        'norm': 'bn' if any(key.endswith('.running_mean') for key in shapes) else 'none',
    }
    return Architecture(name, options)


def _read_usrnet(name: str, shapes: Shapes) -> Architecture:
    num_feat, num_in_ch = shapes['p.head.weight'][:2]
    return Architecture(
        name,
        {
            'num_in_ch': num_in_ch - 1,  # the prior has one more, for the noise level
            'num_out_ch': shapes['p.tail.weight'][0],
            'num_feat': num_feat,
            'num_block': _count(shapes, 'p.body'),
            'num_iter': shapes['h.mlp.4.weight'][0] // 2,
            'num_hidden': shapes['h.mlp.0.weight'][0],
        },
    )


def _read_msrresnet(name: str, shapes: Shapes) -> Architecture:
    num_feat = shapes['conv_first.weight'][0]
    options = _channels(shapes, 'conv_first', 'conv_last') | {'num_feat': num_feat, 'num_block': _count(shapes, 'body')}
    # Channels per feature that PixelShuffle takes: 4 in each of the two steps of scale 4, else the square of the scale.
    shuffled = shapes['upconv1.weight'][0] // num_feat
    return Architecture(name, {**options, 'upscale': 4 if 'upconv2.weight' in shapes else round(shuffled**0.5)})


# Network -> keys that together tell it from all networks after it, and the function that reads its arguments.
_NETWORKS: dict[str, tuple[tuple[str, ...], Callable[[str, Shapes], Architecture]]] = {
    'ConverseDnCNN': (('m_head.0.weight', 'm_body.0.conv1.3.weight'), _read_converse_dncnn),
    'ConverseSRResNet': (('conv_body.0.conv1.3.weight', 'conv_hres.conv1.3.weight'), _read_converse_srresnet),
    'ConverseUSRNet': (('kernelnet.fc1.weight', 'p.m_body.0.conv1.3.weight'), _read_converse_usrnet),
    'ConverseNet': (('p.m_body.0.conv1.3.weight', 'conv1.weight', 'conv2.weight'), _read_conversenet),
    'ConverseUpSRResNet': (('body.0.conv1.weight', 'up1.weight', 'conv_hr.weight'), _read_converse_up_srresnet),
    'MSRResNet': (('body.0.conv1.weight', 'upconv1.weight', 'conv_hr.weight'), _read_msrresnet),
    'USRNet': (('h.mlp.0.weight', 'p.head.weight'), _read_usrnet),
    'DnCNN': (('model.0.weight', 'model.2.weight'), _read_dncnn),
}
