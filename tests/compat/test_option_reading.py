"""Option files and command lines of scripts that call BasicSR's ``parse_options`` themselves."""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from converse_basicsr import compat
from converse_basicsr.errors import UserError

BOMB = 'name: !!python/object/apply:os.mkdir [exploded]\n'


def parse(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[dict[str, Any], Any]:
    from basicsr.utils import options

    monkeypatch.setattr(sys, 'argv', ['train.py', *arguments])
    return options.parse_options(str(Path.cwd()), is_train=True)


def test_an_option_file_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path('bomb.yml').write_text(BOMB)
    with pytest.raises(UserError, match='is not allowed'):
        parse(monkeypatch, '-opt', 'bomb.yml')
    assert not Path('exploded').exists()
    with compat.disabled('option_reading'), pytest.raises(KeyError):  # it goes on with a file of one key
        parse(monkeypatch, '-opt', 'bomb.yml')
    assert Path('exploded').exists()


def test_a_script_gets_the_options_of_a_run(
    run_options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path('run.yml').write_text(yaml.safe_dump(run_options, sort_keys=False))
    options, arguments = parse(
        monkeypatch, '-opt', 'run.yml', '--local_rank=0', '--debug', '--force_yml', 'train:total_iter=7', 'scale=4'
    )
    assert arguments.opt == 'run.yml'
    assert options['train']['total_iter'] == 7
    assert options['name'] == 'debug_tiny'
    assert options['val']['val_freq'] == options['logger']['save_checkpoint_freq'] == 8
    assert options['datasets']['val']['phase'] == 'val'
    assert options['path']['models'] == str(tmp_path / 'experiments/debug_tiny/models')

    from basicsr.utils.options import copy_opt_file

    copy_opt_file(arguments.opt, str(tmp_path))
    assert yaml.safe_load(Path('run.yml').read_text())['train']['total_iter'] == 7  # the overrides are in the copy


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], '-opt FILE'),
        (['-opt'], '-opt needs a value'),
        (['-opt', 'run.yml', '--auto_resum'], 'unknown argument --auto_resum; did you mean --auto_resume'),
        (['-opt', 'run.yml', '--launcher', 'mpi'], '--launcher must be one of none, pytorch, slurm, got mpi'),
        (['-opt', 'run.yml', '--local_rank', 'x'], '--local_rank must be a whole number'),
    ],
)
def test_a_wrong_command_line_is_told(monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse(monkeypatch, *arguments)
