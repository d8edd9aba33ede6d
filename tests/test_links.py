"""Links and pictures of the documentation lead somewhere, in the repository and on a package index."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import setup_arguments

ROOT = Path(__file__).parents[1]
PAGES = [
    page.relative_to(ROOT).as_posix()
    for page in sorted([*ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md'), *ROOT.glob('.github/**/*.md')])
]
LOCAL = re.compile(r'file:/|(?<![\w.])/(home|root|Users|tmp|mnt|work)/|\b[A-Z]:\\')


def prose(markdown: str) -> str:
    """A page without its code blocks and code in lines, in which brackets mean something else."""
    markdown = re.sub(r'^```.*?^```', '', markdown, flags=re.M | re.S)
    return re.sub(r'(?<!\[)`[^`\n]*`(?!\])', '', markdown)


def links(markdown: str) -> list[str]:
    """The targets of all links and pictures: in brackets, as references, and in HTML."""
    text = prose(markdown)
    return [
        *re.findall(r'\]\(\s*<?([^)\s>]+)', text),
        *re.findall(r'^\[[^\]]+\]:\s*(\S+)', text, flags=re.M),
        *re.findall(r'(?:src|href)="([^"]*)"', text),
    ]


def anchors(markdown: str) -> set[str]:
    """What links to headings end in: the heading in small letters, without punctuation, with hyphens for spaces."""
    found: dict[str, int] = {}
    for heading in re.findall(r'^#+ +(.+?) *$', re.sub(r'^```.*?^```', '', markdown, flags=re.M | re.S), flags=re.M):
        text = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', heading)
        name = re.sub(r'[^\w\- ]', '', text.lower()).replace(' ', '-')
        found[name] = found.get(name, -1) + 1
        if found[name]:
            found[f'{name}-{found[name]}'] = 0
    return set(found)


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding='utf-8')


def resolves(page: str, link: str) -> bool:
    path, _, anchor = link.partition('#')
    target = ((ROOT / page).parent / path if path else ROOT / page).resolve()
    if not target.is_relative_to(ROOT) or not target.exists():
        return False
    return not anchor or anchor in anchors(target.read_text(encoding='utf-8'))


@pytest.fixture(scope='module')
def metadata() -> dict[str, Any]:
    return setup_arguments.read()


def test_the_pages_are_found() -> None:
    assert {'README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'docs/options.md', 'docs/comparison/README.md'} <= {*PAGES}
    assert sum(len(links(read(page))) for page in PAGES) > 60


@pytest.mark.parametrize('page', PAGES)
def test_relative_links_resolve(page: str) -> None:
    relative = [link for link in links(read(page)) if not urlsplit(link).scheme]
    assert [link for link in relative if not resolves(page, link)] == []


@pytest.mark.parametrize('page', PAGES)
def test_external_links_are_addresses(page: str) -> None:
    for link in links(read(page)):
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme == 'https', link
            assert re.fullmatch(r'[\w-]+(\.[\w-]+)+', parts.netloc), link


@pytest.mark.parametrize('page', PAGES)
def test_pages_name_no_path_of_one_machine(page: str) -> None:
    assert [match[0] for match in LOCAL.finditer(read(page))] == []


def test_the_long_description_has_no_relative_links(metadata: dict[str, Any]) -> None:
    described, original = links(metadata['long_description']), links(read('README.md'))
    assert len(described) == len(original)
    for link, before in zip(described, original, strict=True):
        if urlsplit(before).scheme or before.startswith('#'):
            assert link == before
        else:
            view, _tree, path = link.removeprefix(f'{metadata["PROJECT_URL"]}/').split('/', 2)
            assert path == before
            assert view == ('raw' if before.endswith('.png') else 'tree' if before.endswith('/') else 'blob')


def test_the_address_of_the_project_is_said_once() -> None:
    assert read('setup.py').count('github.com/converse-basicsr') == 1


def test_headings_get_the_anchors_of_the_forge() -> None:
    page = '# A `code` heading, with (signs)\n## Twice\n## Twice\n```\n# no heading\n```\n## [Linked](x.md) one\n'
    assert anchors(page) == {'a-code-heading-with-signs', 'twice', 'twice-1', 'linked-one'}
