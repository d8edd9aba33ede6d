from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from converse_basicsr.archs import ConverseDnCNN, ConverseUSRNet
from converse_basicsr.export import export_network, exporter
from converse_basicsr.restore.checkpoint import load

Basicsr = Callable[..., int]


@pytest.fixture(autouse=True)
def _weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(ConverseDnCNN(num_feat=4, num_block=1).state_dict(), tmp_path / 'dncnn.pth')
    torch.save(ConverseUSRNet(num_feat=4, num_block=1, num_iter=1).state_dict(), tmp_path / 'usr.pth')


def command(checkpoint: str, file_format: str, output: str, *more: str) -> tuple:
    arguments = ('--checkpoint', checkpoint, '--format', file_format, '--output', output, '--size', '24', '20', *more)
    return ('export', None, *arguments)


def test_a_file_is_written_checked_and_timed(basicsr: Basicsr, capsys) -> None:
    assert basicsr(*command('dncnn.pth', 'torchscript', 'new/net.pt')) == 0
    output = capsys.readouterr().out
    assert '24 x 20: largest difference to torch' in output
    assert '24 x 20: torch ' in output
    assert [path.name for path in Path('new').iterdir()] == ['net.pt']
    x = torch.rand(1, 1, 24, 20)
    net = ConverseDnCNN(num_feat=4, num_block=1).eval()
    net.load_state_dict(torch.load('dncnn.pth', weights_only=True))
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.load('new/net.pt')(x), net(x), atol=2e-5, rtol=0)


@pytest.mark.slow
def test_open_sizes_are_checked_at_another_size(basicsr: Basicsr, capsys) -> None:
    assert basicsr(*command('dncnn.pth', 'torch.export', 'net.pt2', '--dynamic')) == 0
    assert '37 x 27: largest difference' in capsys.readouterr().out


@pytest.mark.slow
def test_kernels_are_an_input_and_the_scale_is_fixed(basicsr: Basicsr) -> None:
    assert basicsr(*command('usr.pth', 'torchscript', 'net.pt', '--scale', '2')) == 0
    kernel = torch.full((1, 1, 7, 7), 1 / 49)
    assert torch.jit.load('net.pt')(torch.rand(1, 3, 24, 20), kernel).shape == (1, 3, 48, 40)


@pytest.mark.promise('an exported network that differs from the original')
def test_a_file_that_differs_is_not_kept(basicsr: Basicsr, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, 'TOLERANCE', 0.0)
    assert basicsr(*command('dncnn.pth', 'torchscript', 'out/net.pt')) == 2
    assert 'out/net.pt was not written' in capsys.readouterr().err
    assert not Path('out').exists()


@pytest.mark.promise('an exported network that differs from the original')
def test_a_file_that_fails_at_another_size_is_not_kept(
    basicsr: Basicsr, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> float:
        raise AssertionError('Guard failed:\nsize')

    monkeypatch.setattr(exporter, 'compare', refuse)
    assert basicsr(*command('dncnn.pth', 'torchscript', 'out/net.pt')) == 2
    error = capsys.readouterr().err
    assert '(Guard failed:): out/net.pt was not written; another --format may help' in error
    assert not Path('out').exists()


def test_mistakes_are_named(basicsr: Basicsr, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    Path('old.pt').write_text('mine')
    np.save('9.npy', np.ones((9, 9)))
    for arguments, message in [
        (('dncnn.pth', 'torchscript', 'net.onnx'), '--output must end in .pt for torchscript'),
        (('dncnn.pth', 'torchscript', 'old.pt'), 'old.pt exists already'),
        (('dncnn.pth', 'torchscript', 'net.pt', '--dynamic'), 'tracing fixes the size'),
        (('dncnn.pth', 'torchscript', 'net.pt', '--scale', '2'), '--scale is no input of ConverseDnCNN'),
        (('usr.pth', 'torchscript', 'net.pt', '--kernel', '9.npy'), 'the network takes kernels of up to 7 x 7'),
        (('none.pth', 'torchscript', 'net.pt'), 'none.pth is no file'),
    ]:
        assert basicsr(*command(*arguments)) == 2
        assert message in capsys.readouterr().err
    assert Path('old.pt').read_text() == 'mine'
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    assert basicsr(*command('dncnn.pth', 'onnx', 'net.onnx')) == 2
    assert "pip install 'converse-basicsr[export]'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'channels'), [('converse_dncnn_gray25', 1), ('converse_srresnet_x4', 3)])
def test_released_weights_run_in_onnxruntime(
    basicsr: Basicsr, shared_data: Path, capsys, name: str, channels: int
) -> None:
    onnxruntime = pytest.importorskip('onnxruntime', reason='the extra "export" brings it')
    pytest.importorskip('onnxscript', reason='the extra "export" brings it')
    Path('model_zoo').symlink_to(shared_data / 'model_zoo')
    assert basicsr(*command(name, 'onnx', 'net.onnx')) == 0  # refuses a difference of 1e-4 or more
    (entry,) = onnxruntime.InferenceSession('net.onnx').get_inputs()
    assert (entry.name, entry.shape) == ('image', [1, channels, 24, 20])


@pytest.mark.slow
def test_python_gets_the_figures_that_the_command_prints(tmp_path: Path) -> None:
    exported = export_network(tmp_path / 'dncnn.pth', tmp_path / 'net.pt2', file_format='torch.export', size=(24, 20))
    assert exported.path == tmp_path / 'net.pt2'
    assert exported.num_bytes == exported.path.stat().st_size > 0
    assert list(exported.differences) == [(24, 20)]
    assert exported.differences[24, 20] < exporter.TOLERANCE
    assert min(exported.torch_seconds, exported.exported_seconds) > 0
    loaded = load(tmp_path / 'usr.pth')
    exported = export_network(
        loaded,
        str(exported.path),
        file_format='torch.export',
        size=(16, 16),
        kernel=np.ones((5, 5)),
        scale=2,
        overwrite=True,
        dynamic=True,
    )
    assert list(exported.differences) == [(16, 16), (29, 23)]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'file_format': 'tflite'}, r"file_format must be one of \['onnx', 'torch.export', 'torchscript'\], got"),
        ({'file_format': 'onnx'}, r'output must end in \.onnx for onnx, got net\.pt'),
        ({'dynamic': True, 'fold': True}, 'dynamic must be false with fold'),
        ({'size': (0, 16)}, r'size must be two numbers of at least 1, got \(0, 16\)'),
        ({'sigma': 5}, 'sigma is no input of ConverseDnCNN'),
    ],
)
def test_arguments_that_do_not_suit_are_named(tmp_path: Path, arguments: dict, message: str) -> None:
    arguments = {'file_format': 'torchscript', **arguments}
    with pytest.raises(ValueError, match=message):
        export_network(tmp_path / 'dncnn.pth', 'net.pt', **arguments)
    loaded = load(tmp_path / 'dncnn.pth')
    with pytest.raises(ValueError, match='opt and network_g must be left out'):
        export_network(loaded, tmp_path / 'net.pt', file_format='torchscript', network_g={'num_feat': 4})


def test_onnx_models_run_anywhere_so_no_device_is_taken_for_them(basicsr: Basicsr, capsys) -> None:
    assert basicsr(*command('dncnn.pth', 'onnx', 'net.onnx', '--device', 'cuda')) == 2
    assert 'error: --device must be cpu for onnx, whose models run on any, got cuda' in capsys.readouterr().err


def test_a_network_is_exported_on_a_device_that_is_there(basicsr: Basicsr, capsys) -> None:
    assert basicsr(*command('dncnn.pth', 'torchscript', 'net.pt', '--device', 'xpu:7')) == 2
    assert 'error: --device xpu:7 cannot be used: ' in capsys.readouterr().err
    assert not Path('net.pt').exists()
