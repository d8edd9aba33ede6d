"""Files of kernels that are none."""

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from converse_basicsr.files.kernel_files import read_kernel


def npy(array: Any) -> bytes:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


def npz() -> bytes:
    content = io.BytesIO()
    np.savez(content, np.ones((3, 3)))
    return content.getvalue()


@pytest.mark.promise('a kernel file that is no `.npy` file, or holds no odd-sized matrix of real numbers')
@pytest.mark.parametrize(
    'content',
    [
        b'', b'text', npz(), npy(np.ones((3, 3)))[:-5],
        npy(np.array([[{}]])), npy(np.array([['a']])), npy(np.ones((3, 3), complex)),
        npy(np.ones((3, 3), [('a', float)])), npy(np.ones((3, 3), 'M8[s]')),
        npy(np.ones((2, 3))), npy(np.ones(())), npy(np.ones((3, 3, 3))),
        npy(np.full((3, 3), 1e308)), npy(np.full((3, 3), np.nan)), npy(np.zeros((3, 3))), npy(-np.ones((3, 3))),
        npy(np.ones((3, 3))).replace(b'(3, 3)', b'(9999999999999999999999, 3)'),
        npy(np.ones((3, 3))).replace(b'(3, 3)', b'(99999999, 99999)'),
        npy(np.ones((3, 3))).replace(b'(3, 3)', b'((((((('),
        npy(np.ones((3, 3))).replace(b'<f8', b',f8'),
    ],
)  # fmt: skip
def test_it_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / 'kernel.npy').write_bytes(content)
    with pytest.raises(ValueError, match=r'kernel .*kernel\.npy '):
        read_kernel(tmp_path / 'kernel.npy')


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 140), st.binary(max_size=3)), max_size=4))
def test_damage_anywhere_is_a_value_error(tmp_path: Path, changes: list[tuple[int, bytes]]) -> None:
    content = bytearray(npy(np.ones((3, 3))))
    for place, new in changes:
        content[place : place + 1] = new
    (tmp_path / 'kernel.npy').write_bytes(content)
    with contextlib.suppress(ValueError):
        assert read_kernel(tmp_path / 'kernel.npy').sum() == pytest.approx(1)
