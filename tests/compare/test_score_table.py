"""The table of a comparison's page: a column for each score, and the differences to a reference."""

import csv
import math
from pathlib import Path
from typing import Any

import pytest
from tiny_comparison import measured, write

from converse_basicsr import cli

CURVES = Path('comparison/tiny_curves.csv')
Curve = list[float]


def table(comparison: dict[str, Any]) -> tuple[list[dict[str, str]], str]:
    """The table of the page by its captions, and the whole page."""
    assert cli.main(['compare', write(comparison), '--report-only']) == 0
    page = Path('comparison/tiny.md').read_text()
    lines = [line[2:-2].split(' | ') for line in page.splitlines() if line.startswith('| ')]
    return [dict(zip(lines[0], [cell.strip() for cell in line], strict=True)) for line in lines[2:]], page


def with_curves(comparison: dict[str, Any], curves: dict[str, list[Curve]]) -> None:
    """Write the tables of networks with these curves, one per seed, validated every 1,000 iterations."""
    comparison['compare']['runs'] = [{'label': label} for label in curves]
    measured(comparison, tuple(curves))
    with open(CURVES, 'w') as file:
        rows = csv.writer(file)
        rows.writerow(('label', 'seed', 'iteration', 'quantity', 'value'))
        for label, of_seeds in curves.items():
            for seed, values in enumerate(of_seeds):
                rows.writerows((label, seed, 1000 * n, 'val/psnr', value) for n, value in enumerate(values, 1))


def test_each_set_and_metric_has_a_column(comparison: dict[str, Any]) -> None:
    comparison['val']['metrics']['ssim'] = {'type': 'calculate_ssim', 'crop_border': 4}
    comparison['datasets']['val_2'] = {**comparison['datasets']['val'], 'name': 'val2'}
    section = comparison['datasets']['val']
    comparison['compare']['held_out'] = {'Kodak24': {**section, 'name': 'Kodak24'}, 'Not scored yet': {}}
    measured(comparison)
    scores = {'val/ssim': 0.91234, 'val2/psnr': 25, 'val2/ssim': 0.8, 'Kodak24/psnr': 26.125, 'Kodak24/ssim': 0.75}
    with open(CURVES, 'a') as file:
        for quantity, value in scores.items():
            for label in ('Converse', 'Conv (twin)')[: 1 if quantity == 'Kodak24/ssim' else 2]:
                file.writelines(f'{label},{seed},4,{quantity},{value + seed}\n' for seed in (0, 1))
    rows, page = table(comparison)
    assert list(rows[0])[2:8] == [
        'PSNR on val, dB', 'SSIM on val', 'PSNR on val2, dB', 'SSIM on val2', 'PSNR on Kodak24, dB', 'SSIM on Kodak24',
    ]  # fmt: skip
    assert rows[0]['SSIM on val'] == '1.4123 ± 0.7071'
    assert rows[0]['PSNR on Kodak24, dB'] == '26.62 ± 0.71'
    assert rows[1]['SSIM on Kodak24'] == ''
    assert 'mean and standard deviation over 2 seeds. Held out: Kodak24; scored once' in page
    assert 'difference' not in page


def test_tables_of_earlier_versions_have_no_set_that_is_held_out(comparison: dict[str, Any]) -> None:
    comparison['compare']['held_out'] = {'Kodak24': comparison['compare']['picture']}
    measured(comparison)
    rows, page = table(comparison)
    assert not any('Kodak24' in caption for caption in rows[0])
    assert 'Held out' not in page


def test_a_set_that_is_held_out_never_stands_for_the_validation(
    comparison: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    comparison['compare']['held_out'] = {'Kodak24': comparison['compare']['picture']}
    measured(comparison)
    CURVES.write_text(CURVES.read_text().replace('val/psnr', 'Kodak24/psnr'))
    assert cli.main(['compare', write(comparison), '--report-only']) == 2
    assert 'holds no metric of a validation set' in capsys.readouterr().err


def test_differences_are_paired_by_seed(comparison: dict[str, Any]) -> None:
    curves = {'A': [[20, 24], [20, 30], [20, 25]], 'B': [[20, 23.5], [20, 29.7]], 'C': [[20, 28]]}
    with_curves(comparison, curves)
    comparison['compare']['reference'] = 'A'
    with open(CURVES, 'a') as file:
        file.writelines(f'{label},0,2000,Kodak/psnr,{value}\n' for label, value in (('A', 25), ('B', 24)))
    comparison['compare']['held_out'] = {'Kodak': {}}
    rows, page = table(comparison)
    assert [row['difference to A, dB'] for row in rows] == ['', '-0.40 ± 0.14', '+4.00']
    assert [row['difference to A on Kodak, dB'] for row in rows] == ['', '-1.00', '']
    assert 'Differences: to A, between runs of equal seeds.' in page


@pytest.mark.parametrize(
    ('reference', 'chosen'), [(['A', 'B'], 'B'), (['B', 'A'], 'B'), (['A', 'C'], 'A'), (['A'], 'A'), ('D', 'D')]
)
def test_the_reference_is_the_best_of_those_named(
    comparison: dict[str, Any], reference: str | list[str], chosen: str
) -> None:
    with_curves(comparison, {'A': [[20, 25]], 'B': [[20, 26]], 'C': [[30, math.nan]], 'D': [[1, 2]]})
    comparison['compare']['reference'] = reference
    rows, page = table(comparison)
    assert f'difference to {chosen}, dB' in rows[0]
    is_chosen = len(reference) > 1
    assert (f'to {chosen}, the best of {", ".join(reference)} by PSNR on val, between' in page) == is_chosen


@pytest.mark.parametrize(
    ('curve', 'share'),
    [
        ([[20, 24, 28, 32]], '0.62'),  # 26 lies halfway between the second and third validation of four
        ([[20, 24, 28, 25]], '0.62'),
        ([[20, 22, 24, 26]], '1.00'),
        ([[20, 22, 24, 25.99]], 'never'),
        ([[27, 22, 24, 25]], '≤ 0.25'),
        ([[20, 24, 28, 32], [20, 20, 20, 20]], '1.00'),  # the mean of both reaches it at the end
        ([[20, -math.inf, 27, 28]], '0.75'),
        ([[math.nan, math.nan, 20, 32]], '0.88'),
        ([[math.nan] * 4], 'never'),
        ([[20, math.inf, 27, 28], [20, -math.inf, 27, 28]], '0.75'),
        ([[20, 24, 28, 32, 33, 34, 35, 36]], '0.62'),  # longer than the reference
        ([[20, 20, 20, 20, 20, 26]], '1.50'),
    ],
)
def test_the_share_of_iterations_to_the_score_of_the_reference(
    comparison: dict[str, Any], curve: list[Curve], share: str
) -> None:
    with_curves(comparison, {'other': curve, 'twin': [[20, 22, 24, 25], [20, 22, 24, 27]]})
    comparison['compare']['reference'] = ['twin']
    rows, page = table(comparison)
    assert [row['iterations to its final score'] for row in rows] == [share, '1.00']
    assert 'as a share of its 4,000 iterations' in page


def test_a_reference_that_diverged_is_never_reached(comparison: dict[str, Any]) -> None:
    with_curves(comparison, {'other': [[20, 25]], 'twin': [[20, math.nan]]})
    comparison['compare']['reference'] = 'twin'
    rows, _ = table(comparison)
    assert [row['iterations to its final score'] for row in rows] == ['never', 'never']


def test_lower_may_be_better(comparison: dict[str, Any]) -> None:
    comparison['val']['metrics'] = {'error': {'type': 'calculate_niqe', 'crop_border': 4, 'better': 'lower'}}
    with_curves(comparison, {'A': [[0.5, 0.3]], 'B': [[0.5, 0.1]], 'C': [[0.9, 0.2]]})
    CURVES.write_text(CURVES.read_text().replace('psnr', 'error'))
    comparison['compare']['reference'] = ['A', 'C']
    rows, page = table(comparison)
    assert [row['ERROR on val'] for row in rows] == ['0.3000', '0.1000', '0.2000']
    assert [row['difference to C'] for row in rows] == ['+0.1000', '-0.1000', '']
    assert [row['iterations to its final score'] for row in rows] == ['never', '0.88', '1.00']
    assert 'dB' not in page.replace('published full-size, dB', '')


def test_labels_stay_names(comparison: dict[str, Any]) -> None:
    labels = ('<b>', 'a|b')
    comparison['compare'] |= {'runs': [{'label': label} for label in labels], 'reference': list(labels)}
    comparison['compare']['held_out'] = {'=1+1': {'name': '=1+1'}}
    measured(comparison, labels)
    with open(CURVES, 'a') as file:
        file.write("<b>,0,4,'=1+1/psnr,25\n")
    assert cli.main(['compare', write(comparison), '--report-only']) == 0
    page = Path('comparison/tiny.md').read_text()
    assert 'difference to \\<b\\>, dB' in page
    assert 'the best of \\<b\\>, a\\|b by PSNR on val' in page
    assert "Held out: '=1+1;" in page
