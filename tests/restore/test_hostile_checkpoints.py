"""Checkpoints of strangers state networks; none is built that the weights in the file do not fill."""

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from converse_basicsr.archs import ConverseDnCNN
from converse_basicsr.checkpoints import files
from converse_basicsr.errors import UserError
from converse_basicsr.options.check import building
from converse_basicsr.restore import checkpoint

LARGE = 'a checkpoint of a few kilobytes that states a network of a million channels or blocks'
NAMED = 'a checkpoint whose network names files (`load_path`, `spynet_path`) or fetches weights'
FITS = 'weights of another kind of numbers than the network has'
SMALL = {'type': 'ConverseDnCNN', 'num_feat': 4, 'num_block': 1}


@pytest.fixture(autouse=True)
def _few_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up as soon, relative to these networks, as for large ones."""
    monkeypatch.setattr(building, 'MOST_PARTS', 1000)


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return ConverseDnCNN(num_feat=4, num_block=1).state_dict()


def refusal(path: Path, **arguments: Any) -> str:
    with pytest.raises(UserError) as caught:
        checkpoint.load(path, **arguments)
    text = str(caught.value)
    assert '\n' not in text
    assert len(text) < 1000
    return text


@pytest.mark.promise(LARGE)
@pytest.mark.parametrize(
    ('section', 'message'),
    [
        ({**SMALL, 'num_feat': 10**6}, 'GiB, more than'),
        ({**SMALL, 'num_block': 10**9}, 'layers and parameters'),
        ({**SMALL, 'kernel_size': 10**6 + 1}, 'GiB, more than'),
        ({**SMALL, 'num_feat': 5}, 'does not fit ConverseDnCNN'),
        ({**SMALL, 'num_block': 2}, 'does not fit ConverseDnCNN'),
        ({**SMALL, 'num_block': -1}, 'num_block must be a positive integer'),
        ({**SMALL, 'num_feat': float('nan')}, 'num_feat must be a positive integer'),
        ({**SMALL, 'num_feat': None}, 'num_feat must be a positive integer'),
        ({**SMALL, 'num_feat': [[1]]}, 'num_feat must be a positive integer'),
        ({**SMALL, 'none_such': 1}, "unexpected keyword argument 'none_such'"),
        ({**SMALL, 'type': 'x\x1b[2J'}, 'no arch is named'),
        ({'type': 'SwinIR', 'img_size': 10**4, 'window_size': 10**4}, 'GiB, more than'),
        ({'type': 'SwinIR', 'depths': [10**9], 'num_heads': [1]}, 'GiB, more than'),
        ({'type': 'RRDBNet', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 10**6, 'num_block': 10**8}, 'GiB, more than'),
        ({'type': 'EDSR', 'num_in_ch': 1, 'num_out_ch': 1}, 'does not fit EDSR'),
    ],
    ids=lambda value: str(value)[:60],
)
def test_no_network_is_built_that_the_weights_do_not_fill(
    tmp_path: Path, weights: dict[str, torch.Tensor], section: dict[str, Any], message: str
) -> None:
    path = tmp_path / 'net.pth'
    torch.save({'params': weights, 'network_g': section}, path)
    text = refusal(path)
    assert message in text
    assert 'net.pth' in text or section['type'] not in ('ConverseDnCNN', 'EDSR')


@pytest.mark.promise(LARGE)
@pytest.mark.parametrize('key', ['m_body.999999999.conv1.0.weight', 'm_body.x.y', 'm_body.' + '9' * 5000 + '.z'])
def test_keys_do_not_make_up_layers(tmp_path: Path, weights: dict[str, torch.Tensor], key: str) -> None:
    torch.save({**weights, key: torch.ones(1)}, tmp_path / 'net.pth')
    assert 'is of no network known here' in refusal(tmp_path / 'net.pth')


@pytest.mark.promise(LARGE)
def test_stretched_tensors_make_up_no_channels(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    torch.save({**weights, 'm_head.0.weight': torch.ones(1).expand(2000, 1, 3, 3)}, tmp_path / 'net.pth')
    assert 'has more values than numbers' in refusal(tmp_path / 'net.pth')


@pytest.mark.promise(NAMED)
@pytest.mark.parametrize('section', [{'type': 'SpyNet', 'load_path': 'other.pth'}])
def test_files_that_a_checkpoint_names_are_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: dict[str, torch.Tensor], section: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo('other.pth')  # would be waited for
    torch.save({'params': weights, 'network_g': section}, 'net.pth')
    assert 'does not fit SpyNet' in refusal(Path('net.pth'))


@pytest.mark.promise(NAMED)
def test_nothing_is_fetched_for_a_network_that_a_checkpoint_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: dict[str, torch.Tensor]
) -> None:
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'hub'))
    monkeypatch.setattr('basicsr.archs.vgg_arch.VGG_PRETRAIN_PATH', str(tmp_path / 'none.pth'))
    monkeypatch.setattr(building, '_memory_counted', lambda *_, **__: contextlib.nullcontext())
    content = {'params': weights, 'network_g': {'type': 'VGGFeatureExtractor', 'layer_name_list': ['conv1_1']}}
    torch.save(content, tmp_path / 'net.pth')
    assert 'it would download https://download.pytorch.org/' in refusal(tmp_path / 'net.pth')


@pytest.mark.promise(FITS)
@pytest.mark.parametrize('dtype', [torch.int8, torch.uint8, torch.int64, torch.bool, torch.complex64])
def test_other_kinds_are_no_weights(tmp_path: Path, weights: dict[str, torch.Tensor], dtype: torch.dtype) -> None:
    torch.save({name: value.to(dtype) for name, value in weights.items()}, tmp_path / 'net.pth')
    text = refusal(tmp_path / 'net.pth')
    assert f'does not fit ConverseDnCNN: {len(weights)} of another kind (m_head.0.weight is {dtype} there' in text


@pytest.mark.promise(FITS)
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_weights(tmp_path: Path, weights: dict[str, torch.Tensor], dtype: torch.dtype) -> None:
    torch.save({name: value.to(dtype) for name, value in weights.items()}, tmp_path / 'net.pth')
    loaded = checkpoint.load(tmp_path / 'net.pth').net.state_dict()
    assert all(torch.equal(loaded[name], value.to(dtype).float()) for name, value in weights.items())


def test_what_the_user_says_is_compared_too(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    files.write({'params': weights}, tmp_path / 'net.pth')
    assert 'layers and parameters' in refusal(tmp_path / 'net.pth', network_g={**SMALL, 'num_block': 10**9})
    assert 'must be the name of a network, got 3' in refusal(tmp_path / 'net.pth', network_g={**SMALL, 'type': 3})
