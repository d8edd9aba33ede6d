"""Whatever a name holds, a terminal gets one printing line."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converse_basicsr import messages
from converse_basicsr.errors import UserError


@given(st.text(st.characters()))
def test_a_text_becomes_one_printing_line(text: str) -> None:
    shown = messages.printable(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    shown.encode('utf-8')  # no lone surrogate, as names of files have them


@pytest.mark.parametrize('text', ['photo 1.png', 'größe 中文.png', ''])
def test_a_harmless_text_stays_as_it_is(text: str) -> None:
    assert messages.printable(text) == text


@pytest.mark.parametrize('write', [messages.say, messages.tell])
def test_a_line_break_forges_no_line(write: object, capsys: pytest.CaptureFixture[str]) -> None:
    write('a.png\nbasicsr: error: forged', '\x1b]0;title\x07')  # type: ignore[operator]
    captured = capsys.readouterr()
    lines = (captured.out + captured.err).splitlines()
    assert lines == [r'a.png\nbasicsr: error: forged', r'\x1b]0;title\x07']


def test_an_error_holds_its_lines() -> None:
    assert UserError('a', 'b').lines == ('a', 'b')
    assert str(UserError('a', 'b')) == 'a\nb'


def run(*arguments: str, encoding: str = 'utf-8') -> subprocess.CompletedProcess[bytes]:
    import os

    command = [sys.executable, '-m', 'converse_basicsr.cli', *arguments]
    return subprocess.run(command, capture_output=True, env={**os.environ, 'PYTHONIOENCODING': encoding}, check=False)


@pytest.mark.parametrize('encoding', ['ascii', 'latin-1', 'utf-8'])
def test_a_terminal_that_knows_few_characters_gets_them_escaped(encoding: str) -> None:
    done = run('check', '-opt', '中\x1b[2J.yml', encoding=encoding)
    assert done.returncode == 2
    assert b'\x1b' not in done.stderr
    assert done.stderr.count(b'\n') == 1
    assert b'Traceback' not in done.stderr


@pytest.mark.parametrize('encoding', ['ascii', 'utf-8'])
def test_help_is_shown_on_any_terminal(encoding: str) -> None:
    done = run('prepare', 'sr', '--help', encoding=encoding)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b''


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = f'{sys.executable} -m converse_basicsr.cli schema | head -1; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(['bash', '-c', command], capture_output=True, text=True, check=True)
    assert done.stderr == ''
    assert done.stdout.splitlines()[-1] in ('0', '141')
