import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tiny_run import smooth_image

from converse_basicsr import cli, picture


def test_report_of_a_run(
    basicsr: Callable[..., int], run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run_options['train']['ema_decay'] = 0.9
    assert basicsr('train', run_options) == 0
    capsys.readouterr()
    assert cli.main(['report', '-opt', 'run.yml', '--pictures', '1']) == 0
    output = capsys.readouterr().out
    assert 'val mean' in output
    assert 'baseline' in output
    rows = list(csv.DictReader(Path('results/tiny/report/report.csv').read_text().splitlines()))
    assert [row['image'] for row in rows] == ['val0', 'val1']
    pictures = list(Path('results/tiny/report').glob('*.png'))
    assert [p.name in ('val_val0.png', 'val_val1.png') for p in pictures] == [True]
    sheet = cv2.imread(str(pictures[0]))
    assert sheet.shape[1] > 4 * 300
    # The figures are those of the validation that ended the training, bicubic the metric of MATLAB-style interpolation.
    log = max(Path('experiments/tiny').glob('*.log')).read_text()
    mean = np.mean([float(row['network']) for row in rows])
    assert f'psnr: {mean:.4f}' in log


def test_report_before_training_is_refused(
    basicsr: Callable[..., int], run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert basicsr('report', run_options) == 2
    assert 'net_g_latest.pth does not exist; train first' in capsys.readouterr().err


def test_the_most_contoured_window_holds_the_detail() -> None:
    image = np.full((90, 120), 128, np.uint8)
    image[10:20, 10:20] = np.indices((10, 10)).sum(0) % 2 * 255  # texture
    image[50:70, 80:100] = 255  # contours
    window = picture.most_contoured_window(image, 24)
    assert window.size == 24
    assert window.top <= 50
    assert window.left <= 80
    assert window.top + 24 >= 70
    assert window.left + 24 >= 100


def test_stack_keeps_every_picture() -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 256, (size, 2 * size, 3), dtype=np.uint8) for size in (10, 16))
    sheet = picture.stack([first, second])
    assert sheet.shape == (26, 32, 3)
    assert np.array_equal(sheet[:10, :20], first)
    assert np.array_equal(sheet[10:], second)
    assert (sheet[:10, 20:] == 255).all()


def test_compare_lays_out_what_it_is_given() -> None:
    truth = smooth_image(np.random.default_rng(0), 64, 96)
    sheet = picture.compare([('worse\nPSNR 1.00', 255 - truth), ('truth', truth)], side=128)
    detail = picture.most_contoured_window(truth, 32)
    crop = truth[detail.top : detail.top + 32, detail.left : detail.left + 32]
    enlarged = cv2.resize(crop, (128, 128), interpolation=cv2.INTER_NEAREST)
    right = sheet.shape[1] - picture.MARGIN
    assert np.array_equal(sheet[picture.MARGIN : picture.MARGIN + 128, right - 128 : right], enlarged)
    assert (sheet == picture.FRAME_COLOUR[::-1]).all(-1).any()
    with pytest.raises(ValueError, match='one size'):
        picture.compare([('a', truth), ('b', truth[1:])])
