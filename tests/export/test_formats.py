import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from converse_basicsr.archs import ConverseDnCNN, ConverseSRResNet, ConverseUSRNet, USRNet
from converse_basicsr.errors import UserError
from converse_basicsr.export import FORMATS
from converse_basicsr.export.formats import read, write
from converse_basicsr.ops import Converse2D

KERNEL = torch.rand(1, 1, 7, 7, generator=torch.Generator().manual_seed(1)).softmax(-1) / 7
TOLERANCE = 5e-5  # half of what the command allows, relative
KERNEL_3 = torch.full((1, 1, 3, 3), 1 / 9)
SMALL = {'num_feat': 4, 'num_block': 1}
NETWORKS = {
    'denoiser': (lambda: ConverseDnCNN(1, 1, **SMALL, padding_mode='reflect'), ()),
    'enlarger': (lambda: ConverseSRResNet(**SMALL, upscale=3), ()),
    'operator': (lambda: nn.Sequential(Converse2D(3, 3, 5, scale=2)), ()),
    'predicted': (lambda: ConverseUSRNet(**SMALL, num_iter=1), (KERNEL,)),
    'prior': (lambda: USRNet(num_feat=2, num_block=1, num_iter=1), (KERNEL_3,)),
}


def build(name: str) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    torch.manual_seed(0)
    make, rest = NETWORKS[name]
    net = make().eval().requires_grad_(False)
    for p in net.parameters():
        p.add_(0.1 * torch.randn(p.shape))
    return net, (torch.rand(1, 1 if name == 'denoiser' else 3, 24, 21), *rest)


def require(file_format: str) -> None:
    if file_format == 'onnx':
        for package in ('onnx', 'onnxscript', 'onnxruntime'):
            pytest.importorskip(package, reason='the extra "export" brings it')


def difference(net: nn.Module, exported, inputs: tuple[torch.Tensor, ...]) -> float:
    """Largest difference, relative to the largest output: random weights may give outputs of any size."""
    expected = net(*inputs)
    return float((expected - exported(*inputs)).abs().max() / expected.abs().max())


@pytest.mark.slow
@pytest.mark.parametrize('file_format', FORMATS)
@pytest.mark.parametrize('name', NETWORKS)
def test_the_file_computes_what_the_network_does(file_format: str, name: str) -> None:
    require(file_format)
    net, example = build(name)
    content = write(net, example, file_format, dynamic=False, fold=False)
    other = (torch.rand(example[0].shape), *example[1:])
    assert difference(net, read(file_format, content), other) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize('file_format', ['torchscript', 'onnx'])
def test_folded_filters_are_stored(file_format: str) -> None:
    require(file_format)
    net, example = build('denoiser')
    contents = [write(net, example, file_format, dynamic=False, fold=fold) for fold in (False, True)]
    assert difference(net, read(file_format, contents[1]), example) < TOLERANCE
    if file_format == 'onnx':
        import onnx

        kinds = [{node.op_type for node in onnx.load_from_string(content).graph.node} for content in contents]
        assert 'Cos' not in kinds[1]
        assert 'DFT' not in kinds[0] | kinds[1]


@pytest.mark.slow
@pytest.mark.parametrize('file_format', ['torch.export', 'onnx'])
def test_open_sizes(file_format: str) -> None:
    require(file_format)
    net, example = build('denoiser')
    exported = read(file_format, write(net, example, file_format, dynamic=True, fold=False))
    for height, width in ((24, 21), (37, 16), (16, 40)):
        assert difference(net, exported, (torch.rand(1, 1, height, width),)) < TOLERANCE


class Undecided(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


def test_what_cannot_be_followed_is_one_line() -> None:
    with pytest.raises(UserError, match=r'torch.export cannot follow this network .*; leave --dynamic out') as caught:
        write(Undecided(), (torch.rand(1, 1, 8, 8),), 'torch.export', dynamic=True, fold=False)
    assert '\n' not in str(caught.value)


def test_an_old_torch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, '__version__', '2.4.1')
    with pytest.raises(UserError, match=r'torch.export cannot follow .*; torch 2.8 or newer can, this is 2.4.1'):
        write(Undecided(), (torch.rand(1, 1, 8, 8),), 'torch.export', dynamic=False, fold=False)


@pytest.mark.slow
def test_torch_alone_runs_the_files(tmp_path: Path) -> None:
    """Neither this package nor BasicSR is imported."""
    net, example = build('denoiser')
    for file_format in ('torchscript', 'torch.export'):
        content = write(net, example, file_format, dynamic=False, fold=False)
        (tmp_path / f'net{FORMATS[file_format]}').write_bytes(content)
    code = (
        'import sys, torch; x = torch.rand(1, 1, 24, 21); '
        'a = torch.jit.load("net.pt")(x); b = torch.export.load("net.pt2").module()(x); '
        'print(a.shape == x.shape, bool((a - b).abs().max() < 5e-5), "converse_basicsr" in sys.modules)'
    )
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == 'True True False'
