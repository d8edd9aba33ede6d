import argparse
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from converse_basicsr import cli
from converse_basicsr.archs import ConverseDnCNN
from converse_basicsr.commands import inspect
from converse_basicsr.inspection import filters, inspector


@pytest.fixture(autouse=True)
def _network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({'params': ConverseDnCNN(num_feat=4, num_block=2).state_dict()}, 'net.pth')
    torch.save({'params': ConverseDnCNN(num_feat=4, num_block=2, operator='conv').state_dict()}, 'twin.pth')


def test_tables_are_printed_and_files_written(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('matplotlib')
    command = ['inspect', '--checkpoint', 'net.pth', 'net.pth', '--grid', '8']
    assert cli.main([*command, '--output', 'out', '--channels', '2']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith('ConverseDnCNN from net.pth (not stated by the checkpoint')
    assert [line.split()[0] for line in lines[3:7]] == ['layer', 'm_body.0.conv1.3', 'm_body.1.conv1.3', 'all']
    assert lines[-1] == ('written: out/inspect.csv, out/gains.svg, out/lam.svg, out/sheet_1.png, out/inspect.md')
    assert 'grid of 8 x 8' in Path('out/inspect.md').read_text()
    assert cli.main(command) == 0
    assert capsys.readouterr().out.splitlines() == lines[:-2]


def test_a_start_is_shown_in_a_process_of_its_own() -> None:
    Path('net.yml').write_text('network_g: {type: ConverseDnCNN, num_feat: 4, num_block: 1}')
    command = [sys.executable, '-m', 'converse_basicsr.cli', 'inspect', '-opt', 'net.yml', '--grid', '8']
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, '')
    assert 'm_body.0.conv1.3' in done.stdout.splitlines()[-1]


@pytest.mark.promise('`basicsr inspect` on a network without reverse convolutions')
@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--checkpoint', 'net.pth', 'twin.pth'], 'twin.pth: ConverseDnCNN has no reverse convolution, so there is'),
        ([], 'nothing to inspect: give --checkpoint FILE, or -opt FILE for a network as its training starts'),
        (['--checkpoint', 'net.pth', '--scale', '2'], '--scale has no effect without kernel: give both'),
        (['--checkpoint', 'net.pth', '--grid', '9999'], '--grid must be between 1 and 512, got 9999'),
        (['--checkpoint', 'net.pth', '--kernel', 'k.npy'], '--kernel k.npy does not exist'),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['inspect', *arguments]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if 'INFO' not in line)  # BasicSR's log
    assert line.startswith(f'basicsr: error: {message}')


def test_the_defaults_are_those_of_the_engine() -> None:
    parser = argparse.ArgumentParser()
    inspect.add_arguments(parser)
    args = parser.parse_args([])
    assert (args.grid, args.channels) == (filters.GRID, inspector.CHANNELS)
