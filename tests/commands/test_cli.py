import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from converse_basicsr import cli
from converse_basicsr.commands import options
from converse_basicsr.errors import ArgumentError, UserError


def python(code: str) -> str:
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize('arguments', [['--help'], *([command, '--help'] for command in cli.COMMANDS)])
def test_help_comes_without_torch_and_with_examples(arguments: list[str]) -> None:
    code = f"""
import sys
from converse_basicsr import cli
try:
    cli.main({arguments!r})
except SystemExit as stop:
    assert stop.code == 0
print(sorted({{'torch', 'basicsr', 'cv2', 'numpy'}} & set(sys.modules)))
"""
    output = python(code)
    assert output.endswith('[]')
    assert 'examples:' in output or 'example:' in output


def test_without_arguments_it_says_what_can_be_done_first() -> None:
    code = "import sys; from converse_basicsr import cli; print(cli.main([]), 'torch' in sys.modules)"
    *lines, last = python(code).splitlines()
    assert last == '0 False'
    assert len(lines) == 10
    commands = [line.split()[1] for line in lines if line.startswith('  basicsr ')]
    assert {'restore', 'train', 'setup', 'doctor', 'COMMAND'} <= {*commands} <= {*cli.COMMANDS, 'COMMAND'}


def test_importing_the_package_imports_neither_torch_nor_basicsr() -> None:
    code = "import sys, converse_basicsr; print('torch' in sys.modules, 'basicsr' in sys.modules)"
    assert python(code) == 'False False'


def test_lazy_names_are_there_and_leave_basicsr_alone() -> None:
    code = (
        'import sys, converse_basicsr as c; '
        'absent = [n for n in c.__all__ if getattr(c, n, None) is None]; '
        'print(absent, "basicsr" in sys.modules, set(c.__all__) <= set(dir(c)))'
    )
    assert python(code) == '[] False True'
    import converse_basicsr

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = converse_basicsr.nothing


@pytest.mark.slow
def test_the_layers_import_downwards_only() -> None:
    """ops, blocks and archs know torch only."""
    code = (
        'import sys, converse_basicsr.archs; '
        'print(sorted(n for n in sys.modules if n.startswith("converse_basicsr.")'
        ' and n.split(".")[1] not in ("ops", "blocks", "archs", "import_path", "register", "version")),'
        ' {"basicsr", "cv2", "yaml"} & set(sys.modules))'
    )
    assert python(code) == '[] set()'


def test_user_errors_become_lines_and_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(args: object) -> int:
        raise UserError('first', 'second')

    monkeypatch.setattr(options, 'run', fail)
    assert cli.main(['options']) == 2
    assert capsys.readouterr().err == 'basicsr: error: first\nbasicsr: error: second\n'


def test_arguments_are_named_as_options(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(args: object) -> int:
        raise ArgumentError('tile must be at least 16, got 8')

    monkeypatch.setattr(options, 'run', fail)
    assert cli.main(['options']) == 2
    assert capsys.readouterr().err == 'basicsr: error: --tile must be at least 16, got 8\n'


def test_interruption_is_status_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(options, 'run', interrupt)
    assert cli.main(['options']) == 130
    assert 'stopped' in capsys.readouterr().err


def test_list_shows_every_kind_and_where_it_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['list', '--json']) == 0
    content = json.loads(capsys.readouterr().out)
    assert set(content) == {'arch', 'model', 'dataset', 'metric', 'loss'}
    assert content['arch']['ConverseSRResNet'].endswith('(converse_basicsr.archs.converse_srresnet)')
    assert content['arch']['EDSR'].startswith('basicsr 1.')
    assert content['loss']['L1Loss'].startswith('basicsr ')
    assert cli.main(['list', 'metric']) == 0
    output = capsys.readouterr().out
    assert 'calculate_psnr_uint8' in output
    assert 'EDSR' not in output


def test_options_are_listed_and_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['options']) == 0
    output = capsys.readouterr().out
    for name in ('converse_srresnet_x4.yml', 'demo/converse_srresnet_x4.yml', 'test/converse_srresnet_x4.yml'):
        assert name in output
    target = tmp_path / 'options'
    assert cli.main(['options', '--copy', str(target)]) == 0
    assert cli.main(['options', '--copy', str(target)]) == 0  # the same again changes nothing
    file = target / 'demo/converse_srresnet_x4.yml'
    file.write_text('mine: 1\n')
    assert cli.main(['options', '--copy', str(target)]) == 2
    assert 'demo/converse_srresnet_x4.yml exist with other content' in capsys.readouterr().err
    assert file.read_text() == 'mine: 1\n'


def test_copies_appear_whole_or_not_at_all_and_links_are_kept(tmp_path: Path) -> None:
    (tmp_path / 'options').mkdir()
    (tmp_path / 'options/usrnet.yml').symlink_to(tmp_path / 'elsewhere.yml')
    assert cli.main(['options', '--copy', str(tmp_path / 'options')]) == 2
    assert sorted(path.name for path in tmp_path.rglob('*')) == ['options', 'usrnet.yml']


@pytest.mark.parametrize('arguments', [['--help'], ['options']])
def test_a_reader_that_is_gone_is_no_error(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, '-m', 'converse_basicsr.cli', *arguments]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode in (0, cli.CLOSED_PIPE), done.stderr) == (True, '')
