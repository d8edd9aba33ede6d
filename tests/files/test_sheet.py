import cv2
import numpy as np
import pytest
from tiny_run import smooth_image

from converse_basicsr.files import sheet


def test_the_most_contoured_window_holds_the_detail() -> None:
    image = np.full((90, 120), 128, np.uint8)
    image[10:20, 10:20] = np.indices((10, 10)).sum(0) % 2 * 255  # texture
    image[50:70, 80:100] = 255  # contours
    window = sheet.most_contoured_window(image, 24)
    assert window.size == 24
    assert window.top <= 50
    assert window.left <= 80
    assert window.top + 24 >= 70
    assert window.left + 24 >= 100


def test_stack_keeps_every_picture() -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 256, (size, 2 * size, 3), dtype=np.uint8) for size in (10, 16))
    stacked = sheet.stack([first, second])
    assert stacked.shape == (26, 32, 3)
    assert np.array_equal(stacked[:10, :20], first)
    assert np.array_equal(stacked[10:], second)
    assert (stacked[:10, 20:] == 255).all()


def test_compare_lays_out_what_it_is_given() -> None:
    truth = smooth_image(np.random.default_rng(0), 64, 96)
    compared = sheet.compare([('worse\nPSNR 1.00', 255 - truth), ('truth', truth)], side=128)
    detail = sheet.most_contoured_window(truth, 32)
    crop = truth[detail.top : detail.top + 32, detail.left : detail.left + 32]
    enlarged = cv2.resize(crop, (128, 128), interpolation=cv2.INTER_NEAREST)
    right = compared.shape[1] - sheet.MARGIN
    assert np.array_equal(compared[sheet.MARGIN : sheet.MARGIN + 128, right - 128 : right], enlarged)
    assert (compared == sheet.FRAME_COLOUR[::-1]).all(-1).any()
    with pytest.raises(ValueError, match='one size'):
        sheet.compare([('a', truth), ('b', truth[1:])])


def test_wide_captions_do_not_reach_into_the_next_panel() -> None:
    truth = np.zeros((64, 64), np.uint8)
    caption = 'a network whose label is far wider than the picture of it'
    side, below = 128, slice(sheet.MARGIN + 128, None)
    alone = sheet.compare([('', truth), (caption, truth), ('', truth)], side=side)
    left = 3 * sheet.MARGIN + 2 * side  # the whole image and the first panel stand before it
    captions = alone[below]
    assert (captions[:, left : left + side] < 128).any()
    assert (captions[:, : left - sheet.MARGIN] == 255).all()
    assert (captions[:, left + side + sheet.MARGIN :] == 255).all()
    assert (alone[-sheet.MARGIN // 2 :] == 255).all()
