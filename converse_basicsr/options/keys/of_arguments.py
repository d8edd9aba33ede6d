"""Closer limits for arguments of registered classes and functions than their signatures give."""

from collections.abc import Mapping

from converse_basicsr.models.training_options import FACTOR
from converse_basicsr.options.keys.definition import Key, Keys
from converse_basicsr.values import BOOLEAN, choice, count, integer, list_of, number

OPTIMIZER_OF_MODELS: Keys = {
    'kernel_lr_mult': Key('factor of the learning rate for the kernels of reverse convolutions', FACTOR, '1'),
    'lam_lr_mult': Key('factor of the learning rate for the logits of their lam', FACTOR, '1'),
}
"""What the ``get_optimizer`` of some models takes beside the arguments of the optimizer."""

ARGUMENTS: Mapping[str, Keys] = {
    'optimizer': {
        'lr': Key('learning rate', number(above=0), needed='always'),
        'betas': Key('decay of the two moving averages', list_of(number(0, below=1), 2), '[0.9, 0.999]'),
        'weight_decay': Key('strength of the weight decay', number(0), '0'),
        'eps': Key('added to the denominator', number(0), '1e-8'),
        **OPTIMIZER_OF_MODELS,
    },
    'scheduler': {
        'milestones': Key('iterations at which the learning rate falls', list_of(count(0)), needed='always'),
        'gamma': Key('factor of the learning rate at each milestone', number(0), '0.1'),
        'restarts': Key('iterations at which the schedule restarts', list_of(count(0)), '[0]'),
        'restart_weights': Key('factor of the first learning rate at each restart', list_of(number(0)), '[1]'),
        'periods': Key('lengths of the cosines, iterations', list_of(count(1), least=1), needed='always'),
        'eta_min': Key('learning rate at the end of a cosine', number(0), '0'),
    },
    'loss': {
        'loss_weight': Key('factor of the loss', number(), '1'),
        'reduction': Key('how the values of the pixels are combined', choice('none', 'mean', 'sum'), 'mean'),
    },
    'metric': {
        'crop_border': Key('pixels left out at each side', integer(0), needed='always'),
        'test_y_channel': Key('compare luma only', BOOLEAN, 'false'),
        'input_order': Key('order of the axes', choice('HWC', 'CHW'), 'HWC'),
        'better': Key('whether higher or lower values are better', choice('higher', 'lower'), 'higher'),
    },
    'arch': {},
}
"""Closer limits for arguments that the registered class or function has; ``better`` is read by BasicSR's models."""
