"""Exporting replaces nothing that it reads, and a place that cannot be written into costs one line."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from converse_basicsr.archs import ConverseDnCNN
from converse_basicsr.errors import UserError
from converse_basicsr.export import export_network, exporter, formats
from converse_basicsr.files import atomic

FULL = '`export` to a full disk, or to a place that cannot be written into'
SOURCE = '`export --overwrite` with an `--output` that is the checkpoint, the kernel or the option file'
NOT_FINITE = 'weights that hold infinity or NaN'


@pytest.fixture(autouse=True)
def _weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    torch.save(ConverseDnCNN(num_feat=4, num_block=1).state_dict(), 'net.pt')


def command(*arguments: str) -> tuple:
    return ('export', None, '--format', 'torchscript', '--checkpoint', 'net.pt', '--size', '16', '16', *arguments)


@pytest.mark.promise(SOURCE)
@pytest.mark.parametrize('link', [None, os.symlink, os.link])
@pytest.mark.parametrize('source', ['--checkpoint', '--kernel', '-opt'])
def test_what_is_read_is_not_replaced(
    basicsr: Callable[..., int], capsys, source: str, link: Callable[..., None] | None
) -> None:
    Path('source.pt').write_bytes(Path('net.pt').read_bytes())
    before = Path('source.pt').read_bytes()
    if link:
        link('source.pt', 'out.pt')
    output = 'out.pt' if link else './source.pt'
    assert basicsr(*command(source, 'source.pt', '--output', output, '--overwrite')) == 2
    assert 'is what is exported from: choose another --output' in capsys.readouterr().err
    assert Path('source.pt').read_bytes() == before


@pytest.mark.promise(SOURCE)
def test_python_is_refused_alike() -> None:
    with pytest.raises(UserError, match='is what is exported from'):
        export_network('net.pt', 'net.pt', file_format='torchscript', overwrite=True)


@pytest.mark.promise(FULL)
@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_is_one_line_and_leaves_nothing_behind(
    basicsr: Callable[..., int], capsys, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(atomic.os, 'fsync', fail)
    assert basicsr(*command('--output', 'out/net.pt')) == 2
    assert f'basicsr: error: out/net.pt cannot be written: {os.strerror(code)}\n' in capsys.readouterr().err
    assert list(Path('out').iterdir()) == []
    Path('out/net.pt').write_text('mine')
    assert basicsr(*command('--output', 'out/net.pt', '--overwrite')) == 2
    assert Path('out/net.pt').read_text() == 'mine'


@pytest.mark.slow
@pytest.mark.promise(FULL)
@pytest.mark.parametrize('file_format', exporter.FORMATS)
def test_formats_touch_no_disk(file_format: str) -> None:
    """PyTorch's own writers end the process where the disk is full; a limit of no bytes for every file is like one."""
    resource = pytest.importorskip('resource')
    if file_format == 'onnx':
        pytest.importorskip('onnxscript', reason='the extra "export" brings it')
    net = ConverseDnCNN(num_feat=4, num_block=1).eval()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        content = formats.write(net, (torch.rand(1, 1, 16, 16),), file_format, dynamic=False, fold=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(content) > 1000
    assert formats.read(file_format, content)(torch.rand(1, 1, 16, 16)).shape == (1, 1, 16, 16)


@pytest.mark.promise(FULL)
def test_a_place_that_cannot_be_written_is_named_before_anything_is_computed(
    basicsr: Callable[..., int], capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path('folder.pt').mkdir()
    for output, more in (('net.pt/net.pt', ()), ('folder.pt', ('--overwrite',)), ('folder.pt', ())):
        assert basicsr(*command('--output', output, *more)) == 2
        captured = capsys.readouterr()
        assert f'basicsr: error: {output} ' in captured.err
        assert 'ConverseDnCNN' not in captured.err
    monkeypatch.setattr(os, 'access', lambda *_: False)  # the superuser may write everywhere
    assert basicsr(*command('--output', 'new/net.pt')) == 2
    assert 'new/net.pt cannot be written: choose another --output' in capsys.readouterr().err
    assert not Path('new').exists()


@pytest.mark.promise(FULL)
def test_a_file_that_appeared_meanwhile_is_kept(
    basicsr: Callable[..., int], capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_too(*_: object) -> float:
        Path('out.pt').write_text('mine')
        return 0.0

    monkeypatch.setattr(exporter, 'median_seconds', write_too)
    assert basicsr(*command('--output', 'out.pt')) == 2
    assert 'out.pt cannot be written: File exists' in capsys.readouterr().err
    assert Path('out.pt').read_text() == 'mine'


def test_a_link_to_nothing_is_a_file_that_exists(basicsr: Callable[..., int], capsys) -> None:
    os.symlink('elsewhere.pt', 'out.pt')
    assert basicsr(*command('--output', 'out.pt')) == 2
    assert 'out.pt exists already' in capsys.readouterr().err


@pytest.mark.promise(NOT_FINITE)
def test_weights_that_are_not_finite_are_not_exported(basicsr: Callable[..., int], capsys) -> None:
    weights = torch.load('net.pt', weights_only=True)
    weights['m_tail.0.bias'].fill_(float('nan'))
    torch.save(weights, 'net.pt')
    assert basicsr(*command('--output', 'out.pt')) == 2
    assert 'm_tail.0.bias holds infinity or NaN' in capsys.readouterr().err
    assert not Path('out.pt').exists()
