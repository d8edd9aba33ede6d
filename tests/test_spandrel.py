"""Checkpoints of this package's networks through spandrel's loader."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch_versions import computes_in_float16

spandrel = pytest.importorskip('spandrel', reason='spandrel is not installed')

import converse_basicsr  # noqa: E402
from converse_basicsr import archs  # noqa: E402
from converse_basicsr.checkpoints import files  # noqa: E402

# name -> arguments, scale
NETWORKS: dict[str, tuple[dict[str, Any], int]] = {
    'ConverseDnCNN': ({'num_in_ch': 1, 'num_out_ch': 1, 'num_feat': 4, 'num_block': 2, 'kernel_size': 7}, 1),
    'ConverseNet': ({'num_feat': 4, 'num_block': 1}, 1),
    'ConverseSRResNet': ({'num_feat': 4, 'num_block': 1, 'upscale': 3}, 3),
    'ConverseUpSRResNet': ({'num_feat': 4, 'num_block': 1, 'upscale': 4}, 4),
    'DnCNN': ({'num_in_ch': 1, 'num_out_ch': 1, 'num_feat': 4, 'num_layer': 4}, 1),
}


@pytest.fixture(params=['own registry', 'main registry'])
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    if request.param == 'own registry':
        registry = spandrel.ArchRegistry()
        converse_basicsr.spandrel.install(registry)
        return spandrel.ModelLoader(registry=registry)
    main = spandrel.MAIN_REGISTRY
    for name in ('_architectures', '_ordered', '_by_id'):
        monkeypatch.setattr(main, name, getattr(main, name))
    converse_basicsr.spandrel.install()
    converse_basicsr.spandrel.install()
    return spandrel.ModelLoader()


@pytest.mark.parametrize('name', NETWORKS)
@pytest.mark.parametrize('key', ['params', 'params_ema', None])
def test_checkpoints_load(name: str, key: str | None, loader: Any, tmp_path: Path) -> None:
    options, scale = NETWORKS[name]
    torch.manual_seed(0)
    net = getattr(archs, name)(**options).eval()
    state = net.state_dict()
    torch.save({key: state} if key else state, tmp_path / 'net.pth')
    loaded = loader.load_from_file(tmp_path / 'net.pth').eval()
    assert type(loaded.model) is type(net)
    assert loaded.architecture.name == name
    channels = options.get('num_in_ch', 3)
    assert (loaded.scale, loaded.input_channels, loaded.output_channels) == (scale, channels, channels)
    x = torch.rand(1, channels, 12, 9)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), net(x).clamp(0, 1))


@pytest.mark.parametrize('dtype', [pytest.param(torch.float16, marks=computes_in_float16), torch.bfloat16])
@pytest.mark.parametrize('name', NETWORKS)
def test_small_images_in_half_precision(name: str, dtype: torch.dtype, loader: Any) -> None:
    options, scale = NETWORKS[name]
    loaded = loader.load_from_state_dict(getattr(archs, name)(**options).state_dict()).to(dtype)
    y = loaded(torch.rand(1, loaded.input_channels, 2, 3, dtype=dtype))
    assert y.shape[-2:] == (2 * scale, 3 * scale)
    assert y.isfinite().all()


def test_what_is_not_ours_is_left_to_spandrel(loader: Any) -> None:
    state = {'body.0.weight': torch.rand(4, 3, 3, 3), 'model.0.weight': torch.rand(4, 3, 3, 3), 'params': torch.rand(1)}
    ours = [support for support in loader.registry if support.architecture.id.startswith('converse_basicsr.')]
    assert len(ours) == len(NETWORKS)
    assert not any(support.detect(state) or support.detect({'epoch': 3}) for support in ours)


TWIN = {'num_feat': 4, 'num_block': 1, 'operator': 'convtranspose', 'padding_mode': 'reflect'}


@pytest.mark.parametrize('suffix', files.SUFFIXES)
@pytest.mark.parametrize('keys', [('params',), ('params', 'params_ema')], ids=len)
def test_the_network_that_a_file_states_is_built(tmp_path: Path, suffix: str, keys: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    net, path = archs.ConverseDnCNN(**TWIN).eval(), tmp_path / f'net{suffix}'
    files.write({**{key: net.state_dict() for key in keys}, 'network_g': {'type': 'ConverseDnCNN', **TWIN}}, path)
    loaded = converse_basicsr.spandrel.load_from_file(path, device='cpu').eval()
    assert (loaded.architecture.name, loaded.scale, loaded.input_channels, loaded.tags) == (
        'ConverseDnCNN',
        1,
        1,
        ['4nf', '1nb'],
    )
    x = torch.rand(1, 1, 16, 17)
    with torch.no_grad():
        assert torch.equal(loaded(x), net(x).clamp(0, 1))


def test_files_that_state_nothing_are_recognised(tmp_path: Path) -> None:
    for name, (options, scale) in NETWORKS.items():
        net = getattr(archs, name)(**options)
        torch.save({'params': net.state_dict()}, tmp_path / 'net.pth')
        loaded = converse_basicsr.spandrel.load_from_file(tmp_path / 'net.pth')
        assert (type(loaded.model), loaded.scale) == (type(net), scale)
    torch.save({'params': {'weight': torch.rand(3)}}, tmp_path / 'net.pth')
    with pytest.raises(spandrel.UnsupportedModelError):
        converse_basicsr.spandrel.load_from_file(tmp_path / 'net.pth')


@pytest.mark.parametrize('wrong', [{'num_feat': 5}, {'num_fet': 4}])
def test_a_file_that_states_another_network_than_its_weights_is_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    path, section = tmp_path / 'net.pth', {'type': 'ConverseDnCNN', **TWIN, **wrong}
    files.write({'params': archs.ConverseDnCNN(**TWIN).state_dict(), 'network_g': section}, path)
    with pytest.raises(ValueError, match=r'weights must fit ConverseDnCNN, which .* states, got: '):
        converse_basicsr.spandrel.load_from_file(path)


def test_released_weights(shared_data: Path, loader: Any) -> None:
    for file, name in (
        ('converse_dncnn.pth', 'ConverseDnCNN'),
        ('converse_srresnet.pth', 'ConverseSRResNet'),
        ('conversenet.pth', 'ConverseNet'),
        ('dncnn_25.pth', 'DnCNN'),
    ):
        assert type(loader.load_from_file(shared_data / 'model_zoo' / file).model) is getattr(archs, name)
