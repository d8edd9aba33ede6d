"""The keys of the sections that every option file has."""

from converse_basicsr.options.keys.definition import Key, Keys
from converse_basicsr.options.keys.shared import UNREAD
from converse_basicsr.values import (
    BOOLEAN,
    FILE_NAME_PART,
    SECTION,
    TEXT,
    choice,
    count,
    either,
    integer,
    list_of,
    optional,
)

GENERAL: Keys = {
    'name': Key('name of the run and of its folder', FILE_NAME_PART, needed='always'),
    'model_type': Key('a registered model', TEXT, needed='always'),
    'scale': Key('size of the ground truth divided by that of the input', integer(1), '1'),
    'num_gpu': Key('number of GPUs; 0: the CPU; auto: all that are there', either(choice('auto'), integer(0)), 'auto'),
    'manual_seed': Key('seed of weights, sample order and augmentation', optional(integer(0, 2**32 - 1)), 'drawn'),
    'find_unused_parameters': Key('for distributed training that leaves parameters unused', BOOLEAN, 'false'),
    'datasets': Key('data sets: train, val, val_NAME, test, test_NAME', SECTION, needed='always'),
    'network_g': Key('the network', SECTION, needed='always', registry='arch'),
    'path': Key('weights and states to start from', SECTION, needed='always'),
    'train': Key('training', SECTION, needed='train'),
    'val': Key('validation, and testing', SECTION, needed='test'),
    'logger': Key('logging and saving', SECTION, needed='train'),
    'dist_params': Key('distributed training', SECTION),
    'compare': Key('what basicsr compare trains and reports (docs/comparison/README.md)', SECTION),
    'save_img': UNREAD,
    'suffix': UNREAD,
    'crop_border': UNREAD,
}

PATH: Keys = {
    'resume_state': Key('a .state file to go on from', optional(TEXT), '~'),
    'ignore_resume_networks': Key('networks that keep their pretrained weights on resuming', list_of(TEXT), '[]'),
}

NETWORK: Keys = {
    'converse': Key('parts to exchange for reverse convolutions (docs/mixing.md)', optional(SECTION), '~'),
}
"""Keys of a network's section besides the arguments of its class."""

NETWORK_PATH: Keys = {
    'pretrain_network_': Key('weights to start from, or to test', optional(TEXT), '~'),
    'param_key_': Key('which weights of the file: params or params_ema', optional(TEXT), 'params'),
    'strict_load_': Key('the weights must fit the network exactly', BOOLEAN, 'true'),
}
"""Keys of ``path`` for each network: their names end in that of the network, ``g`` for ``network_g``."""

TRAIN: Keys = {
    'total_iter': Key('length of the training, iterations', count(1), needed='always'),
    'warmup_iter': Key('iterations of linear warm up; -1: none', count(-1), '-1'),
}

VAL: Keys = {
    'val_freq': Key('iterations between validations', count(1), needed='train'),
    'save_img': Key('save the output images', BOOLEAN, 'false', needed='train'),
    'suffix': Key('end of the names of saved images; ~: the name of the run', optional(FILE_NAME_PART), '~'),
    'pbar': Key('show a progress bar', BOOLEAN, 'false'),
    'metrics': Key('metrics by names of your choice', optional(SECTION), '~'),
}

LOGGER: Keys = {
    'print_freq': Key('iterations between lines of the log', count(1), needed='always'),
    'save_checkpoint_freq': Key('iterations between checkpoints', count(1), needed='always'),
    'keep_last': Key('number of checkpoints to keep, the newest; ~: all', optional(integer(1)), '~'),
    'save_format': Key(
        'format of the weights in models/; safetensors needs the package of that name',
        choice('pth', 'safetensors'),
        'pth',
    ),
    'use_tb_logger': Key('write TensorBoard files to tb_logger/', BOOLEAN, 'false'),
    'wandb': Key('Weights & Biases', optional(SECTION), '~'),
}

WANDB: Keys = {
    'project': Key('project; ~: do not use it', optional(TEXT), '~'),
    'resume_id': Key('run to go on with', optional(TEXT), '~'),
}

DIST_PARAMS: Keys = {
    'backend': Key(
        'how processes exchange tensors: nccl on GPUs (gloo takes its place on the CPU, with a note); gloo on both; '
        'mpi with a PyTorch that was built with MPI',
        choice('nccl', 'gloo', 'mpi'),
        'nccl on GPUs, gloo on the CPU',
    ),
    'port': Key('port of the first process (slurm)', integer(1, 65535), '29500'),
}
