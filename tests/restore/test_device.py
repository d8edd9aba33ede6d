"""Restoring on a device without float64, which is pretended."""

import numpy as np
import pytest
import torch
from pretend_device import pretended_device

from converse_basicsr import devices
from converse_basicsr.archs import ConverseSRResNet, ConverseUSRNet
from converse_basicsr.errors import UserError
from converse_basicsr.restore import Restorer

SMALL = {'num_feat': 4, 'num_block': 1}


@pytest.fixture(autouse=True)
def _mps(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(devices.ACCELERATORS, 'mps', lambda: 1)
    torch.manual_seed(0)
    torch.save(ConverseSRResNet(**SMALL, upscale=2).state_dict(), 'x2.pth')
    torch.save(ConverseUSRNet(**SMALL, num_iter=1).state_dict(), 'usr.pth')


@pytest.mark.parametrize(('checkpoint', 'kernel'), [('x2.pth', None), ('usr.pth', np.ones((5, 5)))])
def test_the_result_is_that_of_the_cpu(checkpoint: str, kernel: np.ndarray | None) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    options = {'kernel': kernel, 'tile': 16, 'overlap': 4}
    expected = Restorer.from_checkpoint(checkpoint, **options, device='cpu')(image)
    with pretended_device() as device:
        restorer = Restorer.from_checkpoint(checkpoint, **options, device=device)
        assert {parameter.device for parameter in restorer.net.parameters()} == {device}
        actual = restorer(image)
    assert np.abs(actual.astype(int) - expected).max() <= 1


def test_a_network_that_the_device_cannot_run_says_which_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ConverseSRResNet, 'forward', lambda self, x: x.double())
    with pretended_device() as device, pytest.raises(UserError, match=r'on mps:0 \(--device cpu may help\): the pret'):
        Restorer.from_checkpoint('x2.pth', device=device)
