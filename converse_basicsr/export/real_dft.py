r"""The operator's two steps in real arithmetic: matrix products, sums and products of real tensors, and nothing else.

For runtimes without complex numbers or Fourier transforms (ONNX). A DFT of length N is a product with the N x N matrix
of :math:`e^{-2\pi i u t / N}`, whose real and imaginary parts are two real matrices. Padding is linear too, so it is
multiplied into the matrix of the forward transform, and the backward transform's rows that would be cropped are left
out: the map itself is never padded. A plane of H x W costs O(H W (H + W)), not O(H W log(H W)).

Sizes may be symbolic: the matrices are made of ``arange``, integer products and cosines, so that a graph traced from
here works for other sizes. Filters are made in float64, as in :mod:`converse_basicsr.ops.transfer`, whose conventions
hold, and rounded once.
"""

import math
from typing import NamedTuple

import torch


class Pair(NamedTuple):
    """Real and imaginary part of what would be a complex tensor."""

    real: torch.Tensor
    imag: torch.Tensor

    def to(self, dtype: torch.dtype) -> 'Pair':
        """Round to a real dtype."""
        return Pair(self.real.to(dtype), self.imag.to(dtype))

    def power(self) -> torch.Tensor:
        """The squared absolute value."""
        return self.real.square() + self.imag.square()


def dft(position: torch.Tensor, length: int, count: int) -> Pair:
    """The first ``count`` frequencies of the DFT of that length, for taps at the given positions: (count, taps)."""
    # Reduced modulo the length while it is an integer: the angle is then right to the last bit.
    turn = torch.outer(torch.arange(count, device=position.device), position)
    modulus = _as_tensor(length, position.device)
    angle = (turn % modulus).to(torch.float64) * (-2 * math.pi) / modulus
    return Pair(angle.cos(), angle.sin())


def _as_tensor(size: int, device: torch.device) -> torch.Tensor:
    """Return a size as a tensor: ONNX's remainder takes no symbolic number."""
    return torch.full((), size, dtype=torch.int64, device=device)


def source_of_padded(size: int, padding: int, mode: str, device: torch.device) -> torch.Tensor:
    """Return the sample that each position of a padded axis is copied from; out of range where the padding is zero."""
    position = torch.arange(size + 2 * padding, device=device) - padding
    last = _as_tensor(size, device) - 1
    if mode == 'circular':
        return position % (last + 1)
    if mode == 'replicate':
        return torch.minimum(position.clamp(min=0), last)
    if mode == 'reflect':
        return last - (last - position.abs()).abs()
    return position


def forward_matrix(size: int, padding: int, mode: str, count: int, device: torch.device) -> Pair:
    """Padding and DFT of one axis: (count, size)."""
    length = size + 2 * padding
    transform = dft(torch.arange(length, device=device), length, count)
    if not padding:
        return transform
    source = source_of_padded(size, padding, mode, device)
    copies = (source[:, None] == torch.arange(size, device=device)).to(torch.float64)
    return Pair(transform.real @ copies, transform.imag @ copies)


def backward_matrix(length: int, first: int, size: int, count: int, device: torch.device) -> Pair:
    """Samples ``first`` to ``first + size`` of the inverse DFT of one axis: (size, count)."""
    transform = dft(torch.arange(size, device=device) + first, length, count)
    points = _as_tensor(length, device)
    return Pair(transform.real.mT / points, -transform.imag.mT / points)


def spectral_filter(x: torch.Tensor, otf: Pair, rows: int, columns: int, mode: str, crop: bool) -> torch.Tensor:
    """``ops.torch_library.spectral_filter``: pad, convolve circularly, crop where asked to.

    Shape:
        x (N, C, H, W), otf (1 or N, 1 or C, H + 2 rows, (W + 2 columns) // 2 + 1) -> (N, C, H, W) if ``crop``, else
        (N, C, H + 2 rows, W + 2 columns)
    """
    height, width = x.shape[-2:]
    grid = (height + 2 * rows, width + 2 * columns)
    half = grid[1] // 2 + 1
    into_rows = forward_matrix(height, rows, mode, grid[0], x.device).to(x.dtype)
    into_columns = forward_matrix(width, columns, mode, half, x.device).to(x.dtype)
    spectrum = _multiply_rows(into_rows, Pair(x @ into_columns.real.mT, x @ into_columns.imag.mT))
    otf = otf.to(x.dtype)
    product = Pair(
        spectrum.real * otf.real - spectrum.imag * otf.imag, spectrum.real * otf.imag + spectrum.imag * otf.real
    )
    first, size = ((rows, columns), (height, width)) if crop else ((0, 0), grid)
    from_rows = backward_matrix(grid[0], first[0], size[0], grid[0], x.device).to(x.dtype)
    from_columns = backward_matrix(grid[1], first[1], size[1], half, x.device)
    # A column of the half spectrum stands for two of the full one, except the first and, at even width, the last.
    frequency = torch.arange(half, device=x.device)
    share = 2 - ((2 * frequency) % _as_tensor(grid[1], x.device) == 0).to(torch.float64)
    from_columns = Pair(from_columns.real * share, from_columns.imag * share).to(x.dtype)
    planes = _multiply_rows(from_rows, product)
    return planes.real @ from_columns.real.mT - planes.imag @ from_columns.imag.mT


def _multiply_rows(matrix: Pair, x: Pair) -> Pair:
    """Complex product of a matrix with the rows of a map."""
    return Pair(matrix.real @ x.real - matrix.imag @ x.imag, matrix.real @ x.imag + matrix.imag @ x.real)


def inverse_filter(
    kernel: torch.Tensor, lam: torch.Tensor, scale: int, height: int, width: int, term: str = 'both'
) -> Pair:
    """``ops.transfer.inverse_filter``: the filter N / (A + lam) of its table, in float64.

    Shape:
        kernel (..., kh, kw), lam (..., 1, 1) -> (..., height, width // 2 + 1)
    """
    kernel, lam = kernel.to(torch.float64), lam.to(torch.float64)
    kh, kw = kernel.shape[-2:]
    row = torch.arange(kh, device=kernel.device) - kh // 2
    column = torch.arange(kw, device=kernel.device) - kw // 2
    half = width // 2 + 1
    # Tap m of a decimated kernel sits at floor((m - c) / s) within its polyphase component.
    row_floor = dft(row.div(scale, rounding_mode='floor'), height, height)
    column_floor = dft(column.div(scale, rounding_mode='floor'), width, half)
    components = [
        _spectrum(kernel[..., a::scale, b::scale], _every(row_floor, a, scale), _every(column_floor, b, scale))
        for a in range(min(scale, kh))
        for b in range(min(scale, kw))
    ]
    gain = (sum(component.power() for component in components) + lam).reciprocal()
    if term == 'prior':
        return Pair(lam * gain, torch.zeros_like(gain))
    if scale == 1:
        (otf,) = components
        real = otf.real + lam if term == 'both' else otf.real
        return Pair(real * gain, -otf.imag * gain)
    if term == 'data':
        return Pair(gain, torch.zeros_like(gain))
    # After nearest upsampling, tap m reads sample ceil((m - c) / s).
    row_ceil = dft(-(-row).div(scale, rounding_mode='floor'), height, height)
    column_ceil = dft(-(-column).div(scale, rounding_mode='floor'), width, half)
    nearest = _spectrum(kernel, row_ceil, column_ceil)
    return Pair((1 - nearest.real) * gain, -nearest.imag * gain)


def _every(matrix: Pair, start: int, step: int) -> Pair:
    """The columns of one polyphase component."""
    return Pair(matrix.real[:, start::step], matrix.imag[:, start::step])


def _spectrum(taps: torch.Tensor, rows: Pair, columns: Pair) -> Pair:
    """rows @ taps @ columns.T, for real taps."""
    real, imag = rows.real @ taps, rows.imag @ taps
    return Pair(
        real @ columns.real.mT - imag @ columns.imag.mT,
        real @ columns.imag.mT + imag @ columns.real.mT,
    )
