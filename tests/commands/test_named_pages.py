"""What help texts and messages call a page of the documentation is one."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from converse_basicsr import cli

ROOT = Path(__file__).parents[2]
PAGE = re.compile(r'\bdocs/[\w./-]*\w')


def helps(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The help of a parser and of the subcommands below it, on one line each."""
    yield ' '.join(parser.format_help().split())
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name in action.choices:
                yield from helps(action.choices[name])


def pages(texts: Iterator[str]) -> set[str]:
    return {page for text in texts for page in PAGE.findall(text)}


def test_pages_that_help_texts_name_exist() -> None:
    named = pages(text for command in cli.COMMANDS for text in helps(cli.build_parser(command)))
    assert {'docs/comparison/README.md', 'docs/operator.md', 'docs/scaling.md'} <= named
    assert [page for page in sorted(named) if not (ROOT / page).is_file()] == []


def test_pages_that_modules_and_option_files_name_exist() -> None:
    files = [*(ROOT / 'converse_basicsr').rglob('*.py'), *(ROOT / 'options').rglob('*.yml')]
    files += [*(ROOT / 'scripts').rglob('*.*')]
    named = {page: file for file in files for page in pages(iter([file.read_text(encoding='utf-8')]))}
    assert {page: str(file) for page, file in named.items() if not (ROOT / page).exists()} == {}
