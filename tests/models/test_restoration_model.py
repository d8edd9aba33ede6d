import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from devices import assert_identical
from tiny_run import only_log, smooth_image
from torch import nn

import converse_basicsr

converse_basicsr.register()

from basicsr.models import build_model  # noqa: E402

from converse_basicsr.checkpoints.files import VERSION_KEY  # noqa: E402
from converse_basicsr.models.restoration_model import RestorationModel, turned, turned_back  # noqa: E402

Options = Callable[..., dict[str, Any]]


@pytest.fixture
def model_options(num_gpu: int) -> Options:
    """Options of a model on the device under test."""

    def model_options(network: dict[str, Any], **val: Any) -> dict[str, Any]:
        return {
            'name': 'x',
            'model_type': 'RestorationModel',
            'is_train': False,
            'dist': False,
            'num_gpu': num_gpu,
            'rank': 0,
            'path': {},
            'network_g': network,
            'val': val,
        }

    return model_options


TINY_USR = {'type': 'ConverseUSRNet', 'num_feat': 4, 'num_block': 1, 'num_iter': 2, 'blur_kernel_size': 5}


def heed_kernel(model: RestorationModel) -> RestorationModel:
    """Let a new ConverseUSRNet's output depend on the blur kernel, which it starts without."""
    nn.init.normal_(model.net_g.kernelnet.fc3.weight, std=0.1)
    return model


def sample(kernel_shape: tuple[int, int] = (5, 5)) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    kernel = torch.rand(1, 1, *kernel_shape)
    return {'lq': torch.rand(1, 3, 14, 18), 'kernel': kernel / kernel.sum(), 'sigma': torch.full((1, 1, 1, 1), 0.01)}


def test_the_network_gets_what_its_forward_names(model_options: Options) -> None:
    data = sample()
    model = heed_kernel(build_model(model_options(TINY_USR)))
    model.feed_data(data)
    model.test()
    with torch.no_grad():
        lq, kernel = (data[name].to(model.device) for name in ('lq', 'kernel'))
        assert_identical(model.output, model.net_g.forward(lq, kernel))
        assert not torch.allclose(model.output, model.net_g.forward(lq, kernel.flip(-1)))


def test_scale_and_noise_level_reach_the_network(model_options: Options) -> None:
    network = {'type': 'USRNet', 'num_iter': 1, 'num_feat': 4, 'num_block': 1}
    options = {**model_options(network), 'scale': 2}
    data = sample()
    model = build_model(options)
    model.feed_data(data)
    model.test()
    with torch.no_grad():
        lq, kernel, sigma = (data[name].to(model.device) for name in ('lq', 'kernel', 'sigma'))
        expected = model.net_g.forward(lq, kernel, 2, sigma)
    assert model.output.shape[-2:] == (28, 36)
    assert_identical(model.output, expected)


def test_any_network_of_basicsr_works(model_options: Options) -> None:
    model = build_model(model_options({'type': 'MSRResNet', 'num_feat': 4, 'num_block': 1, 'upscale': 2}))
    model.feed_data(sample())
    model.test()
    assert model.output.shape == (1, 3, 28, 36)


def test_a_missing_condition_is_named(model_options: Options) -> None:
    model = build_model(model_options(TINY_USR))
    with pytest.raises(ValueError, match='the dataset must give kernel'):
        model.feed_data({'lq': torch.rand(1, 3, 8, 8)})


@pytest.mark.parametrize('turn', range(8))
def test_turns_are_undone(turn: int) -> None:
    image = torch.rand(1, 3, 5, 7)
    assert torch.equal(turned_back(turned(image, turn), turn), image)


def test_the_eight_turns_differ() -> None:
    image = torch.rand(1, 1, 4, 4)
    assert len({turned(image, turn).contiguous().numpy().tobytes() for turn in range(8)}) == 8


@pytest.mark.parametrize('turn', range(8))
def test_self_ensemble_commutes_with_every_turn(model_options: Options, turn: int) -> None:
    """The mean over all turns of image and kernel must turn with the input, which the plain network does not."""
    model = heed_kernel(build_model(model_options(TINY_USR, self_ensemble=True)))
    plain = build_model(model_options(TINY_USR))
    plain.net_g.load_state_dict(model.net_g.state_dict())
    data = sample()
    outputs = []
    for number in (0, turn):
        model.feed_data({**data, 'lq': turned(data['lq'], number), 'kernel': turned(data['kernel'], number)})
        model.test()
        outputs.append(model.output)
    assert torch.allclose(turned(outputs[0], turn), outputs[1], atol=1e-5)
    plain.feed_data(data)
    plain.test()
    assert not torch.allclose(plain.output, outputs[0], atol=1e-4)


def test_self_ensemble_with_kernel_and_scale_is_refused(model_options: Options) -> None:
    with pytest.raises(ValueError, match='self_ensemble must be false'):
        build_model({**model_options(TINY_USR, self_ensemble=True), 'scale': 2})


@pytest.fixture
def blur_options(run_options: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """A training run of a tiny Converse-USRNet on synthetic blur, with EMA and self-ensemble."""
    (tmp_path / 'sharp').mkdir()
    for number in range(4):
        image = smooth_image(np.random.default_rng(number), 40, 40)
        cv2.imwrite(str(tmp_path / f'sharp/{number}.png'), image)
    np.save(tmp_path / 'k.npy', np.ones((5, 5)) / 25)
    common = {'type': 'BlurDataset', 'dataroot_gt': 'sharp', 'io_backend': {'type': 'disk'}, 'sigma': 2.55}
    del run_options['scale']
    run_options['model_type'] = 'RestorationModel'
    run_options['network_g'] = dict(TINY_USR)
    train = {**run_options['datasets']['train'], **common, 'kernel_size': 5, 'gt_size': 16, 'dataset_enlarge_ratio': 4}
    del train['dataroot_lq']
    run_options['datasets'] = {'train': train, 'val': {**common, 'name': 'val', 'kernels': ['k.npy']}}
    run_options['train']['ema_decay'] = 0.9
    run_options['val']['self_ensemble'] = True
    return run_options


def test_training_validation_and_resuming(basicsr: Callable[..., int], blur_options: dict[str, Any]) -> None:
    assert basicsr('train', blur_options) == 0
    assert 'psnr' in only_log()
    blur_options['train']['total_iter'] = 6
    assert basicsr('train', blur_options, '--auto_resume') == 0
    assert 'Resuming training' in only_log()
    saved = torch.load('experiments/tiny/models/net_g_latest.pth')
    assert set(saved) == {'params', 'params_ema', 'network_g', VERSION_KEY}
    changed = [name for name, value in saved['params'].items() if not torch.equal(value, saved['params_ema'][name])]
    assert changed


@pytest.mark.slow
def test_fine_tuning_from_the_released_flat_checkpoint_with_ema(
    basicsr: Callable[..., int], blur_options: dict[str, Any], shared_data: Path
) -> None:
    blur_options['network_g'] = {'type': 'ConverseUSRNet'}
    blur_options['path'] = {
        'pretrain_network_g': str(shared_data / 'model_zoo/converse_usrnet.pth'),
        'param_key_g': None,
    }
    blur_options['train'].update(total_iter=1, optim_g={'type': 'Adam', 'lr': 1e-9})
    blur_options['datasets']['train']['kernel_size'] = 7
    np.save('k.npy', np.ones((7, 7)) / 49)
    blur_options['val']['self_ensemble'] = False
    assert basicsr('train', blur_options) == 0
    saved = torch.load('experiments/tiny/models/net_g_latest.pth')
    released = torch.load(shared_data / 'model_zoo/converse_usrnet.pth')
    assert all(torch.allclose(saved['params_ema'][name], value, atol=1e-6) for name, value in released.items())


@pytest.mark.slow
@pytest.mark.parametrize(
    ('network', 'weights', 'table'),
    [('ConverseNet', 'conversenet', 'blind'), ('ConverseUSRNet', 'converse_usrnet', 'usr')],
)
def test_deblurring_by_the_tables_protocol(
    model_options: Options, shared_data: Path, tmp_path: Path, network: str, weights: str, table: str
) -> None:
    from basicsr.data import build_dataset
    from basicsr.metrics import calculate_metric
    from basicsr.utils import tensor2img

    (tmp_path / 'set').mkdir()
    (tmp_path / 'set/butterfly.png').write_bytes((shared_data / 'data/Set5/butterfly.png').read_bytes())
    kernels = [str(shared_data / 'data/blur_kernels/kernel_2.npy')]
    section = {'name': 'x', 'type': 'BlurDataset', 'phase': 'test', 'sigma': 2.55, 'kernels': kernels}
    dataset = build_dataset({**section, 'dataroot_gt': str(tmp_path / 'set'), 'io_backend': {'type': 'disk'}})
    options = model_options({'type': network})
    options['path'] = {'pretrain_network_g': str(shared_data / f'model_zoo/{weights}.pth'), 'param_key_g': None}
    model = build_model(options)
    model.feed_data({name: value[None] for name, value in dataset[0].items() if torch.is_tensor(value)})
    model.test()
    images = {'img': tensor2img(model.output), 'img2': tensor2img(dataset[0]['gt'])}
    psnr = calculate_metric(images, {'type': 'calculate_psnr_uint8', 'crop_border': 1})
    reference = json.loads((shared_data / 'data/reference_psnr.json').read_text())
    assert psnr == pytest.approx(reference[f'{table}_Set5']['2']['butterfly.png'], abs=0.01)
