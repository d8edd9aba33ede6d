"""The keys of option files: the one place from which the check, the JSON Schema and ``docs/options.md`` are made.

What BasicSR's pipelines, models and datasets read was found in its code (1.4.2); keys that only some models or datasets
read are in :data:`MODELS` and :data:`DATASETS`. The arguments of networks, losses, metrics, optimisers and schedulers
are not here: they are read from the signatures of what is registered.
"""

from converse_basicsr.options.keys.definition import Key, Keys
from converse_basicsr.options.keys.of_arguments import ARGUMENTS, OPTIMIZER_OF_MODELS
from converse_basicsr.options.keys.of_datasets import DATASET, DATASETS, IO_BACKEND
from converse_basicsr.options.keys.of_models import MODELS, ModelKeys
from converse_basicsr.options.keys.of_sections import (
    DIST_PARAMS,
    GENERAL,
    LOGGER,
    NETWORK,
    NETWORK_PATH,
    PATH,
    TRAIN,
    VAL,
    WANDB,
)
from converse_basicsr.options.keys.other_names import PROVIDERS, RENAMED

__all__ = [
    'ARGUMENTS',
    'DATASET',
    'DATASETS',
    'DIST_PARAMS',
    'GENERAL',
    'IO_BACKEND',
    'LOGGER',
    'MODELS',
    'NETWORK',
    'NETWORK_PATH',
    'OPTIMIZER_OF_MODELS',
    'PATH',
    'PROVIDERS',
    'RENAMED',
    'TRAIN',
    'VAL',
    'WANDB',
    'Key',
    'Keys',
    'ModelKeys',
]
