"""Whatever bytes a reader gets, it refuses in its own words: a kept corpus, and mutations of it.

`scripts/fuzz.sh` searches for more; what it finds belongs into the corpus.
"""

from pathlib import Path

import pytest
from fuzz_targets import TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.filterwarnings('ignore')  # what Pillow says of odd images

CORPUS = {name: sorted(Path(__file__).with_name('corpus').joinpath(name).iterdir()) for name in TARGETS}

INTERESTING = st.sampled_from([b'', b'\0', b'\xff' * 4, b'\n', b'-1', b'9' * 30, b'../', b'{}', b'\xff\xff\xff\x7f'])

EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from([0, 1, 2, 4, 100]), st.one_of(INTERESTING, st.binary(max_size=8))),
    max_size=6,
)
"""Places in a file, numbers of bytes to remove there, and what to put in their place."""


def edited(data: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    for where, removed, new in edits:
        start = int(where * len(data))
        data = data[:start] + new + data[start + removed :]
    return data


@pytest.mark.promise('any bytes as option file, LMDB, record, checkpoint or image')
@pytest.mark.parametrize('name', TARGETS)
def test_the_corpus_is_read_or_refused(name: str) -> None:
    assert CORPUS[name]
    for path in CORPUS[name]:
        TARGETS[name](path.read_bytes())


@pytest.mark.promise('any bytes as option file, LMDB, record, checkpoint or image')
@pytest.mark.parametrize('name', TARGETS)
def test_mutations_are_read_or_refused(name: str) -> None:
    @settings(max_examples=150, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(CORPUS[name]), EDITS)
    def try_mutations(path: Path, edits: list[tuple[float, int, bytes]]) -> None:
        TARGETS[name](edited(path.read_bytes(), edits))

    try_mutations()


def test_the_corpus_is_small() -> None:
    assert sum(path.stat().st_size for paths in CORPUS.values() for path in paths) < 200_000
