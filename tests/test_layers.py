"""The shape of the package: what import-linter's contracts in pyproject.toml leave to be checked."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'converse_basicsr'
MODULES = sorted(PACKAGE.rglob('*.py'))
MOST_LINES = 400


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported_packages(path: Path) -> Iterator[str]:
    """The top packages a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition('.')[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{name(path)} line {node.lineno}: imports are absolute'
            yield node.module.partition('.')[0]


def contract(kind: str) -> dict[str, Any]:
    """The contract of import-linter of that kind."""
    tomllib = pytest.importorskip('tomllib', reason='reading pyproject.toml needs Python 3.11')
    settings = tomllib.loads((ROOT / 'pyproject.toml').read_text(encoding='utf-8'))
    (found,) = [c for c in settings['tool']['importlinter']['contracts'] if c['type'] == kind]
    return found


def test_the_contract_of_the_lower_layers_names_every_third_party() -> None:
    """Operators, blocks, networks and surgery may import torch alone, so the contract must name all other packages."""
    used = {package for path in MODULES for package in imported_packages(path)}
    third_parties = used - sys.stdlib_module_names - {'converse_basicsr', 'torch'}
    assert third_parties - {*contract('forbidden')['forbidden_modules']} == set()


def test_the_layers_are_told_as_they_are() -> None:
    """The table of CONTRIBUTING.md has the rows of the contract."""
    text = (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8')
    table = text.partition('## Layers')[2].partition('\n## ')[0]
    rows = re.findall(r'^\| ((?:`\w+`(?:, )?)+) \|', table, flags=re.M)
    assert [row.replace('`', '').replace(', ', ' | ') for row in rows] == contract('layers')['layers']


@pytest.mark.parametrize('path', [p for p in MODULES if p.name == '__init__.py' and p.parent != PACKAGE], ids=name)
def test_packages_hold_public_names_only(path: Path) -> None:
    """A docstring, imports and ``__all__``: what a package does is in its modules.

    Names may be imported on first use (PEP 562), so that ``basicsr --help`` starts without torch.
    """
    docstring, *statements = ast.parse(path.read_text(encoding='utf-8')).body
    assert isinstance(docstring, ast.Expr)
    for statement in statements:
        first_line = ast.unparse(statement).partition('\n')[0]
        assert first_line.startswith(('import ', 'from ', '__all__ = ', 'if TYPE_CHECKING:', 'def __getattr__(')), (
            f'line {statement.lineno}'
        )


@pytest.mark.parametrize('folder', ['converse_basicsr', 'tests'])
def test_modules_are_of_a_size_to_read(folder: str) -> None:
    sizes = {name(path): len(path.read_text(encoding='utf-8').splitlines()) for path in (ROOT / folder).rglob('*.py')}
    assert {path: lines for path, lines in sizes.items() if lines > MOST_LINES} == {}


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / 'py.typed').exists()
