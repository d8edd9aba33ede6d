"""Tables: what strangers call their images stays a name in Markdown, in spreadsheets and in plots."""

import csv
from pathlib import Path

import pytest

from converse_basicsr.evaluation.tables import cell, csv_text, markdown_table, plain, read_rows, save_plot

NAMES_AS_NAMES = 'names with markup, formulas or control characters in reports, pages and tables'
ODD = [
    '=1+1',
    '@SUM(A1)',
    '+cmd',
    '-x',
    'a,b',
    'a"b',
    'a\nb',
    'a\r',
    '\x1b[2J',
    '\u202etxt',
    "'=1",
    '',
    ' ',
    '山',
    '\udcff',
]


@pytest.mark.promise(NAMES_AS_NAMES)
def test_no_cell_is_a_formula_and_every_line_is_one_row(tmp_path: Path) -> None:
    text = csv_text([['name', 'value'], *([name, '-1.5'] for name in ODD)])
    assert text.count('\n') == len(ODD) + 1
    rows = list(csv.reader(text.splitlines()))[1:]
    assert all(value == '-1.5' and not name.startswith(('=', '@', '+', '-')) for name, value in rows)
    assert len({name for name, _ in rows}) == len(ODD)
    (tmp_path / 'table.csv').write_text(text, encoding='utf-8')
    assert read_rows(tmp_path / 'table.csv')[1:] == rows
    assert [cell(name) for name, _ in rows] == [name for name, _ in rows]  # once is as good as twice


@pytest.mark.parametrize('number', ['-1', '+2.5', '-1e-5', '-inf', 'nan', '0'])
def test_numbers_stay_numbers(number: str) -> None:
    assert cell(number) == number


@pytest.mark.promise(NAMES_AS_NAMES)
def test_markdown_shows_names_as_they_are() -> None:
    assert plain('Converse-DnCNN (blind), 4 px, Set5_k1') == 'Converse-DnCNN (blind), 4 px, Set5_k1'
    assert plain('<b>&[a](b)|`c`\\*') == r'\<b\>&\[a\](b)\|\`c\`\\\*'
    assert plain('a\n# b') == r'a\\n# b'
    assert markdown_table(['a|b', 'c'], [['<d>', '1']]) == '| a\\|b | c |\n| --- | ---: |\n| \\<d\\> | 1 |'


def test_rows_of_a_file_that_others_have_changed(tmp_path: Path) -> None:
    path = tmp_path / 'table.csv'
    path.write_bytes(b'\xef\xbb\xbfa,b\r\n1,"2\n3,4\n\n\xff,5\n6,' + b'7' * 200_000 + b'\n8,9')
    assert read_rows(path) == [['a', 'b'], ['1', '2'], ['3', '4'], [], ['\ufffd', '5'], [], []]


def test_a_plot_without_a_suffix_is_a_png_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    pyplot = pytest.importorskip('matplotlib.pyplot')
    save_plot(pyplot.figure(), tmp_path / 'plot')
    assert (tmp_path / 'plot.png').read_bytes().startswith(b'\x89PNG')
    with pytest.raises(ValueError, match='xyz'):
        save_plot(pyplot.figure(), tmp_path / 'plot.xyz')
    assert [path.name for path in tmp_path.iterdir()] == ['plot.png']
