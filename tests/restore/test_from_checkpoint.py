"""``Restorer.from_checkpoint``: the command's restoring, from Python."""

import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from converse_basicsr.archs import ConverseDnCNN, ConverseSRResNet, ConverseUSRNet, USRNet
from converse_basicsr.errors import UserError
from converse_basicsr.restore import Restorer

SMALL = {'num_feat': 4, 'num_block': 1}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints of a grey denoiser, a colour enlarger and the networks that take a kernel."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    for name, net in {
        'grey': ConverseDnCNN(**SMALL),
        'x2': ConverseSRResNet(**SMALL, upscale=2),
        'usr': ConverseUSRNet(**SMALL, num_iter=1),
        'usrnet': USRNet(num_feat=2, num_block=1, num_iter=1),
    }.items():
        torch.save({'params': net.state_dict()}, f'{name}.pth')


@pytest.mark.parametrize('checkpoint', ['grey', 'x2'])
@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_an_array_gives_what_the_command_writes(
    basicsr: Callable[..., int], checkpoint: str, channels: int, dtype: type
) -> None:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (20, 30, channels), dtype, endpoint=True)
    cv2.imwrite('photo.png', pixels[..., ::-1])
    tiles = ('--tile', '16', '--overlap', '4', '--border', '2', '--device', 'cpu')
    assert basicsr('restore', None, 'photo.png', '--checkpoint', f'{checkpoint}.pth', '--output', 'out', *tiles) == 0
    written = cv2.imread('out/photo.png', cv2.IMREAD_UNCHANGED)
    written = written[..., ::-1] if channels == 3 else written[..., None]

    restorer = Restorer.from_checkpoint(f'{checkpoint}.pth', tile=16, overlap=4, border=2, device='cpu')
    result = restorer(pixels)
    assert (result.dtype, result.shape) == (dtype, (restorer.scale * 20, restorer.scale * 30, channels))
    assert np.array_equal(result, written)
    if channels == 1:
        assert np.array_equal(restorer(pixels[..., 0]), written[..., 0])

    floating = restorer((pixels / np.iinfo(dtype).max).astype(np.float32))
    assert (floating.dtype, floating.shape) == (np.float32, result.shape)
    assert np.abs(floating * np.iinfo(dtype).max - result).max() <= 0.51  # what rounding takes


def test_kernel_scale_and_noise_level_reach_the_network() -> None:
    image = np.random.default_rng(0).random((20, 30, 3), np.float32)
    kernel = np.ones((5, 5))
    restorer = Restorer.from_checkpoint('usrnet.pth', kernel=kernel, scale=2, sigma=5, device=torch.device('cpu'))
    assert restorer(image).shape == (40, 60, 3)
    assert restorer.conditions['sigma'] == 5 / 255
    assert restorer.conditions['kernel'].sum() == pytest.approx(1)
    other = Restorer.from_checkpoint('usrnet.pth', kernel=kernel, scale=2, device='cpu')
    assert not np.array_equal(restorer(image), other(image))


def test_arguments_of_the_network_are_told_by_name() -> None:
    image = np.random.default_rng(0).random((20, 30))
    first = Restorer.from_checkpoint('grey.pth', device='cpu')
    second = Restorer.from_checkpoint('grey.pth', device='cpu', network_g={'padding_mode': 'reflect'})
    assert not np.array_equal(first(image), second(image))


def test_the_examples_in_the_docs_run(shared_data: Path) -> None:
    Path('model_zoo').symlink_to(shared_data / 'model_zoo')
    page = (Path(__file__).parents[2] / 'docs/restore.md').read_text(encoding='utf-8')
    names: dict[str, object] = {}
    for block in re.findall(r'```python\n(.*?)```', page, re.DOTALL):
        exec(block, names)
    assert isinstance(names['denoise'], Restorer)
    assert names['denoise'].tile == 128


@pytest.mark.parametrize(
    ('checkpoint', 'arguments', 'message'),
    [
        ('usr.pth', {}, 'kernel must be given: ConverseUSRNet needs the blur kernel'),
        ('usr.pth', {'kernel': np.ones((9, 9))}, 'kernel is 9 x 9, the network takes kernels of up to 7 x 7'),
        ('usr.pth', {'kernel': np.ones((4, 4))}, 'kernel must be a matrix with odd sides'),
        ('usr.pth', {'kernel': np.zeros((3, 3))}, 'kernel must hold finite numbers with a positive sum'),
        ('usr.pth', {'kernel': np.ones((3, 3)), 'scale': 0}, 'scale must be at least 1, got 0'),
        ('usrnet.pth', {'kernel': np.ones((3, 3)), 'sigma': 256}, 'sigma must be between 0 and 255, got 256'),
        ('grey.pth', {'scale': 2}, 'scale is no input of ConverseDnCNN'),
        ('grey.pth', {'tile': 15}, 'tile must be at least 16, got 15'),
        ('grey.pth', {'tile': 32, 'overlap': 25}, r'overlap must be between 0 and tile - 8 \(24\), got 25'),
        ('grey.pth', {'border': -1}, 'border must be at least 0, got -1'),
        ('grey.pth', {'device': 'tpu'}, 'device tpu cannot be used: '),
        ('none.pth', {}, 'checkpoint none.pth is no file'),
    ],
)
def test_arguments_that_do_not_suit_are_named(checkpoint: str, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Restorer.from_checkpoint(checkpoint, **arguments)
    assert isinstance(caught.value, UserError)
    assert '\n' not in str(caught.value)
