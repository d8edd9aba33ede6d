"""``basicsr prepare kernels``: a bank of kernels and its picture."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from prepare_commands import command

from converse_basicsr.errors import UserError
from converse_basicsr.files.kernel_files import read_kernel
from converse_basicsr.prepare.kernel_bank import CELL, MARGIN


def draw(output: Path, *argv: object) -> int:
    return command('kernels', '--output', output, *argv)


def read(folder: Path) -> list[np.ndarray]:
    return [np.load(path) for path in sorted(folder.glob('*.npy'))]


def test_kernels_are_ones_that_the_dataset_takes(tmp_path):
    assert draw(tmp_path / 'bank', '--number', 12, '--size', 9) == 0
    assert len(list((tmp_path / 'bank').glob('kernel_??.npy'))) == 12
    for path in (tmp_path / 'bank').glob('*.npy'):
        kernel = np.load(path)
        assert (kernel.shape, kernel.dtype) == ((9, 9), np.float64)
        assert kernel.min() >= 0
        assert kernel.sum() == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(read_kernel(path), kernel)


def test_the_seed_decides(tmp_path):
    for name, seed in (('a', 0), ('b', 0), ('c', 1), ('d', -1)):
        draw(tmp_path / name, '--number', 4, '--seed', seed)
    a, b, c, d = (read(tmp_path / name) for name in 'abcd')
    np.testing.assert_array_equal(a, b)
    for others in (c, d):
        assert not any(np.array_equal(one, other) for one in a for other in others)
    assert len({kernel.tobytes() for kernel in a}) == 4


def test_one_kind_can_be_chosen(tmp_path):
    draw(tmp_path / 'bank', '--number', 10, '--size', 15, '--kinds', 'gaussian')
    for kernel in read(tmp_path / 'bank'):
        np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-12)  # a motion's trace is not symmetric
    draw(tmp_path / 'motion', '--number', 10, '--size', 15, '--kinds', 'motion')
    assert not any(np.allclose(kernel, kernel[::-1, ::-1], atol=1e-6) for kernel in read(tmp_path / 'motion'))


def test_the_picture_shows_every_kernel(tmp_path):
    draw(tmp_path / 'bank', '--number', 10)
    sheet = cv2.imread(str(tmp_path / 'bank/kernels.png'), cv2.IMREAD_GRAYSCALE)
    zoom = -(-CELL // 7)
    side, margin = 7 * zoom, MARGIN
    assert sheet.shape == (2 * (side + margin) + margin, 8 * (side + margin) + margin)
    for index, kernel in enumerate(read(tmp_path / 'bank')):
        row, column = divmod(index, 8)
        top, left = row * (side + margin) + margin, column * (side + margin) + margin
        shown = sheet[top + zoom // 2 : top + side : zoom, left + zoom // 2 : left + side : zoom]
        np.testing.assert_array_equal(shown, np.rint(kernel / kernel.max() * 255))
    assert (sheet[side + margin : side + 2 * margin] == 255).all()


def test_a_bank_is_finished_replaced_or_refused(tmp_path, capsys):
    draw(tmp_path / 'bank', '--number', 9)
    assert draw(tmp_path / 'bank', '--number', 9) == 0
    assert 'nothing to do' in capsys.readouterr().out
    with pytest.raises(UserError, match=r'number 9 there, 3 now'):
        draw(tmp_path / 'bank', '--number', 3)
    assert draw(tmp_path / 'bank', '--number', 3, '--overwrite') == 0
    assert {path.name for path in (tmp_path / 'bank').iterdir()} == {
        'kernel_1.npy', 'kernel_2.npy', 'kernel_3.npy', 'kernels.json', 'kernels.png',
    }  # fmt: skip
    (tmp_path / 'bank/kernel_2.npy').unlink()
    with pytest.raises(UserError, match=r'kernel_2.npy was finished, but now does not exist'):
        draw(tmp_path / 'bank', '--number', 3)


def test_kernels_of_others_stay(tmp_path):
    np.save(tmp_path / 'kernel_1.npy', np.ones((7, 7)))
    with pytest.raises(UserError, match=r'kernel_1.npy exists and was not made by this command'):
        draw(tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / 'kernel_1.npy'), np.ones((7, 7)))


@pytest.mark.parametrize('size', ['8', '1', 'large'])
def test_size_must_be_odd(tmp_path, capsys, size):
    with pytest.raises(SystemExit):
        draw(tmp_path / 'bank', '--size', size)
    assert 'must be an odd number of at least 3' in capsys.readouterr().err
