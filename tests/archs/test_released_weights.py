"""The released weights reach their reference PSNR, image by image, under the protocol of the published tables."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import nn

from converse_basicsr.archs import ConverseDnCNN, ConverseNet, ConverseSRResNet, ConverseUSRNet, DnCNN

TOLERANCE = 0.01  # dB
LUMA = np.array([65.481, 128.553, 24.966])  # BT.601, studio swing


def read_image(path: Path) -> np.ndarray:
    """(H, W, 1) grey or (H, W, 3) RGB, uint8."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return image[..., None] if image.ndim == 2 else image[..., ::-1]


def add_noise(image: np.ndarray, sigma: float) -> np.ndarray:
    return image / 255 + np.random.RandomState(0).normal(0, sigma / 255, image.shape)


def restore(net: nn.Module, image: np.ndarray, *inputs: torch.Tensor) -> np.ndarray:
    x = torch.tensor(np.ascontiguousarray(image.transpose(2, 0, 1)), dtype=torch.float32)[None]
    with torch.inference_mode():
        y = net(x, *inputs)[0]
    return (y.clamp(0, 1) * 255).round().byte().cpu().numpy().transpose(1, 2, 0)


def luma(image: np.ndarray) -> np.ndarray:
    return np.round(image / 255.0 @ LUMA + 16)


def psnr(a: np.ndarray, b: np.ndarray, border: int) -> float:
    inner = slice(border, -border or None)
    error = a[inner, inner].astype(np.float64) - b[inner, inner]
    return 10 * np.log10(255**2 / np.mean(error**2))


def crop_to_multiple(image: np.ndarray, multiple: int) -> np.ndarray:
    height, width = image.shape[:2]
    return image[: height - height % multiple, : width - width % multiple]


def matlab_imresize() -> Callable[[np.ndarray, float], np.ndarray]:
    """BasicSR's MATLAB-like imresize, loaded by path: its package imports what is gone from torchvision."""
    [folder] = importlib.util.find_spec('basicsr').submodule_search_locations
    spec = importlib.util.spec_from_file_location('matlab_functions', Path(folder, 'utils', 'matlab_functions.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.imresize


def load(net: nn.Module, shared_data: Path, name: str) -> nn.Module:
    net.load_state_dict(torch.load(shared_data / 'model_zoo' / name, weights_only=True), strict=True)
    return net.eval()


def reference(shared_data: Path, name: str) -> dict:
    return json.loads((shared_data / 'data' / 'reference_psnr.json').read_text())[name]


def denoise(net: nn.Module, shared_data: Path, name: str) -> float:
    gt = read_image(shared_data / 'data' / 'Set12' / name)
    return psnr(restore(net, add_noise(gt, 25)), gt, 0)


def upscale(net: nn.Module, shared_data: Path, name: str) -> float:
    gt = crop_to_multiple(read_image(shared_data / 'data' / 'Set5' / name), 4)
    with torch.device('cpu'):
        lq = matlab_imresize()(gt / 255, 1 / 4)
    return psnr(luma(restore(net, lq)), luma(gt), 4)


def deblur(net: nn.Module, shared_data: Path, name: str, number: str) -> float:
    gt = crop_to_multiple(read_image(shared_data / 'data' / 'Set5' / name), 8)
    kernel = np.load(shared_data / 'data' / 'blur_kernels' / f'kernel_{number}.npy')
    lq = add_noise(scipy.ndimage.convolve(gt, kernel[..., None], mode='wrap'), 2.55)
    inputs = (torch.tensor(kernel, dtype=torch.float32)[None, None],) if isinstance(net, ConverseUSRNet) else ()
    return psnr(restore(net, lq, *inputs), gt, 1)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['01.png', '05.png'])
def test_converse_dncnn(shared_data, name):
    net = load(ConverseDnCNN(kernel_size=7), shared_data, 'converse_dncnn.pth')
    expected = reference(shared_data, 'dn_Set12')[name]
    assert denoise(net, shared_data, name) == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize('name', ['02.png', '07.png'])
def test_dncnn(shared_data, name):
    net = load(DnCNN(norm='none'), shared_data, 'dncnn_25.pth')
    expected = reference(shared_data, 'dncnn25_Set12')[name]
    assert denoise(net, shared_data, name) == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize('name', ['butterfly.png', 'woman.png'])
def test_converse_srresnet(shared_data, name):
    net = load(ConverseSRResNet(), shared_data, 'converse_srresnet.pth')
    expected = reference(shared_data, 'sr_Set5')[name]
    assert upscale(net, shared_data, name) == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize(('number', 'name'), [('2', 'butterfly.png'), ('3', 'woman.png')])
def test_conversenet(shared_data, number, name):
    net = load(ConverseNet(), shared_data, 'conversenet.pth')
    expected = reference(shared_data, 'blind_Set5')[number][name]
    assert deblur(net, shared_data, name, number) == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize(('number', 'name'), [('1', 'butterfly.png'), ('4', 'woman.png')])
def test_converse_usrnet(shared_data, number, name):
    net = load(ConverseUSRNet(), shared_data, 'converse_usrnet.pth')
    expected = reference(shared_data, 'usr_Set5')[number][name]
    assert deblur(net, shared_data, name, number) == pytest.approx(expected, abs=TOLERANCE)
