"""Tables of runs that were trained on several machines, put together."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_comparison import measured, write

from converse_basicsr import cli
from converse_basicsr.evaluation.tables import read_rows


def keep(folder: Path, seed: int, change: Callable[[str], str] = str) -> None:
    """Leave only one seed's runs in the tables of a folder."""
    for name in ('tiny_curves.csv', 'tiny_runs.csv'):
        head, *lines = (folder / name).read_text().splitlines(keepends=True)
        (folder / name).write_text(head + ''.join(change(line) for line in lines if f'",{seed},' in line))


@pytest.fixture
def file(comparison: dict[str, Any]) -> str:
    """The comparison file, and in the folders a and b the tables of one seed each, the later one in a."""
    measured(comparison)
    Path('comparison').rename('a')
    (Path('a') / 'tiny_photo.png').write_bytes(b'of a')
    shutil.copytree('a', 'b')
    keep(Path('a'), 1, lambda line: line.replace('val/psnr,24', 'val/psnr,26').replace('AMD', 'Intel'))
    keep(Path('b'), 0)
    return write(comparison)


def refused(capsys: pytest.CaptureFixture[str], file: str, *arguments: str) -> str:
    before = {path: path.read_bytes() for path in Path().rglob('*') if path.is_file()}
    assert cli.main(['compare', file, '--merge', 'a', 'b', *arguments]) == 2
    assert {path: path.read_bytes() for path in Path().rglob('*') if path.is_file()} == before
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_two_folders_make_the_page_that_one_would(file: str) -> None:
    assert cli.main(['compare', file, '--merge', 'a', 'b']) == 0
    page = Path('comparison/tiny.md').read_text()
    assert page.count('25.00 ± 1.41') == 2
    assert '4 runs of' in page
    assert '(tiny_photo.png)' in page
    for name in ('curves', 'runs'):
        merged, a, b = (read_rows(Path(folder, f'tiny_{name}.csv')) for folder in ('comparison', 'a', 'b'))
        assert sorted(merged) == sorted([*b, *a[1:]]), 'cells stay as they were'
        runs = list(dict.fromkeys((label, seed) for label, seed, *_ in merged[1:]))
        assert runs == [(label, seed) for seed in '01' for label in ('Converse', 'Conv (twin)')], 'seed by seed'


def test_a_folder_may_receive_the_others(file: str) -> None:
    assert cli.main(['compare', file, '--merge', 'a', 'b', '--output', 'a']) == 0
    assert '25.00 ± 1.41' in Path('a/tiny.md').read_text()
    assert Path('a/tiny_photo.png').read_bytes() == b'of a'


def test_networks_of_different_machines_are_named(file: str) -> None:
    path = Path('a/tiny_runs.csv')
    keep(Path('a'), 1, lambda line: line if 'Conv (twin)' in line else '')
    keep(Path('b'), 0, lambda line: line if 'Converse' in line else '')
    assert path.read_text().count('\n') == 2
    assert cli.main(['compare', file, '--merge', 'a', 'b']) == 0
    assert 'AMD; Intel. Steps were timed on different machines.' in Path('comparison/tiny.md').read_text()


@pytest.mark.parametrize(
    ('name', 'old', 'new', 'said'),
    [
        ('runs', ',1,', ',0,', 'both hold the run of Converse with seed 0'),
        ('runs', 'Conv (twin)', 'Converse', 'holds the run of Converse with seed 1 twice'),
        ('runs', '19.5', '19.6', 'the input scores: 19.5, not 19.6'),
        ('runs', ',100,', ',101,', 'parameters: 100, not 101'),
        ('curves', ',4,val', ',6,val', 'iterations: 4, not 6'),
        ('curves', 'val/psnr', 'val/ssim', 'metrics: val/psnr, not val/ssim'),
        ('curves', 'Conv (twin)', 'Other', 'tiny_curves.csv holds the run of Other with seed 1'),
        ('curves', '26', 'x', 'is damaged'),
    ],
)
def test_what_does_not_belong_together_is_refused(
    capsys: pytest.CaptureFixture[str], file: str, name: str, old: str, new: str, said: str
) -> None:
    path = Path(f'a/tiny_{name}.csv')
    path.write_text(path.read_text().replace(old, new))
    if said.startswith('both'):
        curves = Path('a/tiny_curves.csv')
        curves.write_text(curves.read_text().replace(old, new))
    assert said in refused(capsys, file)


def test_a_folder_without_tables_is_named(capsys: pytest.CaptureFixture[str], file: str) -> None:
    shutil.rmtree('b')
    assert 'b/tiny_runs.csv does not exist' in refused(capsys, file).replace('\\', '/')


def test_what_others_made_is_not_replaced(capsys: pytest.CaptureFixture[str], file: str) -> None:
    Path('comparison').mkdir()
    Path('comparison/tiny_runs.csv').write_text('mine')
    assert 'tiny_runs.csv' in refused(capsys, file)
