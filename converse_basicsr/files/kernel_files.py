"""Find and read blur kernels that are stored as ``.npy`` files."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from converse_basicsr.files.reading import MAX_ARRAY_BYTES, Unreadable, read_bytes


def list_kernels(paths: Sequence[str | Path]) -> list[Path]:
    """List the ``.npy`` files among paths and, sorted by name, within the folders among them.

    Raises:
        ValueError: If a folder holds none.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        found = sorted(path.glob('*.npy')) if path.is_dir() else [path]
        if not found:
            raise ValueError(f'kernels must be .npy files or folders of them, got {path}, which holds none')
        files += found
    return files


def read_kernel(path: str | Path) -> np.ndarray:
    """Read a kernel from a ``.npy`` file.

    Returns:
        The kernel, float64, (kh, kw), with sum 1.

    Raises:
        ValueError: If it is no file that can be read, or no two-dimensional, odd-sized array of finite numbers with a
            positive sum.
    """
    try:
        data = read_bytes(path, MAX_ARRAY_BYTES)
    except Unreadable as error:
        raise ValueError(f'kernel {path} {error}') from None
    try:
        kernel = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # its reader of headers raises SyntaxError, TokenError, OverflowError and others
        raise ValueError(f'kernel {path} is no .npy file of numbers ({error})') from None
    return normalise(kernel, f'kernel {path}')


def normalise(kernel: np.ndarray, name: str = 'kernel') -> np.ndarray:
    """Check a kernel and divide it by its sum.

    Args:
        kernel: The kernel, (kh, kw), of any numeric dtype.
        name: What messages call it.

    Returns:
        The kernel, float64, (kh, kw), with sum 1.

    Raises:
        ValueError: If it is no two-dimensional, odd-sized array of finite numbers with a positive sum.
    """
    if kernel.dtype.kind not in 'biuf':
        raise ValueError(f'{name} must hold real numbers, got {kernel.dtype}')
    with np.errstate(over='ignore', invalid='ignore'):
        kernel = kernel.astype(np.float64)
        total = kernel.sum()
    if kernel.ndim != 2 or any(size % 2 == 0 for size in kernel.shape):
        raise ValueError(f'{name} must be a matrix with odd sides, got the shape {kernel.shape}')
    if not np.isfinite(kernel).all() or not 0 < total < np.inf:
        raise ValueError(f'{name} must hold finite numbers with a positive sum')
    return kernel / total
