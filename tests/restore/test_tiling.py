from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from converse_basicsr.archs import ConverseDnCNN, ConverseNet, ConverseSRResNet, ConverseUSRNet
from converse_basicsr.restore import Restorer
from converse_basicsr.restore.conditions import choose_overlap, choose_tile
from converse_basicsr.restore.tiling import ALIGNMENT, run_tiled, spans


@given(size=st.integers(1, 400), tile=st.integers(16, 130), share=st.floats(0, 1))
def test_spans_partition_the_axis_with_half_an_overlap_around(size: int, tile: int, share: float) -> None:
    overlap = int(share * (tile - ALIGNMENT))
    found = spans(size, tile, overlap)
    assert found[0].first == found[0].start == 0
    assert found[-1].last == found[-1].stop == size
    for before, after in pairwise(found):
        assert before.last == after.first
        assert before.stop - after.start >= overlap
        assert before.stop - before.last >= overlap // 2
        assert after.first - after.start >= overlap // 2
    for span in found:
        assert span.start % ALIGNMENT == 0
        assert span.stop - span.start <= tile
        assert span.first < span.last


def test_an_axis_no_longer_than_a_tile_is_one() -> None:
    assert [tuple(span) for span in spans(64, 64, 32)] == [(0, 64, 0, 64)]
    assert len(spans(65, 64, 32)) == 2


@pytest.mark.parametrize('scale', [1, 2])
def test_tiles_equal_the_whole_where_the_reach_ends_within_half_the_overlap(scale: int) -> None:
    weight = torch.randn(1, 1, 5, 5, generator=torch.Generator().manual_seed(0)) / 5

    def restore(image: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[:, None]
        x = F.conv2d(F.conv2d(x, weight, padding=2), weight, padding=2)  # reach 4
        x = F.interpolate(x, scale_factor=scale)
        return (x[:, 0].permute(1, 2, 0) * 16).round().numpy().astype(image.dtype)

    image = np.random.default_rng(0).integers(0, 50, (61, 83, 3)).astype(np.int16)
    done: list[int] = []
    options = {'scale': scale, 'tile': 32, 'progress': done.append}
    assert np.array_equal(run_tiled(restore, image, overlap=8, **options), restore(image))
    assert sum(done) == 61 * 83
    assert not np.array_equal(run_tiled(restore, image, overlap=0, **options), restore(image))


@pytest.mark.parametrize('scale', [1, 2, 3, 4, 8, 64])
@pytest.mark.parametrize('border', [0, 32, 500])
def test_default_tiles_advance(scale: int, border: int) -> None:
    tile = choose_tile(None, scale, border)
    assert len(spans(1000, tile, choose_overlap(None, tile, 96))) > 1


@pytest.mark.parametrize(
    ('net', 'tile', 'overlap', 'border'),
    [
        (ConverseDnCNN(3, 3, num_feat=2, num_block=1), 248, 32, 0),
        (ConverseSRResNet(num_feat=2, num_block=1), 124, 32, 0),
        (ConverseNet(num_feat=2, num_block=1), 752, 96, 0),
        (ConverseUSRNet(num_feat=2, num_block=1), 224, 96, 32),
    ],
    ids=lambda value: type(value).__name__,
)
def test_defaults_follow_the_reach_of_the_network(
    tmp_path: Path, net: torch.nn.Module, tile: int, overlap: int, border: int
) -> None:
    torch.save(net.state_dict(), tmp_path / 'net.pth')
    kernel = np.full((3, 3), 1 / 9) if isinstance(net, ConverseUSRNet) else None
    restorer = Restorer.from_checkpoint(tmp_path / 'net.pth', kernel=kernel, device='cpu')
    assert (restorer.tile, restorer.overlap, restorer.border) == (tile, overlap, border)
    told = {'tile': 64, 'overlap': 0, 'border': 8}
    restorer = Restorer.from_checkpoint(tmp_path / 'net.pth', kernel=kernel, device='cpu', **told)
    assert (restorer.tile, restorer.overlap, restorer.border) == (64, 0, 8)
