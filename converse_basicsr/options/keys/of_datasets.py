"""The keys of data sets: the common ones, and those of each dataset class of BasicSR and of this package."""

from collections.abc import Mapping

from converse_basicsr.data.kernel_kinds import KERNEL_KINDS
from converse_basicsr.options.keys.definition import Key, Keys
from converse_basicsr.options.keys.shared import PROBABILITY, RANGE, UNREAD
from converse_basicsr.values import (
    BOOLEAN,
    FILE_NAME_PART,
    NAME_TEMPLATE,
    SECTION,
    TEXT,
    choice,
    either,
    integer,
    list_of,
    number,
    optional,
)

DATASET: Keys = {
    'name': Key('name in logs and folders; different for each validation set', FILE_NAME_PART, needed='always'),
    'type': Key('a registered dataset', TEXT, needed='always'),
    'io_backend': Key('how images are stored', SECTION, needed='always'),
    'prepare': Key('the command that makes the data, named when they are absent', TEXT),
    'scale': Key(
        'size of the ground truth divided by that of the input; where the file has a scale, that one holds',
        integer(1),
        '1',
    ),
    # data loader
    'num_worker_per_gpu': Key('loader processes per GPU', integer(0), needed='train'),
    'batch_size_per_gpu': Key('samples of a batch per GPU', integer(1), needed='train'),
    'dataset_enlarge_ratio': Key('number of times that an epoch uses each image', number(above=0), '1'),
    'prefetch_mode': Key('read ahead in a thread (cpu) or on the GPU (cuda)', optional(choice('cpu', 'cuda')), '~'),
    'num_prefetch_queue': Key('batches that prefetch_mode: cpu reads ahead', integer(1), '1'),
    'pin_memory': Key('page-locked memory, for faster copies to a GPU', BOOLEAN, 'false'),
    'persistent_workers': Key('keep the loader processes from epoch to epoch', BOOLEAN, 'false'),
    'on_bad_sample': Key(
        'what training does at a sample that cannot be read: stop (error), or count it and take the next (skip)',
        choice('error', 'skip'),
        'error',
    ),
    'use_shuffle': UNREAD,
}

IO_BACKEND: Keys = {
    'type': Key('disk: a folder of images; lmdb: an LMDB folder', choice('disk', 'lmdb', 'memcached'), needed='always'),
    'server_list_cfg': Key('configuration of memcached', TEXT),
    'client_cfg': Key('configuration of memcached', TEXT),
    'sys_path': Key('must be ~: the Python package mc is found as others are, by PYTHONPATH say', optional(TEXT), '~'),
}

_GT = {'dataroot_gt': Key('ground truth: a folder of images or an LMDB', TEXT, needed='always')}
_LQ = {'dataroot_lq': Key('input images: a folder or an LMDB', TEXT, needed='always')}
_META_FILE = {'meta_info_file': Key('list of the images to use, one per line', optional(TEXT), '~')}
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
    'filename_tmpl': Key("an input's name from that of its ground truth, e.g. '{}x4'", NAME_TEMPLATE, "'{}'"),
}
_COLOR_Y = {'color': Key('y: luma only; anything else: RGB', optional(TEXT), '~')}
_CLIP = {
    **_GT,
    **_LQ,
    'meta_info_file': Key('list of the clips, one per line', TEXT, needed='always'),
    'num_frame': Key('frames of a sample', integer(-1, 10_000), needed='always'),
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
    'num_frame': Key('frames of a sample (without effect on recurrent networks)', integer(-1, 10_000), needed='always'),
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
        'meta_info': Key('list of the images, one per line', TEXT),
        **_blur(''),
        **_blur('2'),
        'final_sinc_prob': Key('probability of a sinc filter at the end', PROBABILITY, needed='always'),
        'gt_size': UNREAD,
    },
    'RealESRGANPairedDataset': {
        **_PAIR,
        'meta_info': Key('list of the pairs, one `GT, LQ` per line', optional(TEXT), '~'),
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
            '.npy files of kernels, or folders of them; a single file for validation and test', list_of(TEXT, least=1)
        ),
        'kernel_size': Key('side of synthetic kernels, odd, pixels', integer(3)),
        'kernel_kinds': Key(
            'kernels that training draws from: the files (bank), synthetic kinds',
            list_of(choice(*KERNEL_KINDS), least=1),
            '[bank], or [gaussian, motion] without files',
        ),
        'noise_free_prob': Key('probability that a training sample gets no noise', PROBABILITY, '0'),
        'scales': Key(
            'decimation factors of which every training batch draws one, instead of scale',
            list_of(integer(1), least=1),
        ),
    },
}
