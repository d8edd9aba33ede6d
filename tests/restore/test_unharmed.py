"""Restoring replaces nothing unasked, and one bad image does not take the others with it."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from converse_basicsr import cli
from converse_basicsr.archs import ConverseDnCNN
from converse_basicsr.files import atomic, sheet
from converse_basicsr.files.decoding import BadImage
from converse_basicsr.restore import plan as planning
from converse_basicsr.restore.restorer import Restorer

COMPARED = '`restore --compare` where a picture of that name exists, or is an input'
LINKED = 'a result that would replace an input under another name or through a link'
FAILING = 'an image that a network fails on, or that memory does not hold'
NOT_FINITE = 'an image of which a network makes infinity or NaN'
PLACE = 'a result folder that is a file, cannot be written into, or is full'
MEANWHILE = 'a result that another program writes while images are restored'
NAMES = 'names of images and keys of checkpoints with terminal sequences or line breaks'


@pytest.fixture
def restore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run ``basicsr restore`` on a folder of two grey images, ``photos/a.png`` and ``photos/b.png``."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    torch.save({'params': ConverseDnCNN(num_feat=4, num_block=1).state_dict()}, 'net.pth')
    Path('photos').mkdir()
    for name in 'ab':
        cv2.imwrite(f'photos/{name}.png', np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8))
    return lambda *arguments: cli.main(['restore', *arguments, '--checkpoint', 'net.pth', '--device', 'cpu'])


def files_in(folder: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path(folder).rglob('*')) if path.is_file()}


@pytest.mark.promise(COMPARED)
def test_a_comparison_replaces_nothing_unasked(restore: Callable[..., int], capsys) -> None:
    Path('out/compare').mkdir(parents=True)
    Path('out/compare/a.png').write_text('mine')
    for more in ((), ('--skip-existing',)):
        assert restore('photos', '--output', 'out', '--compare', *more) == 2
        assert 'out/compare/a.png exist already: choose another --output' in capsys.readouterr().err
        assert files_in('out') == {'out/compare/a.png': b'mine'}
    assert restore('photos', '--output', 'out', '--compare', '--overwrite') == 0
    assert set(files_in('out')) == {f'out/{folder}{name}.png' for folder in ('', 'compare/') for name in 'ab'}
    assert files_in('out')['out/compare/a.png'] != b'mine'
    assert restore('photos', '--output', 'out', '--compare', '--skip-existing') == 0
    assert 'nothing to do' in capsys.readouterr().out


@pytest.mark.promise(COMPARED)
def test_a_comparison_never_replaces_an_input(restore: Callable[..., int], capsys) -> None:
    Path('photos').rename('compare')
    before = files_in('compare')
    assert restore('compare', '--output', '.', '--compare', '--overwrite') == 2
    assert 'compare/a.png would replace an input' in capsys.readouterr().err
    assert files_in('compare') == before
    assert not Path('a.png').exists()


@pytest.mark.promise(LINKED)
@pytest.mark.parametrize('link', [os.symlink, os.link])
def test_links_to_an_input_are_no_results(restore: Callable[..., int], capsys, link: Callable[..., None]) -> None:
    Path('out').mkdir()
    link(Path('photos/a.png').resolve(), 'out/b.png')
    before = files_in('photos')
    assert restore('photos', '--output', 'out', '--overwrite') == 2
    assert 'out/b.png would replace an input' in capsys.readouterr().err
    assert files_in('photos') == before


@pytest.mark.promise(LINKED)
@pytest.mark.parametrize('more', ['--overwrite', '--skip-existing'])
def test_results_among_the_inputs_are_refused(restore: Callable[..., int], capsys, more: str) -> None:
    before = files_in('photos')
    assert restore('photos', '--output', 'photos/../photos', more) == 2
    assert 'a.png would replace an input' in capsys.readouterr().err
    assert files_in('photos') == before


@pytest.mark.promise(LINKED)
def test_a_link_to_nothing_is_a_result_that_exists(restore: Callable[..., int], capsys) -> None:
    Path('out').mkdir()
    os.symlink('elsewhere.png', 'out/a.png')
    assert restore('photos', '--output', 'out') == 2
    assert 'out/a.png exist already' in capsys.readouterr().err
    assert restore('photos', '--output', 'out', '--skip-existing') == 0
    assert not Path('out/elsewhere.png').exists()


@pytest.mark.promise(FAILING)
@pytest.mark.parametrize(
    ('error', 'message'),
    [
        (RuntimeError('CUDA out of memory. Tried'), 'the memory is used up; give a smaller --tile'),
        (RuntimeError('Invalid buffer size: 25.00 GB'), 'the memory is used up; give a smaller --tile'),  # of MPS
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: x"), 'the memory is used up; give a smaller --tile'),
        (MemoryError(), 'the memory is used up; give a smaller --tile'),
        (RuntimeError('sizes differ\nat layer 3'), 'cannot be restored: sizes differ'),
        (ZeroDivisionError(), 'cannot be restored: ZeroDivisionError'),
        (RecursionError('too deep'), 'cannot be restored: too deep'),
    ],
)
def test_an_image_that_fails_is_one_line(
    restore: Callable[..., int], capsys, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    original, calls = Restorer._tiled, []

    def fail_first(self: Restorer, image: np.ndarray, progress: object) -> np.ndarray:
        calls.append(image)
        if len(calls) == 1:
            raise error
        return original(self, image, progress)

    monkeypatch.setattr(Restorer, '_tiled', fail_first)
    assert restore('photos', '--output', 'out') == 2
    captured = capsys.readouterr()
    assert [line for line in captured.err.splitlines() if 'error' in line] == [
        line for line in captured.err.splitlines() if line.startswith('basicsr: error: photos/a.png ')
    ]
    assert message in captured.err
    assert '1 of 2 images restored in out' in captured.out
    assert list(files_in('out')) == ['out/b.png']


@pytest.mark.promise(FAILING)
def test_bad_files_of_every_kind_do_not_stop_the_good_ones(restore: Callable[..., int], capsys) -> None:
    whole = Path('photos/a.png').read_bytes()
    Path('photos/0.png').write_bytes(whole.replace(whole[45:50], b'xxxxx'))
    Path('photos/1.png').write_bytes(b'')
    Path('photos/2.jpg').write_bytes(b'<html>')
    os.mkfifo('pipe.png')
    Path('sparse.tif').write_bytes(b'II*\0')
    os.truncate('sparse.tif', 10**11)
    assert restore('photos', 'pipe.png', 'sparse.tif', '--output', 'out', '--compare') == 2
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith('basicsr: error: ')]
    assert [line.split()[2] for line in lines] == [
        'photos/0.png', 'photos/1.png', 'photos/2.jpg', 'pipe.png', 'sparse.tif'
    ]  # fmt: skip
    assert '2 of 7 images restored' in captured.out


class Broken(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.value


@pytest.mark.promise(NOT_FINITE)
@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
def test_results_that_are_not_finite_are_refused(value: float, dtype: type) -> None:
    restorer = Restorer(Broken(value), 1, 1, tile=16, overlap=0)
    with pytest.raises(BadImage, match='makes Broken return values that are not finite'):
        restorer(np.zeros((20, 20), dtype))


@pytest.mark.promise(PLACE)
@pytest.mark.parametrize('output', ['net.pth', 'net.pth/deep/er', 'out'])
def test_a_place_that_is_no_folder_is_named_before_anything_is_computed(
    restore: Callable[..., int], capsys, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    Path('out').mkdir()
    Path('out/compare').write_text('mine')
    assert restore('photos', '--output', output, '--compare') == 2
    captured = capsys.readouterr()
    assert 'is no folder: choose another --output' in captured.err
    assert 'ConverseDnCNN' not in captured.err
    assert files_in('out') == {'out/compare': b'mine'}
    monkeypatch.setattr(os, 'access', lambda *_: False)  # the superuser may write everywhere
    assert restore('photos', '--output', 'new/er') == 2
    assert f'{Path.cwd()} cannot be written into: choose another --output' in capsys.readouterr().err
    assert not Path('new').exists()


@pytest.mark.promise(PLACE)
@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO])
def test_a_full_disk_is_one_line_and_leaves_nothing_behind(
    restore: Callable[..., int], capsys, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(atomic.os, 'link', fail)
    monkeypatch.setattr(atomic.os, 'replace', fail)
    assert restore('photos', '--output', 'out') == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith('basicsr: error')]
    assert errors == [f'basicsr: error: out/a.png cannot be written: {os.strerror(code)}']
    assert not any(path.suffix == '.tmp' for path in Path('out').iterdir())


@pytest.mark.promise(MEANWHILE)
def test_a_file_that_appeared_meanwhile_is_kept(
    restore: Callable[..., int], capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = planning.carry_out

    def later(*arguments: object, **options: object) -> list[str]:
        Path('out').mkdir()
        Path('out/b.png').write_text('mine')
        return original(*arguments, **options)

    monkeypatch.setattr(planning, 'carry_out', later)
    assert restore('photos', '--output', 'out') == 2
    assert 'out/b.png cannot be written: File exists' in capsys.readouterr().err
    assert Path('out/b.png').read_text() == 'mine'


@pytest.mark.parametrize('name', ['a.png.part', '.a.png.tmp', '.a.png.0123456789ab.tmp', 'a.png.tmp'])
def test_files_that_look_unfinished_are_the_users(restore: Callable[..., int], name: str) -> None:
    Path('out').mkdir()
    Path('out', name).write_text('mine')
    assert restore('photos', '--output', 'out') == 0
    assert Path('out', name).read_text() == 'mine'


@pytest.mark.promise(NAMES)
def test_names_send_nothing_to_the_terminal(restore: Callable[..., int], capsys) -> None:
    Path('photos/\x1b[2J\nbasicsr: error: forged.png').write_bytes(b'')
    assert restore('photos', '--output', 'out') == 2
    captured = capsys.readouterr()
    assert r'basicsr: error: photos/\x1b[2J\nbasicsr: error: forged.png is empty' in captured.err
    assert '\x1b[2J' not in captured.err + captured.out


@pytest.mark.promise(
    'a pipe, socket, device or folder as image, kernel or checkpoint; a file far larger than its image needs'
)
@pytest.mark.parametrize('argument', ['--kernel', '--checkpoint', '-opt'])
def test_what_is_no_file_is_refused_without_waiting(restore: Callable[..., int], capsys, argument: str) -> None:
    os.mkfifo('pipe.npy')
    assert cli.main(['restore', 'photos', '--checkpoint', 'net.pth', '--output', 'out', argument, 'pipe.npy']) == 2
    assert 'is a pipe' in capsys.readouterr().err
    assert not Path('out').exists()


@pytest.mark.parametrize('shape', [(1, 1), (1, 3000), (3000, 1), (2, 2)])
def test_sheets_of_narrow_images_stay_small(shape: tuple[int, int]) -> None:
    image = np.zeros(shape, np.uint8)
    found = sheet.compare([('input', image), ('result', image)])
    assert max(found.shape) < 2500


def test_a_network_that_takes_no_image_is_one_line(restore: Callable[..., int], capsys) -> None:
    import converse_basicsr

    converse_basicsr.register()
    from basicsr.archs import build_network

    section = {'type': 'BasicVSR', 'num_feat': 4, 'num_block': 1}
    torch.save({'params': build_network(dict(section)).state_dict(), 'network_g': section}, 'net.pth')
    assert restore('photos', '--output', 'out') == 2
    assert 'BasicVSR cannot restore an image of 32 x 32' in capsys.readouterr().err
