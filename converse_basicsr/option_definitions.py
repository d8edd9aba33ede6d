"""The keys of option files: the one place from which the check, the JSON Schema and ``docs/options.md`` are made.

A key is a line here. What BasicSR's pipelines, models and datasets read was found in its code (1.4.2); keys that only
some models or datasets read are in :data:`MODELS` and :data:`DATASETS`. The arguments of networks, losses, metrics,
optimisers and schedulers are not here: they are read from the signatures of what is registered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from converse_basicsr.option_schema import (
    ANYTHING,
    BOOLEAN,
    FILE_NAME_PART,
    SECTION,
    TEXT,
    Key,
    choice,
    count,
    either,
    integer,
    list_of,
    number,
    optional,
)

Keys = Mapping[str, Key]

PROBABILITY = number(0, 1)
RANGE = list_of(number(), 2)
UNREAD = Key('read by nothing; older option files have it', ANYTHING, unread=True)

GENERAL: Keys = {
    'name': Key('name of the run and of its folder', FILE_NAME_PART, needed='always'),
    'model_type': Key('a registered model', TEXT, needed='always'),
    'scale': Key('size of the ground truth over that of the input', integer(1)),
    'num_gpu': Key('number of GPUs; 0: the CPU; auto: all that are there', either(choice('auto'), integer(0)), 'auto'),
    'manual_seed': Key('seed of weights, sample order and augmentation', optional(integer(0, 2**32 - 1)), 'drawn'),
    'find_unused_parameters': Key('for networks of which an iteration uses a part (distributed)', BOOLEAN, 'false'),
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

DATASET: Keys = {
    'name': Key('name in logs and folders; different for each validation set', FILE_NAME_PART, needed='always'),
    'type': Key('a registered dataset', TEXT, needed='always'),
    'io_backend': Key('how images are stored', SECTION, needed='always'),
    'prepare': Key('the command that makes the data, named when they are absent', TEXT),
    'scale': Key('size of the ground truth over that of the input', integer(1), "the file's"),
    # data loader
    'num_worker_per_gpu': Key('loader processes for each GPU', integer(0), needed='train'),
    'batch_size_per_gpu': Key('samples of a batch for each GPU', integer(1), needed='train'),
    'dataset_enlarge_ratio': Key('times that an epoch takes every image', number(above=0), '1'),
    'prefetch_mode': Key('read ahead in a thread (cpu) or on the GPU (cuda)', optional(choice('cpu', 'cuda')), '~'),
    'num_prefetch_queue': Key('batches that prefetch_mode: cpu reads ahead', integer(1), '1'),
    'pin_memory': Key('page-locked memory, for faster copies to a GPU', BOOLEAN, 'false'),
    'persistent_workers': Key('keep the loader processes from epoch to epoch', BOOLEAN, 'false'),
    'on_bad_sample': Key(
        'what training does with a sample that cannot be read: error stops; skip takes the next and counts',
        choice('error', 'skip'),
        'error',
    ),
    'use_shuffle': UNREAD,
}

IO_BACKEND: Keys = {
    'type': Key('disk: a folder of images; lmdb: an LMDB folder', choice('disk', 'lmdb', 'memcached'), needed='always'),
    'server_list_cfg': Key('configuration of memcached', TEXT),
    'client_cfg': Key('configuration of memcached', TEXT),
    'sys_path': Key('where the Python package mc is', optional(TEXT), '~'),
}

_GT = {'dataroot_gt': Key('ground truth: a folder of images or an LMDB', TEXT, needed='always')}
_LQ = {'dataroot_lq': Key('input images: a folder or an LMDB', TEXT, needed='always')}
_META_FILE = {'meta_info_file': Key('list of the images to use, one a line', optional(TEXT), '~')}
_AUGMENT = {
    'use_hflip': Key('flip horizontally, half of the time', BOOLEAN, needed='train'),
    'use_rot': Key('flip vertically and transpose, each half of the time', BOOLEAN, needed='train'),
}
_CROP = {'gt_size': Key('side of the square cut from the ground truth, pixels', integer(1), needed='train')}
_NORMALIZE = {
    'mean': Key('subtracted from each channel', optional(list_of(number())), '~'),
    'std': Key('each channel is divided by it', optional(list_of(number(above=0))), '~'),
}
_PAIR = {
    **_GT,
    **_LQ,
    **_CROP,
    **_AUGMENT,
    **_NORMALIZE,
    'filename_tmpl': Key("an input's name from that of its ground truth, e.g. '{}x4'", TEXT, "'{}'"),
}
_COLOR_Y = {'color': Key('y: luma only; anything else: RGB', optional(TEXT), '~')}
_CLIP = {
    **_GT,
    **_LQ,
    'meta_info_file': Key('list of the clips, one a line', TEXT, needed='always'),
    'num_frame': Key('frames of a sample', integer(-1), needed='always'),
}
_TRAIN_CLIP = {
    **_CLIP,
    **_CROP,
    **_AUGMENT,
    'random_reverse': Key('reverse the order of frames, half of the time', BOOLEAN, 'false'),
    'interval_list': Key('steps between frames to choose from', list_of(integer(1), least=1), '[1]'),
}
_TEST_CLIP = {
    **_GT,
    **_LQ,
    **_META_FILE,
    'cache_data': Key('keep all frames in memory', BOOLEAN, needed='always'),
    'num_frame': Key('frames of a sample (without effect on recurrent networks)', integer(-1), needed='always'),
    'padding': Key(
        'frames beyond the ends', choice('replicate', 'reflection', 'reflection_circle', 'circle'), 'replicate'
    ),
}
_REDS = {
    **_TRAIN_CLIP,
    'val_partition': Key('clips left out of training', choice('REDS4', 'official'), needed='always'),
    'dataroot_flow': Key('optical flow: a folder or an LMDB', optional(TEXT), '~'),
}
# This package's own: augmentation has defaults, and grey images are read as one channel.
_OURS = {
    **_GT,
    **_CROP,
    'use_hflip': Key('flip horizontally, half of the time', BOOLEAN, 'true'),
    'use_rot': Key('flip vertically and transpose, each half of the time', BOOLEAN, 'true'),
    'color': Key('channels to read: three or one', choice('rgb', 'gray'), 'rgb'),
}
_SIGMA = {
    'sigma': Key(
        'noise level on the scale of 0 to 255; for training also a range [low, high]',
        either(number(0), list_of(number(0), 2)),
        needed='always',
    )
}


def _blur(order: str) -> dict[str, Key]:
    """Return the keys of RealESRGANDataset's first ('') or second ('2') blur."""
    return {
        f'blur_kernel_size{order}': Key('side of the blur kernel, pixels', integer(1), needed='always'),
        f'kernel_list{order}': Key('kinds of kernel', list_of(TEXT, least=1), needed='always'),
        f'kernel_prob{order}': Key('probability of each kind', list_of(PROBABILITY, least=1), needed='always'),
        f'sinc_prob{order}': Key('probability of a sinc filter', PROBABILITY, needed='always'),
        f'blur_sigma{order}': Key('range of the standard deviation, pixels', RANGE, needed='always'),
        f'betag_range{order}': Key('range of the shape of generalised Gaussians', RANGE, needed='always'),
        f'betap_range{order}': Key('range of the shape of plateaus', RANGE, needed='always'),
    }


def _degradation(order: str) -> dict[str, Key]:
    """Return the top-level keys of Real-ESRGAN's models for their first ('') or second ('2') degradation."""
    return {
        f'resize_prob{order}': Key('probabilities of up, down, keep', list_of(PROBABILITY, 3), needed='train'),
        f'resize_range{order}': Key('range of the factor', RANGE, needed='train'),
        f'gaussian_noise_prob{order}': Key('probability of Gaussian noise', PROBABILITY, needed='train'),
        f'noise_range{order}': Key('range of its level, of 255', RANGE, needed='train'),
        f'poisson_scale_range{order}': Key('range of the level of Poisson noise', RANGE, needed='train'),
        f'gray_noise_prob{order}': Key('probability of grey noise', PROBABILITY, needed='train'),
        f'jpeg_range{order}': Key('range of the JPEG quality', RANGE, needed='train'),
    }


DATASETS: Mapping[str, Keys] = {
    'PairedImageDataset': {**_PAIR, **_META_FILE, **_COLOR_Y},
    'SingleImageDataset': {**_LQ, **_META_FILE, **_NORMALIZE, **_COLOR_Y},
    'FFHQDataset': {
        **_GT,
        'use_hflip': _AUGMENT['use_hflip'],
        'mean': Key('subtracted from each channel', list_of(number(), 3), needed='always'),
        'std': Key('each channel is divided by it', list_of(number(above=0), 3), needed='always'),
    },
    'RealESRGANDataset': {
        **_GT,
        **_AUGMENT,
        'meta_info': Key('list of the images, one a line', TEXT),
        **_blur(''),
        **_blur('2'),
        'final_sinc_prob': Key('probability of a sinc filter at the end', PROBABILITY, needed='always'),
        'gt_size': UNREAD,
    },
    'RealESRGANPairedDataset': {
        **_PAIR,
        'meta_info': Key('list of the pairs, `GT, LQ` a line', optional(TEXT), '~'),
    },
    'REDSDataset': {
        **_REDS,
        'random_reverse': Key('reverse the order of frames, half of the time', BOOLEAN, needed='always'),
        'interval_list': Key('steps between frames to choose from', list_of(integer(1), least=1), needed='always'),
    },
    'REDSRecurrentDataset': {**_REDS, 'test_mode': Key('read the clips left out instead', BOOLEAN, needed='always')},
    'Vimeo90KDataset': {
        **_TRAIN_CLIP,
        'random_reverse': Key('reverse the order of frames, half of the time', BOOLEAN, needed='always'),
    },
    'Vimeo90KRecurrentDataset': {
        **_TRAIN_CLIP,
        'flip_sequence': Key('append the reversed clip', BOOLEAN, needed='always'),
        'random_reverse': Key('reverse the order of frames, half of the time', BOOLEAN, needed='always'),
    },
    'VideoTestDataset': _TEST_CLIP,
    'VideoTestDUFDataset': {
        **_TEST_CLIP,
        'use_duf_downsampling': Key('make the input from the ground truth, as DUF does', BOOLEAN, needed='always'),
    },
    'VideoTestVimeo90KDataset': {**_TEST_CLIP, 'meta_info_file': _CLIP['meta_info_file']},
    'VideoRecurrentTestDataset': {**_TEST_CLIP, 'num_frame': Key('without effect', integer(-1), '-1')},
    'BicubicSRDataset': _OURS,
    'GaussianNoiseDataset': {**_OURS, **_SIGMA},
    'BlurDataset': {
        **_OURS,
        **_SIGMA,
        'kernels': Key(
            '.npy files of kernels, or folders of them; one file to validate and test', list_of(TEXT, least=1)
        ),
        'kernel_size': Key('side of synthetic kernels, odd, pixels', integer(3)),
        'kernel_kinds': Key(
            'what a training sample draws its kernel from: the files (bank), synthetic ones',
            list_of(choice('bank', 'gaussian', 'motion'), least=1),
            '[bank], or [gaussian, motion] without files',
        ),
        'noise_free_prob': Key('probability that a training sample gets no noise', PROBABILITY, '0'),
        'scales': Key(
            'decimations one of which every training batch draws, instead of scale', list_of(integer(1), least=1)
        ),
    },
}

PATH: Keys = {
    'resume_state': Key('a .state file to go on from', optional(TEXT), '~'),
    'ignore_resume_networks': Key('networks that keep their pretrained weights on resuming', list_of(TEXT), '[]'),
}

NETWORK: Keys = {
    'converse': Key('parts to exchange for reverse convolutions (docs/mixing.md)', optional(SECTION), '~'),
}
"""Keys of a network's section that are no arguments of its class."""

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

_OPTIMIZER = {
    'optim_g': Key('optimiser of the network', SECTION, needed='always', registry='optimizer'),
    'scheduler': Key('how the learning rate falls', SECTION, needed='always', registry='scheduler'),
}

_EMA = {'ema_decay': Key('decay of the moving average of the weights; 0: none', number(0, below=1), '0')}
_PIXEL = {'pixel_opt': Key('loss on pixels', optional(SECTION), '~', registry='loss')}
_PERCEPTUAL = {'perceptual_opt': Key('perceptual and style loss', optional(SECTION), '~', registry='loss')}
_SR = {**_OPTIMIZER, **_EMA, **_PIXEL, **_PERCEPTUAL}
_GAN = {
    **_SR,
    'optim_d': Key('optimiser of the discriminator', SECTION, needed='always', registry='optimizer'),
    'gan_opt': Key('adversarial loss', SECTION, needed='always', registry='loss'),
    'net_d_iters': Key('the generator is trained every so many iterations', integer(1), '1'),
    'net_d_init_iters': Key('iterations that train the discriminator alone', integer(0), '0'),
}
_DISCRIMINATOR = {'network_d': Key('the discriminator', SECTION, needed='train', registry='arch')}
_LDL = {'ldl_opt': Key('loss on artefacts (LDL)', optional(SECTION), '~', registry='loss')}
_FLOW = {
    'fix_flow': Key('iterations that leave the optical flow network as it is', optional(integer(0)), '~'),
    'flow_lr_mul': Key("the flow network's share of the learning rate", number(0), '1'),
}
_VIDEO_VAL = {
    'flip_seq': Key('average over the clip and its reverse', BOOLEAN, 'false'),
    'center_frame_only': Key('score the middle frame only', BOOLEAN, 'false'),
}
_REAL_ESRGAN = {
    **_degradation(''),
    'second_blur_prob': Key('probability of the second blur', PROBABILITY, needed='train'),
    **_degradation('2'),
    'gt_size': Key('side of the square that is trained on, pixels', integer(1), needed='train'),
    'queue_size': Key('samples from which batches are mixed', integer(1), '180'),
    'high_order_degradation': Key('degrade on the GPU; false: take the pairs as they are', BOOLEAN, 'true'),
}


@dataclass(frozen=True)
class ModelKeys:
    """The keys that a model reads beside those of every model, by section.

    Attributes:
        options: At the top of the file.
        train: In ``train``.
        val: In ``val``.
        one_loss_of: In ``train``, of which at least one must be given.
    """

    options: Keys = field(default_factory=dict)
    train: Keys = field(default_factory=dict)
    val: Keys = field(default_factory=dict)
    one_loss_of: tuple[str, ...] = ()


_NEEDS_A_LOSS = ('pixel_opt', 'perceptual_opt')

_STEP = {
    'amp': Key('precision of the forward pass; fp16 needs a GPU', choice('bf16', 'fp16', 'no', False), "'no'"),
    'accum_iter': Key('batches whose gradients make one optimizer step', integer(1), '1'),
    'grad_clip': Key('largest L2 norm of all gradients together', optional(number(above=0)), '~'),
    'compile': Key('train with torch.compile', BOOLEAN, 'false'),
    'channels_last': Key('lay out weights and images with the channels last', BOOLEAN, 'false'),
    'nonfinite_limit': Key('iterations in succession that may be skipped as not finite', integer(1), '10'),
}

MODELS: Mapping[str, ModelKeys] = {
    'SRModel': ModelKeys(train=_SR, one_loss_of=_NEEDS_A_LOSS),
    'SwinIRModel': ModelKeys(train=_SR, one_loss_of=_NEEDS_A_LOSS),
    'RestorationModel': ModelKeys(
        train={**_SR, **_STEP},
        val={
            'self_ensemble': Key('average over the eight flips and transpositions of the input', BOOLEAN, 'false'),
        },
        one_loss_of=_NEEDS_A_LOSS,
    ),
    'VideoBaseModel': ModelKeys(train=_SR, one_loss_of=_NEEDS_A_LOSS),
    'EDVRModel': ModelKeys(
        train={
            **_SR,
            'tsa_iter': Key('iterations that train only the fusion of frames', optional(integer(0)), '~'),
            'dcn_lr_mul': Key("the deformable convolutions' share of the learning rate", number(0), '1'),
        },
        one_loss_of=_NEEDS_A_LOSS,
    ),
    'VideoRecurrentModel': ModelKeys(train={**_SR, **_FLOW}, val=_VIDEO_VAL, one_loss_of=_NEEDS_A_LOSS),
    'VideoRecurrentGANModel': ModelKeys(
        options=_DISCRIMINATOR,
        train={
            **_GAN,
            'fix_flow': Key('give the optical flow network a learning rate of its own', ANYTHING, needed='always'),
            'lr_flow': Key('its learning rate', number(0)),
        },
        val=_VIDEO_VAL,
    ),
    'SRGANModel': ModelKeys(options=_DISCRIMINATOR, train={**_GAN, **_LDL}),
    'ESRGANModel': ModelKeys(options=_DISCRIMINATOR, train={**_GAN, **_LDL}),
    'VideoGANModel': ModelKeys(options=_DISCRIMINATOR, train={**_GAN, **_LDL}),
    'HiFaceGANModel': ModelKeys(
        options=_DISCRIMINATOR,
        train={**_GAN, 'feature_matching_opt': Key('loss on features', optional(SECTION), '~', registry='loss')},
    ),
    'StyleGAN2Model': ModelKeys(
        options=_DISCRIMINATOR,
        train={
            **_OPTIMIZER,
            **{name: key for name, key in _GAN.items() if name not in _SR},
            'r1_reg_weight': Key('weight of the R1 regularisation', number(0), needed='always'),
            'path_batch_shrink': Key('divides the batch for the path regularisation', number(1), needed='always'),
            'path_reg_weight': Key('weight of the path regularisation', number(0), needed='always'),
            'net_g_reg_every': Key('iterations between path regularisations', integer(1), needed='always'),
            'net_d_reg_every': Key('iterations between R1 regularisations', integer(1), needed='always'),
            'mixing_prob': Key('probability of mixing styles', PROBABILITY, needed='always'),
        },
        val={'num_val_samples': Key('images to make', integer(1), '16')},
    ),
    'RealESRNetModel': ModelKeys(
        options={**_REAL_ESRGAN, 'gt_usm': Key('sharpen the ground truth', BOOLEAN, needed='train')},
        train=_SR,
        one_loss_of=_NEEDS_A_LOSS,
    ),
    'RealESRGANModel': ModelKeys(
        options={
            **_DISCRIMINATOR,
            **_REAL_ESRGAN,
            'l1_gt_usm': Key('sharpen the ground truth of the loss on pixels', BOOLEAN, needed='train'),
            'percep_gt_usm': Key('sharpen the ground truth of the perceptual loss', BOOLEAN, needed='train'),
            'gan_gt_usm': Key('sharpen the ground truth of the adversarial loss', BOOLEAN, needed='train'),
        },
        train={**_GAN, **_LDL},
    ),
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
    'use_tb_logger': Key('write TensorBoard files to tb_logger/', BOOLEAN, 'false'),
    'wandb': Key('Weights & Biases', optional(SECTION), '~'),
}

WANDB: Keys = {
    'project': Key('project; ~: do not use it', optional(TEXT), '~'),
    'resume_id': Key('run to go on with', optional(TEXT), '~'),
}

DIST_PARAMS: Keys = {
    'backend': Key('of torch.distributed', choice('nccl', 'gloo', 'mpi'), 'nccl'),
    'port': Key('port of the first process (slurm)', integer(1, 65535), '29500'),
}

ARGUMENTS: Mapping[str, Keys] = {
    'optimizer': {
        'lr': Key('learning rate', number(above=0), needed='always'),
        'betas': Key('decay of the two moving averages', list_of(number(0, below=1), 2), '[0.9, 0.999]'),
        'weight_decay': Key('of the weights', number(0), '0'),
        'eps': Key('added to the denominator', number(0), '1e-8'),
    },
    'scheduler': {
        'milestones': Key('iterations at which the learning rate falls', list_of(count(0)), needed='always'),
        'gamma': Key('by what it is multiplied there', number(0), '0.1'),
        'restarts': Key('iterations at which it starts again', list_of(count(0)), '[0]'),
        'restart_weights': Key('its share of the first one at each start', list_of(number(0)), '[1]'),
        'periods': Key('lengths of the cosines, iterations', list_of(count(1), least=1), needed='always'),
        'eta_min': Key('learning rate at the end of a cosine', number(0), '0'),
    },
    'loss': {
        'loss_weight': Key('factor of the loss', number(), '1'),
        'reduction': Key('over pixels', choice('none', 'mean', 'sum'), 'mean'),
    },
    'metric': {
        'crop_border': Key('pixels left out at each side', integer(0), needed='always'),
        'test_y_channel': Key('compare luma only', BOOLEAN, 'false'),
        'input_order': Key('of the axes', choice('HWC', 'CHW'), 'HWC'),
        'better': Key('which way the metric is better', choice('higher', 'lower'), 'higher'),
    },
    'arch': {},
}
"""Closer limits for arguments that the registered class or function has; ``better`` is read by BasicSR's models."""

RENAMED = {
    'gpu_ids': 'num_gpu',
    'use_flip': 'use_hflip',
    'n_workers': 'num_worker_per_gpu',
    'num_worker': 'num_worker_per_gpu',
    'batch_size': 'batch_size_per_gpu',
    'niter': 'total_iter',
    'pretrain_model_g': 'pretrain_network_g',
    'pretrain_model_d': 'pretrain_network_d',
    'strict_load': 'strict_load_g',
    'pixel_weight': 'pixel_opt: {loss_weight: ...}',
}
"""Names of earlier versions of BasicSR, which today's ignores, and what they are called now."""

PROVIDERS = {
    'GFPGANv1': 'gfpgan',
    'GFPGANv1Clean': 'gfpgan',
    'GFPGANModel': 'gfpgan',
    'FFHQDegradationDataset': 'gfpgan',
    'CodeFormer': 'github.com/sczhou/CodeFormer',
    'DAT': 'github.com/zhengchen1999/DAT',
    'HAT': 'github.com/XPixelGroup/HAT',
    'HATModel': 'github.com/XPixelGroup/HAT',
    'NAFNet': 'github.com/megvii-research/NAFNet',
    'Restormer': 'github.com/swz30/Restormer',
    'SAFMN': 'github.com/sunny2109/SAFMN',
}
"""Names that option files out there use, and the plugin or repository that registers them."""
