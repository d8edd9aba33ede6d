import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from converse_basicsr import cli


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
