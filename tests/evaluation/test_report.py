import contextlib
import csv
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from pretend_device import pretended_device

from converse_basicsr import cli, devices


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


@pytest.fixture
def trained(run_options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Options of a run, and ``net.pth``, which fits them."""
    from converse_basicsr.archs import ConverseSRResNet

    monkeypatch.chdir(tmp_path)
    arguments = {key: value for key, value in run_options['network_g'].items() if key != 'type'}
    torch.save({'params': ConverseSRResNet(**arguments).state_dict()}, 'net.pth')
    for name in ('val_gt', 'val_lq'):
        shutil.copytree(run_options['datasets']['val'][f'dataroot_{name[4:]}'], name)
        run_options['datasets']['val'][f'dataroot_{name[4:]}'] = name
    return run_options


def report(options: dict[str, Any], *arguments: str) -> int:
    Path('run.yml').write_text(yaml.safe_dump(options, sort_keys=False))
    return cli.main(['report', '-opt', 'run.yml', '--checkpoint', 'net.pth', *arguments])


def remove_gt(options: dict[str, Any]) -> None:
    Path('val_gt/val0.png').unlink()


def shrink_gt(options: dict[str, Any]) -> None:
    cv2.imwrite('val_gt/val1.png', np.zeros((20, 20, 3), np.uint8))


def damage(options: dict[str, Any]) -> None:
    content = bytearray(Path('val_lq/val1.png').read_bytes())
    content[60:] = b'x' * (len(content) - 72) + content[-12:]  # its header and its end are right
    Path('val_lq/val1.png').write_bytes(content)


def take_gt_away(options: dict[str, Any]) -> None:
    section = options['datasets']['val']
    section['type'] = 'SingleImageDataset'
    section.pop('dataroot_gt')


def change_colour(options: dict[str, Any]) -> None:
    options['datasets']['val']['color'] = 'y'  # one channel, and the network takes three


def spoil_weights(options: dict[str, Any]) -> None:
    content = torch.load('net.pth')
    next(iter(content['params'].values())).fill_(float('nan'))
    torch.save(content, 'net.pth')


@pytest.mark.parametrize('pretended', [False, True])
def test_a_report_is_made_on_the_device_that_is_asked_for(
    trained: dict[str, Any], monkeypatch: pytest.MonkeyPatch, pretended: bool
) -> None:
    """Whatever ``num_gpu`` says, and though BasicSR knows the CPU and CUDA only."""
    assert report(trained) == 0
    expected = Path('results/tiny/report/report.csv').read_text()
    trained['num_gpu'] = 1
    monkeypatch.setitem(devices.ACCELERATORS, 'mps', lambda: 1)
    with pretended_device() if pretended else contextlib.nullcontext():
        assert report(trained, '--output', 'there', '--device', 'mps:0' if pretended else 'cpu') == 0
    rows, others = (csv.DictReader(text.splitlines()) for text in (expected, Path('there/report.csv').read_text()))
    for row, other in zip(rows, others, strict=True):
        assert (row['image'], row['baseline']) == (other['image'], other['baseline'])
        assert float(other['network']) == pytest.approx(float(row['network']), abs=0.02)


def test_a_device_that_is_not_there_is_refused_before_anything_is_written(
    trained: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(trained, '--output', 'there', '--device', 'xpu:7') == 2
    assert 'error: --device xpu:7 cannot be used: not on this machine' in capsys.readouterr().err
    assert not Path('there').exists()


@pytest.mark.promise('a report on data that cannot be scored')
@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (remove_gt, 'datasets:val:dataroot_lq: holds 2 images, dataroot_gt 1'),
        (shrink_gt, 'datasets:val:dataroot_lq: 1 images do not fit scale 4'),
        (damage, 'val_lq/val1.png'),
        (take_gt_away, 'datasets:val: has no ground truth to score by'),
        (change_colour, 'cannot be scored by this network and these metrics'),
        (lambda options: options['val'].pop('metrics'), 'at least one metric is needed'),
        (lambda options: options['network_g'].update(num_feat=8), 'net.pth'),
        (spoil_weights, 'net.pth'),
        (lambda options: Path('net.pth').write_text('<html>'), 'net.pth'),
        (lambda options: options['datasets']['val'].update(dataroot_gt='gone'), 'no validation or test set is there'),
    ],
)
def test_data_that_cannot_be_scored_is_one_line(
    trained: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    change: Callable[[dict[str, Any]], object],
    message: str,
) -> None:
    change(trained)
    assert report(trained) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith('basicsr: error: ')]
    assert len(errors) == 1
    assert message in errors[0]
    assert not Path('results/tiny/report/report.csv').exists() or change is damage


@pytest.mark.promise('names with markup, formulas or control characters in reports, pages and tables')
def test_names_stay_names(trained: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    names = ['=1+1', 'a\x1b[2J\nbasicsr: error: forged', 'ä' * 120]
    for folder in ('val_gt', 'val_lq'):
        for name, old in zip(names, ('val0', 'val1', 'val1')):
            shutil.copyfile(f'{folder}/{old}.png', f'{folder}/{name}.png')
        for old in ('val0', 'val1'):
            Path(folder, f'{old}.png').unlink()
    assert report(trained) == 0
    printed = capsys.readouterr()
    assert '\x1b' not in printed.out + printed.err
    assert not any(line.startswith('basicsr: error') for line in (printed.out + printed.err).splitlines())
    folder = Path('results/tiny/report')
    rows = list(csv.DictReader((folder / 'report.csv').read_text().splitlines()))
    assert sorted(row['image'] for row in rows) == sorted(["'=1+1", r'a\x1b[2J\nbasicsr: error: forged', names[2]])
    pictures = [path.name for path in folder.glob('*.png')]
    assert len(pictures) == 3
    assert all(name.isprintable() for name in pictures)


@pytest.mark.promise('files of yours under the names of a report, a page or a table')
@pytest.mark.parametrize('name', ['report.csv', 'val_val0.png'])
def test_files_of_others_are_not_replaced(
    trained: dict[str, Any], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    Path('mine').mkdir()
    Path('mine', name).write_text('mine')
    assert report(trained, '--output', 'mine') == 2
    assert f'mine/{name} is in the way: this command did not write it' in capsys.readouterr().err
    assert Path('mine', name).read_text() == 'mine'


def test_a_report_replaces_an_earlier_one_and_one_that_was_interrupted(
    trained: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from converse_basicsr.evaluation import report as engine

    write_csv = engine.write_csv

    def stop(scores: list[Any], path: Path) -> None:
        if scores:
            raise KeyboardInterrupt
        write_csv(scores, path)

    with monkeypatch.context() as patch:
        patch.setattr(engine, 'write_csv', stop)
        assert report(trained) == 130
    folder = Path('results/tiny/report')
    assert (folder / 'report.csv').read_text() == 'dataset,image,metric,baseline,network\n'
    assert report(trained) == 0
    table = (folder / 'report.csv').read_text()
    (folder / 'report.csv').write_bytes(table.replace('\n', '\r\n').encode())  # as earlier versions wrote it
    assert report(trained) == 0
    assert (folder / 'report.csv').read_text() == table


@pytest.mark.promise('a place for results that is read-only, or no folder')
@pytest.mark.parametrize('kind', ['file', 'read-only'])
def test_a_place_that_cannot_be_written_is_said_before_the_work(
    trained: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr('converse_basicsr.evaluation.report.evaluate', None)  # it is not reached
    if kind == 'file':
        Path('results').write_text('mine')
    else:
        monkeypatch.setattr(os, 'access', lambda path, mode: False)  # root may write everywhere
    assert report(trained) == 2
    assert 'cannot write to results/tiny/report' in capsys.readouterr().err


@pytest.mark.promise('a disk that is full, failing or read-only, or a quota, at any moment')
def test_a_full_disk_keeps_the_earlier_report(
    trained: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert report(trained) == 0
    folder = Path('results/tiny/report')
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr('converse_basicsr.files.atomic.os.fsync', fail)
        assert report(trained) == 2
    assert 'No space left on device' in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
