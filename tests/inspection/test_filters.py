import itertools

import pytest
import torch

from converse_basicsr.inspection import filters

CASES = [
    (size, scale, grid)
    for size in ((1, 1), (2, 2), (3, 3), (3, 5), (4, 3))
    for scale, grid in ((1, 6), (1, 7), (2, 4), (3, 3))
]


def dense(kernel: torch.Tensor, lam: float, scale: int, grid: int) -> torch.Tensor:
    """The operator of one channel as a matrix, from its definition alone: the solution of the normal equations."""
    fine = scale * grid
    t, nearest = torch.zeros(grid, grid, fine, fine).double(), torch.zeros(fine, fine, grid, grid).double()
    (kh, kw), places = kernel.shape, itertools.product(range(grid), repeat=2)
    for row, column in places:
        for a, b in itertools.product(range(kh), range(kw)):
            t[row, column, (scale * row - a + kh // 2) % fine, (scale * column - b + kw // 2) % fine] += kernel[a, b]
    for row, column in itertools.product(range(fine), repeat=2):
        nearest[row, column, row // scale, column // scale] = 1
    t, nearest = t.reshape(grid**2, fine**2), nearest.reshape(fine**2, grid**2)
    return torch.linalg.solve(t.T @ t + lam * torch.eye(fine**2).double(), t.T + lam * nearest)


@pytest.mark.parametrize(('size', 'scale', 'grid'), CASES)
def test_gains_are_the_singular_values_of_the_dense_operator(size: tuple[int, int], scale: int, grid: int) -> None:
    torch.manual_seed(0)
    kernel, lam = torch.randn(3, *size).double(), torch.tensor([1e-4, 0.1, 2.0]).double()
    measured = filters.measure(kernel, lam, scale, grid)
    for channel in range(3):
        matrix = dense(kernel[channel], lam[channel].item(), scale, grid)
        values = torch.linalg.svdvals(matrix)
        torch.testing.assert_close(measured.peak[channel], values[0] / scale)
        rms = values.square().mean().sqrt() / scale
        torch.testing.assert_close(measured.rms[channel], rms)
        # The RMS of white noise, and of all singular values: the gains over the frequencies.
        h = filters.response(kernel[channel][None], lam[channel][None], scale, grid)
        torch.testing.assert_close(h[0].flatten(), matrix[:, (grid // 2) * grid + grid // 2])
        gains = filters.gain(h, scale).flatten().sort(descending=True).values
        torch.testing.assert_close(gains, values / scale)


def test_half_precision_is_measured_as_it_is() -> None:
    torch.manual_seed(0)
    kernel, lam = torch.randn(2, 3, 3).bfloat16(), torch.tensor([0.1, 0.2]).bfloat16()
    exact = filters.measure(kernel.double(), lam.double())
    assert torch.equal(filters.measure(kernel, lam).peak, exact.peak)


def test_many_channels_are_measured_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    kernel, lam = torch.randn(7, 3, 3), torch.rand(7)
    whole = filters.measure(kernel, lam, 2, 8)
    monkeypatch.setattr(filters, '_MOST_PIXELS', 3 * 16**2)
    parts = filters.measure(kernel, lam, 2, 8)
    for name in ('kernel', 'rms', 'peak', 'reach', 'dead', 'idle'):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name))


def tap(value: float, place: tuple[int, int] = (1, 1), size: int = 3) -> torch.Tensor:
    kernel = torch.zeros(size, size).double()
    kernel[place] = value
    return kernel


SPREAD = torch.full((3, 3), 1 / 9).double()


@pytest.mark.parametrize(
    ('kernel', 'lam', 'scale', 'rms', 'state'),
    [
        (tap(1), 0.1, 1, 1, 'idle'),  # the identity
        (tap(3), 0.1, 1, 3.1 / 9.1, 'idle'),  # a multiple of it
        (tap(-1), 0.1, 1, 0.9 / 1.1, 'idle'),
        (SPREAD, 1e4, 1, 1, 'idle'),  # so much lam that nothing is reversed
        (tap(1, (0, 1)), 0.01, 1, None, ''),  # a shift
        (SPREAD, 0.01, 1, None, ''),
        (tap(1000), 0.1, 1, 0.001, 'dead'),
        (tap(-0.1), 0.1, 1, 0, 'dead'),  # conj(K) + lam is 0 everywhere
        (torch.full((2, 2), 0.25).double(), 0.1, 2, 1, 'idle'),  # nearest-neighbour upsampling
        (tap(0.25, (0, 0), 2), 0.1, 2, None, ''),
    ],
)
def test_idle_and_dead_channels(kernel: torch.Tensor, lam: float, scale: int, rms: float | None, state: str) -> None:
    measured = filters.measure(kernel[None], torch.tensor([lam]), scale, 12)
    if rms is not None:
        torch.testing.assert_close(measured.rms, torch.tensor([rms]).double(), atol=1e-4, rtol=1e-4)
    assert (measured.idle.item(), measured.dead.item()) == (state == 'idle', state == 'dead')
    assert measured.rms.isfinite().all()
    if state:
        assert measured.reach.tolist() == [[scale] * 3]


@pytest.mark.parametrize(('scale', 'grid'), [(1, 8), (1, 9), (2, 6), (2, 7), (3, 5), (4, 4)])
def test_reach_is_the_side_of_the_smallest_square(scale: int, grid: int) -> None:
    torch.manual_seed(0)
    side, start = scale * grid, scale * (grid // 2)
    h = torch.randn(5, side, side).double() * torch.logspace(-2, 0, 5).double().view(-1, 1, 1)
    h[:, start : start + scale, start : start + scale] += 3
    for channel in range(5):
        for share, reach in zip(filters.SHARES, filters.reach(h, scale)[channel].tolist()):

            def energy(width: int, channel: int = channel) -> float:
                """Of a square of that side around the block, on the torus."""
                more = (width - scale + 1) // 2
                around = torch.arange(start - more, start + scale + more)[: side if width >= side else None] % side
                return h[channel][around[:, None], around].square().sum().item()

            total = h[channel].square().sum().item()
            assert energy(reach) >= share * total * (1 - 1e-9)
            if reach > scale:
                smaller = reach - 2 if reach < side or (side - scale) % 2 == 0 else reach - 1
                assert energy(smaller) < share * total
