"""What is published: what an installation brings, for which Pythons, and how it is cited."""

import re
from pathlib import Path
from typing import Any

import pytest
import setup_arguments
import yaml

from converse_basicsr.installation import combinations, needs
from converse_basicsr.version import __version__

ROOT = Path(__file__).parents[1]
WORKFLOWS = ROOT / '.github/workflows'


@pytest.fixture(scope='module')
def metadata() -> dict[str, Any]:
    return setup_arguments.read()


def names(requirements: list[str]) -> set[str]:
    """The distributions that requirements name."""
    return {re.split(r'[^\w.-]', requirement)[0] for requirement in requirements}


def distributions(packages: tuple[str, ...]) -> set[str]:
    """What brings packages that are named as in ``import``."""
    return {needs.DISTRIBUTIONS.get(package, package) for package in packages}


def pythons(metadata: dict[str, Any]) -> list[str]:
    stated = (re.fullmatch(r'Programming Language :: Python :: (3\.\d+)', line) for line in metadata['classifiers'])
    return [match[1] for match in stated if match]


def test_a_bare_installation_brings_what_needs_no_basicsr_and_no_more(metadata: dict[str, Any]) -> None:
    assert names(metadata['install_requires']) == distributions(needs.CORE)


def test_the_oldest_pytorch_is_the_one_that_doctor_knows(metadata: dict[str, Any]) -> None:
    assert f'torch>={".".join(map(str, combinations.OLDEST_TORCH))}' in metadata['install_requires']


def test_the_extra_basicsr_brings_what_training_uses(metadata: dict[str, Any]) -> None:
    assert names(metadata['extras_require']['basicsr']) == distributions(needs.WITH_BASICSR)


@pytest.mark.parametrize(
    'need', [need for need in needs.NEEDS if '[' in need.remedy], ids=lambda need: need.commands[0]
)
def test_the_extra_that_is_named_brings_what_is_absent(metadata: dict[str, Any], need: needs.Need) -> None:
    extra = re.search(r'converse-basicsr\[([\w-]+)\]', need.remedy)
    assert extra is not None
    # mmcv-lite brings mmengine.
    assert distributions(need.packages) - {'mmengine'} <= names(metadata['extras_require'][extra[1]])


def test_all_extras_together_leave_out_the_lite_mmcv(metadata: dict[str, Any]) -> None:
    extras = dict(metadata['extras_require'])
    together = set(extras.pop('all'))
    assert together == {requirement for name, extra in extras.items() if name != 'mmcv-lite' for requirement in extra}


def test_every_stated_python_is_tested_and_installed_on(metadata: dict[str, Any]) -> None:
    ci = yaml.safe_load((WORKFLOWS / 'ci.yml').read_text(encoding='utf-8'))['jobs']
    release = yaml.safe_load((WORKFLOWS / 'release.yml').read_text(encoding='utf-8'))['jobs']
    stated = pythons(metadata)
    assert [job['python'] for job in ci['test']['strategy']['matrix']['include']] == stated
    assert ci['installs']['strategy']['matrix']['python'] == stated
    assert release['try']['strategy']['matrix']['python'] == stated
    script = (ROOT / 'scripts/install.sh').read_text(encoding='utf-8')
    bounds = re.search(r'\(3, (\d+)\) <= sys\.version_info < \(3, (\d+)\)', script)
    assert bounds is not None
    assert [f'3.{minor}' for minor in range(int(bounds[1]), int(bounds[2]))] == stated
    assert metadata['python_requires'] == f'>={stated[0]}'


def test_nothing_is_published_before_it_was_tried() -> None:
    jobs = yaml.safe_load((WORKFLOWS / 'release.yml').read_text(encoding='utf-8'))['jobs']
    assert [jobs[name]['needs'] for name in ('try', 'publish', 'attach')] == ['build', 'try', 'publish']
    assert {name for name, job in jobs.items() if 'id-token' in job.get('permissions', {})} == {'publish'}


def test_the_citation_names_this_version_and_the_paper_as_the_readme_does() -> None:
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text(encoding='utf-8'))
    readme = (ROOT / 'README.md').read_text(encoding='utf-8')
    assert citation['cff-version'] == '1.2.0'
    assert citation['version'] == __version__.partition('.dev')[0]
    paper = citation['preferred-citation']
    authors = ' and '.join(f'{author["family-names"]}, {author["given-names"]}' for author in paper['authors'])
    for text in (authors, paper['title'], paper['collection-title'], str(paper['year'])):
        assert f'= {{{text}}}' in readme
