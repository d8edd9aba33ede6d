import re
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny_run import only_log
from torch import nn

import converse_basicsr

converse_basicsr.register()

from basicsr.data.paired_image_dataset import PairedImageDataset  # noqa: E402
from basicsr.utils.registry import ARCH_REGISTRY  # noqa: E402

Run = Callable[..., int]


class DroppingNet(nn.Module):
    """Draws from torch's generator in every forward pass, at scale 4."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.Dropout(0.5), nn.Conv2d(16, 48, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.pixel_shuffle(self.layers(x), 4)


if 'DroppingNet' not in ARCH_REGISTRY:
    ARCH_REGISTRY.register(DroppingNet)


@pytest.mark.promise('`prefetch_mode: cpu`, with loader processes and without')
@pytest.mark.parametrize('workers', [0, 1])
def test_reading_ahead_changes_nothing(
    basicsr: Run, run_options: dict[str, Any], workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples draw from the same generators as the network; a thread that makes them would come in between."""
    original = PairedImageDataset.__getitem__

    def slow(self: Any, index: int) -> Any:
        time.sleep(0.005)  # lets other threads draw
        return original(self, index)

    monkeypatch.setattr(PairedImageDataset, '__getitem__', slow)
    run_options['network_g'] = {'type': 'DroppingNet'}
    run_options['train']['total_iter'] = 12
    losses = []
    for mode, number in ((None, 0), ('cpu', workers)):
        run_options['datasets']['train'].update(prefetch_mode=mode, num_worker_per_gpu=number, num_prefetch_queue=2)
        run_options['datasets']['val'].update(prefetch_mode=mode)
        assert basicsr('train', run_options) == 0
        losses.append(re.findall(r'l_pix: (\S+)|psnr: (\S+)', only_log()))
    assert len(losses[0]) == 13
    assert losses[0] == losses[1]
