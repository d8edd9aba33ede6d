"""No promise without a test: each row of the tables about robustness and security is named by a test that shows it."""

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
DOCUMENTS = [path for name in ('docs/robustness.md', 'SECURITY.md') if (path := TESTS.parent / name).is_file()]

RULE = re.compile(r'\|[-:| ]+\|')


def rows(text: str) -> Iterator[str]:
    """Yield the first cell of each row of each Markdown table, but for its head."""
    for line, following in itertools.pairwise([*text.splitlines(), '']):
        if line.startswith('|') and not RULE.fullmatch(line) and not RULE.fullmatch(following):
            yield re.split(r'(?<!\\)\|', line)[1].strip()


def markers(source: str) -> Iterator[tuple[str, bool]]:
    """Yield the promises that the tests of a module name, and whether the test is always skipped.

    Decorators of functions and classes, ``pytestmark`` and marks of parameters count; texts may be constants of the
    module.
    """
    tree = ast.parse(source)
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    marks = {'pytest.mark.promise', 'mark.promise'}
    skipped = {
        id(call)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        and any(ast.unparse(decorator).startswith('pytest.mark.skip(') for decorator in node.decorator_list)
        for call in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in marks:
            for argument in node.args:
                value = constants.get(argument.id, argument) if isinstance(argument, ast.Name) else argument
                yield ast.literal_eval(value), id(node) in skipped


PROMISES = [row for path in DOCUMENTS for row in rows(path.read_text(encoding='utf-8'))]
NAMED = {
    path.relative_to(TESTS).as_posix(): list(markers(path.read_text(encoding='utf-8')))
    for path in sorted(TESTS.rglob('test_*.py'))
}


def test_the_documents_have_promises() -> None:
    assert len(PROMISES) > 50
    assert len(set(PROMISES)) == len(PROMISES), [row for row in PROMISES if PROMISES.count(row) > 1]


@pytest.mark.parametrize('row', PROMISES)
def test_each_promise_is_shown_by_a_test(row: str) -> None:
    assert any(text == row and not is_skipped for found in NAMED.values() for text, is_skipped in found)


def test_no_test_names_a_promise_that_is_not_made() -> None:
    unknown = {name: sorted({text for text, _ in found} - set(PROMISES)) for name, found in NAMED.items()}
    assert not {name: texts for name, texts in unknown.items() if texts}


def test_rows_and_markers_are_found_as_they_are_written() -> None:
    """The rule itself."""
    text = (
        'words\n\n| input | what |\n|---|---|\n| a `x` | b |\n| c \\| d | e |\n\n| in | out |\n|:--|--:|\n| f | g |\n'
    )
    assert list(rows(text)) == ['a `x`', 'c \\| d', 'f']
    source = (
        "TEXT = 'one ' 'text'\n@pytest.mark.promise(TEXT)\ndef test_a():\n    pass\n\n"
        "@pytest.mark.skip('why')\n@pytest.mark.promise('two')\ndef test_b():\n    pass\n\n"
        "@pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.promise('three'))])\ndef test_c(x): ...\n"
    )
    assert sorted(markers(source)) == [('one text', False), ('three', False), ('two', True)]
