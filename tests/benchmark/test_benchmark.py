import argparse
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pretend_device import pretended_device

from converse_basicsr.archs import ConverseDnCNN
from converse_basicsr.benchmark import network_times, operator_times, result_tables, timing
from converse_basicsr.benchmark.textbook import PlainLayerNorm2d, TextbookConverse2D, textbook
from converse_basicsr.blocks import LayerNorm2d
from converse_basicsr.commands import benchmark
from converse_basicsr.errors import UserError
from converse_basicsr.ops import Converse2D, converse2d


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)
    return benchmark.run(parser.parse_args([str(argument) for argument in arguments]))


@pytest.mark.parametrize('scale', [1, 2, 3])
@pytest.mark.parametrize('taps', [(2, 2), (3, 4), (5, 5)])
def test_textbook_is_the_same_operator(scale: int, taps: tuple[int, int]) -> None:
    # In float64, where the textbook form is accurate too; it is a second opinion on the closed forms.
    x, kernel = torch.randn(2, 3, 8, 6, dtype=torch.float64), torch.randn(1, 3, *taps, dtype=torch.float64)
    lam = torch.rand(1, 3, 1, 1, dtype=torch.float64) + 0.01
    torch.testing.assert_close(textbook(x, kernel, lam, scale), converse2d(x, kernel, lam, scale))


@pytest.mark.parametrize('mode', ['circular', 'replicate'])
def test_textbook_layers_stand_in(mode: str) -> None:
    ours = Converse2D(3, 3, 5, 2, padding_mode=mode).double()
    x = torch.randn(1, 3, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(TextbookConverse2D(ours)(x), ours(x))
    norm = LayerNorm2d(3).double()
    torch.testing.assert_close(PlainLayerNorm2d(norm)(x), norm(x))


def test_every_operator_of_a_network_is_exchanged() -> None:
    ours = ConverseDnCNN(num_block=2, num_feat=4, kernel_size=3)
    theirs = network_times.with_textbook(ours)
    kinds = [type(module) for module in theirs.modules()]
    assert Converse2D not in kinds
    assert LayerNorm2d not in kinds
    assert kinds.count(TextbookConverse2D) == 2
    x = torch.rand(1, 1, 12, 12)
    with torch.no_grad():
        torch.testing.assert_close(theirs(x), ours(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('case', [*operator_times.HEADLINE, *operator_times.GRID], ids=str)
def test_candidates_give_maps_of_one_size(case: operator_times.Case) -> None:
    small = operator_times.Case(case.num, 2, 10, case.kernel, case.scale, min(case.padding, 9), case.train)
    x, modules = operator_times.build(small, 'cpu')
    shapes = {name: module(x).shape for name, module in modules.items() if name != 'floor'}
    assert set(shapes.values()) == {(case.num, 2, 10 * case.scale, 10 * case.scale)}


def test_bare_transforms_apply_their_filter() -> None:
    case = operator_times.Case(2, 3, 10, 3, 1, 2)
    floor = operator_times.BareTransforms(case)
    floor.chunk = 2
    x = torch.rand(2, 3, 10, 10)
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2), mode='circular')
    expected = torch.fft.irfft2(torch.fft.rfft2(padded) * floor.otf, s=(14, 14))[..., 2:12, 2:12]
    torch.testing.assert_close(floor(x), expected)


def test_saved_bytes_counts_each_storage_once() -> None:
    x, weight = torch.rand(100, requires_grad=True), torch.rand(100, requires_grad=True)
    kept = timing.saved_bytes(lambda: (x * weight) + (x * 2 * weight), [weight])
    assert kept == 2 * x.nbytes  # x, and x * 2


def test_operator_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('matplotlib', reason='the plot is drawn with matplotlib')
    files = [tmp_path / name for name in ('figures.json', 'table.md', 'plot.svg')]
    options = [item for pair in zip(('--json', '--markdown', '--plot'), files) for item in pair]
    assert run('operator', '--cases', 'quick', '--repeats', 1, '--no-memory', *options) == 0
    table = capsys.readouterr().out
    assert files[1].read_text() == table
    results = json.loads(files[0].read_text())
    assert results['machine']['torch'] == torch.__version__
    for case in results['cases']:
        assert case['case'] in table
        assert case['seconds']['ours'] > 0
        assert case['error']['ours'] < 1e-6 < case['error']['textbook']
    assert results['cases'][1]['bytes_for_backward']['ours'] < results['cases'][1]['bytes_for_backward']['textbook']
    assert '<svg' in files[2].read_text()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='resident memory is read from /proc')
def test_peak_memory_sees_an_allocation() -> None:
    code = (
        'import torch; from converse_basicsr.benchmark.timing import resident_growth; '
        'print(resident_growth(lambda: torch.ones(8 << 20)))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert 30 << 20 < int(done.stdout) < 60 << 20
    spec = {'num': 1, 'channels': 2, 'size': 8, 'kernel': 3, 'scale': 1, 'padding': 2, 'train': False, 'threads': 1}
    assert timing.peak_growth('converse_basicsr.benchmark.operator_times', {**spec, 'name': 'ours'}) >= 0


def test_network_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    small = [('small', lambda operator: ConverseDnCNN(num_block=1, num_feat=4, operator=operator), 1, 12)]
    monkeypatch.setattr(network_times, 'NETWORKS', small)
    assert run('network', '--repeats', 1, '--size', 16, '--json', tmp_path / 'out.json') == 0
    assert 'small, 16x16' in capsys.readouterr().out
    (case,) = json.loads((tmp_path / 'out.json').read_text())['cases']
    assert case['largest_difference_to_textbook'] < 1e-3


def test_tables_leave_out_what_was_not_measured() -> None:
    results = {'machine': timing.describe_machine('cpu'), 'cases': []}
    assert 'textbook / ours' in result_tables.operator_table(results)
    assert 'ours / conv' in result_tables.network_table(results)


@pytest.mark.promise('a place for results that is read-only, or no folder')
def test_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='folder does not exist'):
        run('operator', '--cases', 'quick', '--json', tmp_path / 'none' / 'out.json')


@pytest.mark.promise('a place for results that is read-only, or no folder')
@pytest.mark.parametrize('option', ['--json', '--markdown', '--plot'])
def test_a_file_that_cannot_be_written_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setattr(operator_times, 'measure', None)  # it is not reached
    with pytest.raises(UserError, match='it is a folder'):
        run('operator', option, tmp_path)
    monkeypatch.setattr(os, 'access', lambda path, mode: False)  # whoever runs the tests as root may write everywhere
    with pytest.raises(UserError, match=f'{tmp_path} cannot be written into'):
        run('operator', option, tmp_path / 'file.svg')
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_matplotlib_cannot_draw_is_told_before_the_work(tmp_path: Path) -> None:
    pytest.importorskip('matplotlib')
    with pytest.raises(UserError, match=r'matplotlib draws .*svg.*, not \.xyz'):
        run('operator', '--plot', tmp_path / 'plot.xyz')


@pytest.mark.promise('a disk that is full, failing or read-only, or a quota, at any moment')
def test_a_full_disk_keeps_the_earlier_results_and_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = {'machine': timing.describe_machine('cpu'), 'cases': []}
    monkeypatch.setattr(operator_times, 'measure', lambda *_, **__: results)
    path = tmp_path / 'results.json'
    path.write_text('earlier')

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', fail)
    with pytest.raises(UserError, match='No space left on device; the table above is complete'):
        run('operator', '--json', path)
    assert 'textbook / ours' in capsys.readouterr().out
    assert path.read_text() == 'earlier'
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_results_go_to_a_device_too(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    results = {'machine': timing.describe_machine('cpu'), 'cases': []}
    monkeypatch.setattr(operator_times, 'measure', lambda *_, **__: results)
    assert run('operator', '--json', '/dev/stdout') == 0
    assert '"cases": []' in capfd.readouterr().out


def test_plot_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'matplotlib', None)
    with pytest.raises(UserError, match='needs matplotlib'):
        run('operator', '--cases', 'quick', '--plot', tmp_path / 'plot.svg')


def test_device_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r'device nonsense cannot be used: .*; choose from auto, cpu'):
        run('operator', '--cases', 'quick', '--device', 'nonsense')


@pytest.mark.parametrize('value', ['0', '-3'])
def test_wrong_counts(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run('operator', '--repeats', value)
    assert 'must be an integer of at least 1' in capsys.readouterr().err


def test_help_does_not_import_torch() -> None:
    code = (
        'import argparse, sys; from converse_basicsr.commands import benchmark; '
        'benchmark.add_arguments(argparse.ArgumentParser()); assert "torch" not in sys.modules'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


def test_the_error_is_measured_in_float64_on_devices_without_it_too() -> None:
    case = operator_times.CASES['quick'][0]
    x, modules = operator_times.build(case, 'cpu')
    expected = operator_times.errors(modules, x)
    with pretended_device() as device:
        there = {name: module.to(device) for name, module in modules.items()}
        actual = operator_times.errors(there, x.to(device))
    assert actual.keys() == expected.keys() == {'ours', 'textbook'}
    assert actual['ours'] < 1e-6
    assert actual['textbook'] == pytest.approx(expected['textbook'], rel=0.5)
