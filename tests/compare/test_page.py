"""The page of a comparison, made of its two tables alone: whatever names and tables hold."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_comparison import measured, write

from converse_basicsr import cli


def test_a_page_is_made_of_files_of_earlier_versions(comparison: dict[str, Any]) -> None:
    measured(comparison)
    assert cli.main(['compare', write(comparison), '--report-only']) == 0
    page = Path('comparison/tiny.md').read_text()
    assert '| Converse | 100 | 24.00 ± 0.00 | 5 | 0 | 1.5 | 32.25 | 694,208 |' in page
    assert 'basicsr compare tiny.yml --report-only' in page


@pytest.mark.parametrize('change', [{'train': {'total_iter': 6}}, {'datasets': {'train': {'gt_size': 8}}}, {}])
def test_a_page_says_whether_the_runs_are_alike(comparison: dict[str, Any], change: dict[str, Any]) -> None:
    measured(comparison)
    comparison['compare']['runs'][1].update(change)
    assert cli.main(['compare', write(comparison), '--report-only']) == 0
    page = Path('comparison/tiny.md').read_text()
    assert ('all see the same samples' in page) == (not change)
    assert ('some differ in their data or their section train' in page) == bool(change)


def test_the_first_metric_of_the_first_set_counts(comparison: dict[str, Any]) -> None:
    comparison['val']['metrics']['a_ssim'] = {'type': 'calculate_ssim', 'crop_border': 4}
    measured(comparison)
    path = Path('comparison/tiny_curves.csv')
    text = path.read_text()
    head, rest = text.split('\n', 1)
    path.write_text(f'{head}\n' + rest.replace('val/psnr,2', 'val/a_ssim,0.2') + rest)
    assert cli.main(['compare', write(comparison), '--report-only']) == 0
    assert '| network | parameters | PSNR on val, dB |' in Path('comparison/tiny.md').read_text()


@pytest.mark.promise('names with markup, formulas or control characters in reports, pages and tables')
def test_names_stay_names_in_the_page(comparison: dict[str, Any]) -> None:
    labels = ('<script>alert(1)</script>', '=1+1', 'a|b', '[x](javascript:y)', '$\\frac', '_hidden', '`x`')
    comparison['compare']['runs'] = [{'label': label} for label in labels]
    comparison['compare']['title'] = '<img src=x> | title'
    comparison['datasets']['train']['name'] = '<b>train</b>'
    measured(comparison, labels)
    with open('comparison/tiny_runs.csv', 'a') as file:
        file.write('x,0,100,5.0,1.5,9,19.5,<i>machine</i>\n')
    Path('comparison/tiny_a(b) [c].png').write_bytes(b'')
    assert cli.main(['compare', write(comparison), '--report-only']) == 0
    page = Path('comparison/tiny.md').read_text()
    assert not re.search(r'(?<!\\)<', page)
    assert '| a\\|b |' in page
    assert '\\[x\\](javascript:y)' in page
    assert '(tiny_a%28b%29%20%5Bc%5D.png)' in page
    for name in ('iterations', 'time'):
        plot = Path(f'comparison/tiny_{name}.svg').read_text()
        assert '<script' not in plot


DAMAGE: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ('curves', lambda content: b'', 'must hold rows with the columns'),
    ('curves', lambda content: content.partition(b'\n')[0] + b'\n', 'must hold rows with the columns'),
    ('curves', lambda content: content[:-10], 'tiny_curves.csv:13 is damaged'),
    ('curves', lambda content: content.replace(b',22', b',22,1'), 'tiny_curves.csv:2 is damaged'),
    ('curves', lambda content: content.replace(b',22', b',many'), 'tiny_curves.csv:2 is damaged'),
    ('curves', lambda content: content.replace(b',22', b',1e300'), 'tiny_curves.csv:2 is damaged'),
    ('curves', lambda content: content.replace(b',2,val', b',%s,val' % (b'9' * 5000)), 'tiny_curves.csv:2 is damaged'),
    ('curves', lambda content: content.replace(b',22', b',' + b'2' * 200_000), 'tiny_curves.csv:2 is damaged'),
    ('curves', lambda content: content.replace(b'Conv (twin)', b'Other'), 'has no val/psnr of Conv (twin)'),
    ('curves', lambda content: content.replace(b'val/psnr', b'psnr'), 'holds no metric of a test set'),
    ('curves', lambda content: bytes(range(256)) * 100, 'must hold rows with the columns'),
    ('runs', lambda content: content.replace(b'Conv (twin)', b'Other'), 'has no run of Conv (twin)'),
    ('runs', lambda content: content.replace(b'1.5', b''), 'tiny_runs.csv:2 is damaged'),
    ('runs', lambda content: b'my,own\n1,2\n', 'must hold rows with the columns'),
]


@pytest.mark.promise('records and tables of earlier work that are damaged, cut off or of other programs')
@pytest.mark.parametrize(('name', 'damage', 'message'), DAMAGE)
def test_damaged_tables_are_named(
    comparison: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    name: str,
    damage: Callable[[bytes], bytes],
    message: str,
) -> None:
    measured(comparison)
    path = Path(f'comparison/tiny_{name}.csv')
    path.write_bytes(damage(path.read_bytes()))
    assert cli.main(['compare', write(comparison), '--report-only']) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert message in error
    assert sorted(path.name for path in Path('comparison').iterdir()) == ['tiny_curves.csv', 'tiny_runs.csv']


@pytest.mark.parametrize('value', ['nan', 'inf', '-inf'])
def test_networks_that_diverged_have_a_page_too(comparison: dict[str, Any], value: str) -> None:
    measured(comparison)
    path = Path('comparison/tiny_curves.csv')
    path.write_text(path.read_text().replace(',val/psnr,24', f',val/psnr,{value}').replace(',0.5', ',nan'))
    assert cli.main(['compare', write(comparison), '--report-only']) == 0
    assert 'NOT ALL LOSSES LOGGED ARE FINITE' in Path('comparison/tiny.md').read_text()


@pytest.mark.parametrize('kind', ['pipe', 'folder'])
def test_a_table_that_is_no_file_is_named(
    comparison: dict[str, Any], capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    measured(comparison)
    path = Path('comparison/tiny_curves.csv')
    path.unlink()
    os.mkfifo(path) if kind == 'pipe' else path.mkdir()
    assert cli.main(['compare', write(comparison), '--report-only']) == 2
    assert f'{path} is a {kind}, not a file' in capsys.readouterr().err


def test_a_page_shows_its_own_pictures_only(comparison: dict[str, Any]) -> None:
    measured(comparison)
    for name in ('tiny_val0.png', 'tiny_more_val0.png', 'tiny_more_runs.csv', 'tinyx_val0.png'):
        Path('comparison', name).touch()
    assert cli.main(['compare', write(comparison), '--report-only']) == 0
    page = Path('comparison/tiny.md').read_text()
    assert re.findall(r'\((tiny\w*\.png)\)', page) == ['tiny_val0.png']


def test_figures_that_do_not_fit_are_refused(comparison: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    Path('comparison').mkdir()
    for name in ('curves', 'runs'):
        Path(f'comparison/tiny_{name}.csv').write_text('a,b\n1,2\n')
    assert cli.main(['compare', write(comparison), '--report-only']) == 2
    assert 'tiny_curves.csv must hold rows with the columns' in capsys.readouterr().err
