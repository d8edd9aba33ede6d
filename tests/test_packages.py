"""Whether packages are installed."""

import sys
from pathlib import Path

import pytest

from converse_basicsr import packages
from converse_basicsr.errors import UserError


def test_a_folder_without_init_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ('a_checkout', 'a_package'):
        (tmp_path / name).mkdir()
    (tmp_path / 'a_package/__init__.py').write_text('raise ImportError("it is broken")')
    assert (packages.is_installed('a_checkout'), packages.is_installed('a_package')) == (False, True)
    import a_checkout  # noqa: F401  (as a namespace, which has no file)

    assert not packages.is_installed('a_checkout')


def test_what_is_imported_or_blocked_is_told_without_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'a_name_that_is_blocked', None)
    assert not packages.is_installed('a_name_that_is_blocked')
    monkeypatch.setattr('importlib.util.find_spec', lambda name: pytest.fail('searched'))
    assert packages.is_installed('torch')


@pytest.mark.parametrize(
    ('names', 'line'),
    [
        (['torch', 'no_such'], 'no_such is not installed in this Python: run: pip install no_such'),
        (
            ['no_such', 'nor_this'],
            'no_such, nor_this are not installed in this Python: run: pip install no_such nor_this',
        ),
        (['no_such', 'basicsr'], packages.WITHOUT_BASICSR),
    ],
)
def test_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, names: list[str], line: str) -> None:
    monkeypatch.setitem(sys.modules, 'basicsr', None)
    with pytest.raises(UserError) as raised:
        packages.require(*names)
    assert raised.value.lines == (line,)


def test_nothing_is_said_of_what_is_there() -> None:
    packages.require('torch', 'yaml')
    packages.require_basicsr()
