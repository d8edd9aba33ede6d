"""Data, networks, losses, optimizers and metrics that do not fit each other: found before a run, not hours into it."""

import copy
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from converse_basicsr.errors import UserError
from converse_basicsr.options import check
from converse_basicsr.options.check import building, trials
from converse_basicsr.options.file import OptionFile

Options = dict[str, Any]
Change = Callable[[Options], object]

GAN = {'type': 'GANLoss', 'gan_type': 'vanilla', 'loss_weight': 0.1}
USRNET = {'type': 'ConverseUSRNet', 'num_feat': 4, 'num_block': 1, 'num_iter': 1, 'blur_kernel_size': 5}
RRDB = {'type': 'RRDBNet', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 4, 'num_block': 1, 'num_grow_ch': 4}
PERCEPTUAL_LOSS = {'type': 'PerceptualLoss', 'layer_weights': {'conv5_4': 1}}


@pytest.fixture
def single(run_options: Options, tmp_path: Path) -> Options:
    """The tiny run at scale 4 with data that are degraded as they are read."""
    import converse_basicsr

    converse_basicsr.register()
    for dataset in run_options['datasets'].values():
        dataset['type'] = 'BicubicSRDataset'
        del dataset['dataroot_lq']
    return run_options


@pytest.fixture
def blurred(single: Options, tmp_path: Path) -> Options:
    """A network that takes the kernel and the scale, with data that give both."""
    np.save(tmp_path / 'kernel.npy', np.full((5, 5), 0.04))
    np.save(tmp_path / 'kernel7.npy', np.full((7, 7), 1 / 49))
    single.update(model_type='RestorationModel', scale=1, network_g=copy.deepcopy(USRNET))
    for dataset in single['datasets'].values():
        dataset.update(type='BlurDataset', sigma=2, kernels=[str(tmp_path / 'kernel.npy')])
    return single


def verdict(options: Options, *, is_train: bool = True) -> list[str]:
    try:
        check.require_runnable(OptionFile(Path('run.yml'), options), is_train=is_train)
    except UserError as error:
        return list(error.lines)
    return []


def of(key_path: str, value: Any) -> Change:
    """A change of one key."""
    *sections, key = key_path.split(':')

    def change(options: Options) -> None:
        for section in sections:
            options = options[section]
        options[key] = value

    return change


def discriminated(options: Options, network: Options) -> None:
    options.update(model_type='SRGANModel', network_d=network)
    options['train'].update(optim_d={'type': 'Adam', 'lr': 1e-3}, gan_opt=dict(GAN))


def of_gan(loss: Options) -> Change:
    def change(options: Options) -> None:
        discriminated(options, {'type': 'UNetDiscriminatorSN', 'num_in_ch': 3, 'num_feat': 4})
        options['train']['gan_opt'] = loss

    return change


def without_gt(options: Options) -> None:
    val = options['datasets']['val']
    options['datasets']['val'] = {
        **{key: val[key] for key in ('name', 'io_backend')},
        'type': 'SingleImageDataset',
        'dataroot_lq': val['dataroot_gt'],
    }


DATA: list[tuple[Change, str]] = [
    (of('datasets:val:color', 'gray'), 'datasets:val: BicubicSRDataset gives inputs of 1 x 10 x 12'),
    (of('datasets:train:color', 'gray'), 'takes 3 channel(s)'),
    (of('datasets:train:batch_size_per_gpu', 21), '20 images x dataset_enlarge_ratio 1 fill no batch of 21'),
    (of('datasets:train:dataset_enlarge_ratio', 1e12), 'dataset_enlarge_ratio: makes an epoch of 20 images x'),
    (of('network_g', {**RRDB, 'num_in_ch': 1}), 'RRDBNet (network_g) takes 1 channel(s); color: gray reads one'),
    (of('network_g', {**RRDB, 'num_out_ch': 1}), 'makes 1 x 16 x 16 of it; channels, scale and sizes must agree'),
    (of('network_g', {'type': 'ConverseNet', 'num_feat': 4, 'num_block': 1}), 'ground truth of 3 x 16 x 16, but'),
    (without_gt, 'datasets:val:type: SingleImageDataset gives no gt (the ground truth), which the metric psnr needs'),
    (lambda o: o.update(network_g=copy.deepcopy(USRNET)), 'needs kernel, which model_type RestorationModel gives it'),
    (
        lambda o: o.update(network_g=copy.deepcopy(USRNET), model_type='RestorationModel'),
        'BicubicSRDataset gives no kernel, which ConverseUSRNet needs',
    ),
    (
        lambda o: discriminated(o, {'type': 'VGGStyleDiscriminator', 'num_in_ch': 3, 'num_feat': 4}),
        'network_d: VGGStyleDiscriminator fails on the ground truth of 3 x 16 x 16',
    ),
    (
        lambda o: discriminated(o, {'type': 'UNetDiscriminatorSN', 'num_in_ch': 1, 'num_feat': 4}),
        'network_d: UNetDiscriminatorSN fails on the ground truth of 3 x 16 x 16',
    ),
]


@pytest.mark.promise('data that do not suit the network or the metrics: channels, sizes, kernels, no ground truth')
@pytest.mark.parametrize(('change', 'message'), DATA, ids=[message for _, message in DATA])
def test_data_that_do_not_fit_the_network_or_the_metrics(single: Options, change: Change, message: str) -> None:
    assert verdict(copy.deepcopy(single)) == []
    change(single)
    assert message in '\n'.join(verdict(single))


BLURRED: list[tuple[Change, str]] = [
    (of('datasets:train:scales', [1, 2]), ''),
    (
        lambda o: (of('datasets:train:scales', [1, 2])(o), of('network_g', {'type': 'ConverseNet', 'num_feat': 4})(o)),
        'datasets:train:scales: BlurDataset gives inputs of 3 x 8 x 8 and ground truth of 3 x 16 x 16',
    ),
    (of('network_g', {'type': 'ConverseNet', 'num_feat': 4}), ''),
    (of('model_type', 'SRModel'), 'model_type RestorationModel gives it and SRModel does not'),
    (of('val:self_ensemble', True), ''),
    (
        lambda o: (of('scale', 2)(o), of('val:self_ensemble', True)(o)),
        'val:self_ensemble: must be false for a network with a kernel and a scale above 1',
    ),
    (
        lambda o: (o.pop('scale'), of('datasets:val:scale', 2)(o), of('val:self_ensemble', True)(o)),
        'val:self_ensemble: must be false for a network with a kernel and a scale above 1',
    ),
    (of('datasets:val:color', 'gray'), 'datasets:val: BlurDataset gives inputs of 1 x 40 x 48'),
    (of('network_g:blur_kernel_size', 7), 'datasets:train: BlurDataset gives inputs of 3 x 16 x 16, on which'),
    (of('datasets:val:kernels', ['KERNEL7']), 'datasets:val: BlurDataset gives inputs of 3 x 40 x 48, on which'),
]


@pytest.mark.promise('`scales` or `self_ensemble` with a network that cannot do it')
@pytest.mark.parametrize(('change', 'message'), BLURRED)
def test_data_with_a_kernel_that_do_not_fit(blurred: Options, tmp_path: Path, change: Change, message: str) -> None:
    change(blurred)
    if blurred['datasets']['val']['kernels'] == ['KERNEL7']:
        blurred['datasets']['val']['kernels'] = [str(tmp_path / 'kernel7.npy')]
    lines = verdict(blurred)
    assert message in '\n'.join(lines)
    assert bool(lines) is bool(message)


def test_a_damaged_image_is_no_misfit(single: Options, tmp_path: Path) -> None:
    """It is a matter of on_bad_sample, or of the run; a set of nothing else is refused."""
    shutil.copytree(single['datasets']['val']['dataroot_gt'], tmp_path / 'images')
    single['datasets']['val']['dataroot_gt'] = str(tmp_path / 'images')
    single['val']['metrics'] = None
    for number, path in enumerate(sorted((tmp_path / 'images').iterdir())):
        damage(path)
        found = [line for line in verdict(single) if 'none of 2 samples can be read' in line]
        assert len(found) == number


def damage(path: Path) -> None:
    """Spoil the pixels of a PNG and nothing else: the header and every checksum stay right."""
    content = path.read_bytes()
    start = content.index(b'IDAT')
    length = int.from_bytes(content[start - 4 : start], 'big')
    data = b'IDAT' + bytes(length)
    end = start + 4 + length
    path.write_bytes(content[:start] + data + zlib.crc32(data).to_bytes(4, 'big') + content[end + 4 :])


def optimizer(**arguments: Any) -> Change:
    def change(options: Options) -> None:
        options['model_type'] = 'RestorationModel'
        options['train']['optim_g'] = arguments

    return change


STEPS: list[tuple[Change, str]] = [
    (optimizer(type='LBFGS', lr=1e-3), 'train:optim_g:type: LBFGS cannot make the steps of this training'),
    (optimizer(type='SparseAdam', lr=1e-3), 'train:optim_g:type: SparseAdam cannot make the steps of this training'),
    (optimizer(type='Adam', lr=1e-3, differentiable=True), 'train:optim_g:type: Adam cannot make the steps'),
    (optimizer(type='SGD', lr=1e-3, nesterov=True), 'train:optim_g: SGD cannot be built: Nesterov momentum requires'),
    (optimizer(type='Adam', lr=1e-3, foreach=True, fused=True), 'train:optim_g: Adam cannot be built'),
    (optimizer(type='AdamW', lr=1e-3), ''),
    (optimizer(type='SGD', lr=1e-3, momentum=0.9, nesterov=True), ''),
    (of('train:pixel_opt:reduction', 'none'), 'train:pixel_opt: L1Loss cannot be trained with as pixel_opt: grad can'),
    (
        of('train:pixel_opt', PERCEPTUAL_LOSS),
        'train:pixel_opt:type: must be a loss on pixels',
    ),
    (of('train:perceptual_opt', {'type': 'L1Loss'}), 'train:perceptual_opt:type: must be PerceptualLoss'),
    (of_gan({**GAN, 'gan_type': 'ragan'}), 'train:gan_opt: GANLoss cannot be built'),
    (of_gan({'type': 'L1Loss'}), 'train:gan_opt:type: must be an adversarial loss'),
]
if hasattr(torch.optim, 'Muon'):
    STEPS.append((optimizer(type='Muon', lr=1e-3), 'train:optim_g: Muon cannot be built: Muon only supports 2D'))


@pytest.mark.promise('an optimizer or loss that cannot train (LBFGS, SparseAdam, Muon, `reduction: none`)')
@pytest.mark.parametrize(('change', 'message'), STEPS, ids=[message for _, message in STEPS])
def test_what_cannot_make_a_step(single: Options, change: Change, message: str) -> None:
    change(single)
    lines = verdict(single)
    assert message in '\n'.join(lines)
    assert bool(lines) is bool(message)


def test_every_optimizer_of_torch_that_is_accepted_makes_steps(single: Options) -> None:
    """Whatever PyTorch has, or will have, is either refused or trains."""
    from basicsr.archs import build_network

    network = build_network(dict(single['network_g']))
    for name, cls in vars(torch.optim).items():
        if isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer) and cls is not torch.optim.Optimizer:
            optimizer(type=name, lr=1e-3)(single)
            if not list(trials.trial_problems(single, {'network_g': network}, set(), is_train=True)):
                network(torch.rand(1, 3, 8, 8)).sum().backward()
                cls(network.parameters(), lr=1e-3).step()


METRICS = [
    ({'type': 'calculate_psnr_pt', 'crop_border': 0}, 'calculate_psnr_pt cannot score'),
    ({'type': 'calculate_ssim_pt', 'crop_border': 0}, 'calculate_ssim can'),
    ({'type': 'calculate_psnr', 'crop_border': 0, 'better': 'higher'}, ''),
    ({'type': 'calculate_psnr_uint8', 'crop_border': 0, 'better': 'higher'}, ''),
    ({'type': 'calculate_ssim_uint8', 'crop_border': 0, 'better': 'lower'}, ''),
]


@pytest.mark.promise('a metric that cannot score what models hand over (`calculate_psnr_pt`)')
@pytest.mark.promise('`better` in the section of a metric that does not take it is a `TypeError`')
@pytest.mark.parametrize(('metric', 'message'), METRICS)
def test_metrics_that_cannot_score_images(single: Options, metric: Options, message: str) -> None:
    single['val']['metrics'] = {'score': metric}
    lines = verdict(single)
    assert message in '\n'.join(lines)
    assert bool(lines) is bool(message)


PERCEPTUAL = [
    ({'layer_weights': {'conv9_9': 1}}, "layer_weights: vgg19 has no layer 'conv9_9'"),
    ({'layer_weights': ['conv5_4']}, 'layer_weights: must be layers and their weights'),
    ({'layer_weights': {'conv5_4': 'x'}}, "layer_weights: conv5_4 must have a number, got 'x'"),
    ({'layer_weights': {'bn5_4': 1}}, "vgg19 has no layer 'bn5_4'"),
    ({'vgg_type': 'vgg20'}, "vgg_type: no VGG is named 'vgg20'; did you mean vgg"),
    ({'criterion': 'l3'}, "criterion: must be one of l1, l2, fro, got 'l3'"),
    ({}, 'which cannot be downloaded here (no network here); put the file at'),
]


@pytest.mark.promise('a perceptual loss of a layer that VGG lacks, or whose weights cannot be had')
@pytest.mark.parametrize(('arguments', 'message'), PERCEPTUAL)
def test_perceptual_losses(
    single: Options, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: Options, message: str
) -> None:
    from urllib import request

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError('no network here')

    monkeypatch.setattr(request, 'urlopen', refuse)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    single['train']['perceptual_opt'] = {'type': 'PerceptualLoss', 'layer_weights': {'conv5_4': 1}, **arguments}
    (line,) = verdict(copy.deepcopy(single))
    assert message in line
    if not arguments:
        file = tmp_path / 'cache' / 'hub' / 'checkpoints' / 'vgg19-dcbb9e9d.pth'
        assert str(file) in line
        file.parent.mkdir(parents=True)
        file.touch()
        assert verdict(single) == []


SIZES = [
    ({'num_feat': 0}, 'num_feat must be a positive integer'),
    ({**RRDB, 'num_feat': 0}, 'network_g:num_feat: makes a network whose'),
    ({'num_block': 10**9}, 'cannot be built: it has more than 2000 layers and parameters'),
    ({'num_feat': 10**6}, 'cannot be built: it needs 7'),
]


@pytest.mark.promise('a network too large for this machine, or empty (`num_block: 1000000000`, `num_feat: 0`)')
@pytest.mark.parametrize(('arguments', 'message'), SIZES)
def test_networks_of_impossible_sizes(
    single: Options, monkeypatch: pytest.MonkeyPatch, arguments: Options, message: str
) -> None:
    monkeypatch.setattr(building, 'MOST_PARTS', 2000)
    single['network_g'] = {**single['network_g'], **arguments} if 'type' not in arguments else arguments
    assert message in '\n'.join(verdict(single))


def on_cpu(model: str) -> Change:
    def change(options: Options) -> None:
        options['model_type'] = model

    return change


DEVICES = [
    (on_cpu('RealESRNetModel'), 'model_type: RealESRNetModel computes on a GPU only, and this run has none'),
    (on_cpu('RealESRGANModel'), 'model_type: RealESRGANModel computes on a GPU only, and this run has none'),
    (
        lambda o: (on_cpu('VideoBaseModel')(o), of('val:save_img', True)(o)),
        'val:save_img: must be false: models of videos save no images while training',
    ),
    (on_cpu('VideoBaseModel'), 'val:metrics: VideoBaseModel collects metrics on a GPU only'),
    (on_cpu('VideoRecurrentModel'), 'val: VideoRecurrentModel validates on a GPU only'),
    (
        of('network_g', {'type': 'StyleGAN2Generator', 'out_size': 32, 'channel_multiplier': 1}),
        'network_g:type: StyleGAN2Generator needs fused_act_ext, which is compiled for GPUs',
    ),
]


@pytest.mark.promise('models that need a GPU, or networks that need compiled operators, where there are none')
@pytest.mark.parametrize(('change', 'message'), DEVICES, ids=[message for _, message in DEVICES])
def test_models_for_gpus_on_the_cpu(single: Options, change: Change, message: str) -> None:
    fused_act = pytest.importorskip('basicsr.ops.fused_act.fused_act')
    if hasattr(fused_act, 'fused_act_ext') and 'fused_act_ext' in message:
        pytest.skip('this BasicSR has its compiled operators')
    change(single)
    assert message in '\n'.join(verdict(single))


@pytest.mark.parametrize('command', ['train', 'check'])
def test_the_commands_refuse_it_before_anything_is_written(
    basicsr: Callable[..., int], single: Options, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    single['datasets']['val']['color'] = 'gray'
    assert basicsr(command, single) == 2
    assert 'datasets:val: BicubicSRDataset gives inputs of 1 x 10 x 12' in capsys.readouterr().err
    assert [path.name for path in Path().iterdir() if path.suffix == '.yml'] == ['run.yml']
    assert not Path('experiments/tiny').exists()


def test_a_test_set_that_does_not_fit_is_refused(
    basicsr: Callable[..., int], single: Options, capsys: pytest.CaptureFixture[str]
) -> None:
    from basicsr.archs import build_network

    torch.save(build_network(dict(single['network_g'])).state_dict(), 'flat.pth')
    single['datasets'] = {'test': {**single['datasets']['val'], 'color': 'gray'}}
    single['path'] = {'pretrain_network_g': 'flat.pth'}
    del single['train'], single['logger'], single['val']['val_freq']
    assert basicsr('test', single) == 2
    assert 'datasets:test: BicubicSRDataset gives inputs of 1 x 10 x 12' in capsys.readouterr().err
    assert not Path('results/tiny').exists()
