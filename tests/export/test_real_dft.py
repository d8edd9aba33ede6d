import pytest
import torch

from converse_basicsr.export import real_dft
from converse_basicsr.export.lowering import solve
from converse_basicsr.ops import torch_library, transfer
from converse_basicsr.ops.inference import solve_in_blocks
from converse_basicsr.ops.padding import PADDING_MODES


def problem(kernel_size: int, channels: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    kernel = torch.randn(1, channels, kernel_size * kernel_size).softmax(-1).view(1, channels, kernel_size, -1)
    return kernel, torch.full((1, channels, 1, 1), 1e-4)


@pytest.mark.parametrize('term', transfer.TERMS)
@pytest.mark.parametrize(('scale', 'kernel_size'), [(1, 5), (1, 4), (2, 5), (3, 4), (4, 7)])
@pytest.mark.parametrize('grid', [(12, 9), (7, 10)])
def test_the_filter_is_the_operators(term: str, scale: int, kernel_size: int, grid: tuple[int, int]) -> None:
    if scale > 1 and term == 'prior':
        return  # the table of ops/transfer.py has no such filter
    kernel, lam = problem(kernel_size)
    expected = transfer.inverse_filter(kernel, lam, scale, *grid, term)
    found = real_dft.inverse_filter(kernel, lam, scale, *grid, term)
    torch.testing.assert_close(torch.complex(found.real, found.imag), expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize('mode', PADDING_MODES)
@pytest.mark.parametrize('crop', [True, False])
@pytest.mark.parametrize(('rows', 'columns'), [(0, 0), (2, 3), (4, 1)])
def test_filtering_is_the_operators(mode: str, crop: bool, rows: int, columns: int) -> None:
    x = torch.rand(2, 3, 8, 11, dtype=torch.float64)
    kernel, lam = problem(3)
    grid = (8 + 2 * rows, 11 + 2 * columns)
    otf = torch_library.inverse_filter(kernel, lam, 1, *grid, 'both', torch.complex128)
    expected = torch_library.spectral_filter(x, otf, rows, columns, mode, crop)
    found = real_dft.spectral_filter(x, real_dft.Pair(otf.real, otf.imag), rows, columns, mode, crop)
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-10)


def test_circular_padding_may_be_wider_than_the_map() -> None:
    x, otf = torch.rand(1, 1, 3, 4, dtype=torch.float64), torch.ones(1, 1, 17, 10, dtype=torch.float64)
    found = real_dft.spectral_filter(x, real_dft.Pair(otf, 0 * otf), 7, 7, 'circular', False)
    rows, columns = (torch.arange(-7, size + 7) % size for size in (3, 4))
    torch.testing.assert_close(found, x[:, :, rows][..., columns])


@pytest.mark.parametrize('mode', PADDING_MODES)
@pytest.mark.parametrize(('scale', 'kernel_size'), [(1, 5), (2, 5), (3, 3), (3, 5)])
def test_the_solution_is_the_operators(mode: str, scale: int, kernel_size: int) -> None:
    x = torch.rand(2, 3, 9, 8)
    kernel, lam = problem(kernel_size)
    expected = solve_in_blocks(x, kernel, lam, scale, 4, 2, mode)
    otf = real_dft.inverse_filter(kernel, lam, scale, 9 + 8, 8 + 4).to(torch.float32)
    found = solve(x, kernel, otf, scale, 4, 2, mode, real_dft.spectral_filter)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize('length', [8, 67])
def test_float32_transforms_lose_no_more_than_the_matrices_round(length: int) -> None:
    x = torch.rand(1, 4, length, length)
    kernel, lam = problem(5, 4)
    otf = real_dft.inverse_filter(kernel, lam, 1, length, length)
    exact = real_dft.spectral_filter(x.double(), otf, 0, 0, 'circular', True)
    found = real_dft.spectral_filter(x, otf.to(torch.float32), 0, 0, 'circular', True)
    assert (found - exact).norm() / exact.norm() < 1e-5
