"""The keys that some models read besides those of every model."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from converse_basicsr.models.training_options import TrainingOptions
from converse_basicsr.options.keys.definition import Key, Keys
from converse_basicsr.options.keys.shared import PROBABILITY, RANGE
from converse_basicsr.values import ANYTHING, BOOLEAN, SECTION, integer, list_of, number, optional, shown


def _degradation(order: str) -> dict[str, Key]:
    """Return the top-level keys of Real-ESRGAN's models for their first ('') or second ('2') degradation."""
    return {
        f'resize_prob{order}': Key(
            'probabilities of enlarging, shrinking, keeping', list_of(PROBABILITY, 3), needed='train'
        ),
        f'resize_range{order}': Key('range of the factor', RANGE, needed='train'),
        f'gaussian_noise_prob{order}': Key('probability of Gaussian noise', PROBABILITY, needed='train'),
        f'noise_range{order}': Key('range of its level, on the scale of 0 to 255', RANGE, needed='train'),
        f'poisson_scale_range{order}': Key('range of the level of Poisson noise', RANGE, needed='train'),
        f'gray_noise_prob{order}': Key('probability of grey noise', PROBABILITY, needed='train'),
        f'jpeg_range{order}': Key('range of the JPEG quality', RANGE, needed='train'),
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
    'net_d_iters': Key('the generator is trained once in this many iterations', integer(1), '1'),
    'net_d_init_iters': Key('iterations that train the discriminator alone', integer(0), '0'),
}
_DISCRIMINATOR = {'network_d': Key('the discriminator', SECTION, needed='train', registry='arch')}
_LDL = {'ldl_opt': Key('loss on artefacts (LDL)', optional(SECTION), '~', registry='loss')}
_FLOW = {
    'fix_flow': Key('iterations before the optical flow network is trained', optional(integer(0)), '~'),
    'flow_lr_mul': Key('factor of the learning rate for the flow network', number(0), '1'),
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
    """The keys that a model reads besides those of every model, by section.

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
    field.name: Key(field.metadata['meaning'], field.metadata['schema'], shown(field.default))
    for field in fields(TrainingOptions)
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
            'dcn_lr_mul': Key('factor of the learning rate for the deformable convolutions', number(0), '1'),
        },
        one_loss_of=_NEEDS_A_LOSS,
    ),
    'VideoRecurrentModel': ModelKeys(train={**_SR, **_FLOW}, val=_VIDEO_VAL, one_loss_of=_NEEDS_A_LOSS),
    'VideoRecurrentGANModel': ModelKeys(
        options=_DISCRIMINATOR,
        train={
            **_GAN,
            'fix_flow': Key('give the optical flow network a learning rate of its own', ANYTHING, needed='always'),
            'lr_flow': Key('learning rate of the optical flow network', number(0)),
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
