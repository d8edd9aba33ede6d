import csv

import pytest
import torch
from torch import nn

from converse_basicsr.archs import ConverseUSRNet
from converse_basicsr.inspection import Layer, inspect_network, tables
from converse_basicsr.ops import Converse2D

NAMES = ['a', 'rg.0.rcab.17.conv1.3', 'x' * 100, '\x1b[2Jb', '<b>|c']


@pytest.fixture(scope='module')
def layers() -> list[Layer]:
    torch.manual_seed(0)
    modules = [Converse2D(200, 200, (3, 11)), Converse2D(3, 3, 2, scale=2), Converse2D(2, 2, 3)]
    modules += [Converse2D(2, 2, 3, lam_init=0.5), Converse2D(2, 2, 3)]
    modules[0].weight.data *= 1e-6
    modules[2].weight.data *= 1e4
    modules[4].bias.data.fill_(-30)
    measured = [inspect_network(module, grid=8)[0] for module in modules]
    return [Layer(name, *list(vars(layer).values())[1:]) for name, layer in zip(NAMES, measured)]


def test_lines_fit_a_terminal_and_their_columns_stand_below_each_other(layers: list[Layer]) -> None:
    lines = tables.terminal_lines(layers)
    assert max(map(len, lines)) <= 120
    groups, head, *rows, total = lines
    assert 'rms gain' in groups
    assert len({len(line) for line in (head, *rows, total)}) == 1
    assert rows[0].startswith('a ')
    assert all(row.startswith('..') and name.endswith(row.split()[0][2:]) for row, name in zip(rows[1:3], NAMES[1:]))
    assert '\x1b' not in ''.join(rows)
    assert rows[0].split()[1:6] == ['3x11', '1', '1.3e-4', '1.3e-4', '1.3e-4']
    assert rows[1].split()[1:3] == ['2x2', '2']
    assert [row.split()[-4:] for row in rows] == [
        ['200', '0', '200', '0'],
        ['3', '0', '3', '0'],
        ['2', '2', '0', '0'],
        ['2', '0', '0', '0'],
        ['2', '0', '0', '2'],
    ]
    assert total.split()[:2] == ['all', 'layers']
    assert total.split()[-4:] == ['209', '2', '203', '2']
    lam = torch.cat([layer.lam for layer in layers])
    assert total.split()[2:5] == [tables.short_lam(value.item()) for value in (lam.min(), lam.median(), lam.max())]
    end = head.index('idle') + 4
    assert all(row[end - 1] != ' ' and row[end] == ' ' for row in rows)


def test_one_layer_needs_no_line_for_all(layers: list[Layer]) -> None:
    assert len(tables.terminal_lines(layers[:1])) == 3


def test_markdown_has_the_same_rows_with_names_as_they_are(layers: list[Layer]) -> None:
    lines = tables.markdown(layers).split('\n')
    assert lines[0].startswith('| layer | kernel | scale | lam min | lam median | lam max | rms gain median |')
    assert len(lines) == 2 + len(layers) + 1
    assert f'| {"x" * 100} |' in lines[4]
    assert lines[6].startswith('| \\<b\\>\\|c |')


def test_csv_has_a_line_for_each_channel(layers: list[Layer]) -> None:
    rows = list(csv.DictReader(tables.csv([('one', layers), ('=two', layers[:1])]).splitlines()))
    assert [len([row for row in rows if row['network'] == name]) for name in ('one', "'=two")] == [209, 200]
    row = rows[204]
    layer = layers[2]
    assert (row['layer'], row['channel'], row['kernel'], row['scale']) == (layer.name, '1', '3x3', '1')
    assert float(row['lam']) == pytest.approx(layer.lam[1].item(), rel=1e-5)
    assert float(row['rms_gain']) == pytest.approx(layer.filters.rms[1].item(), rel=1e-5)
    assert float(row['peak_gain']) == pytest.approx(layer.filters.peak[1].item(), rel=1e-5)
    assert [int(row[f'reach_{share}']) for share in (50, 90, 99)] == layer.filters.reach[1].tolist()
    assert (row['dead'], row['idle'], row['saturated']) == ('1', '0', '0')


def test_what_is_not_known_is_left_open() -> None:
    net = ConverseUSRNet(num_feat=4, num_block=1)
    layers = inspect_network(net, grid=8)
    step = next(line for line in tables.terminal_lines(layers) if line.startswith('d '))
    assert step.split()[1:3] == ['-', '-']
    assert step.split()[6:] == ['-'] * 7 + ['4', '-', '-', '0']
    (row, *_) = csv.DictReader(tables.csv([('net', layers)]).splitlines())
    assert (row['layer'], row['kernel'], row['rms_gain'], row['dead'], row['saturated']) == ('d', '', '', '', '0')
    only = [layer for layer in layers if layer.filters is None]
    assert len(tables.terminal_lines(only)) == 3


def test_a_network_is_measured_whatever_its_class() -> None:
    (layer,) = inspect_network(nn.Sequential(nn.Sequential(Converse2D(2, 2, 3))), grid=8)
    assert tables.terminal_lines([layer])[2].startswith('0.0 ')
