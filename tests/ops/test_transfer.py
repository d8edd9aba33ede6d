import pytest
import torch

from converse_basicsr.ops.sampling import blur_and_decimate, blur_and_decimate_adjoint, nearest
from converse_basicsr.ops.transfer import KernelSpectrum, inverse_filter, inverse_filter_vjp

SIZES = [(6, 7), (5, 4), (3, 2)]


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('taps', [(1, 1), (3, 4), (5, 2), (9, 8)])
def test_spectrum_equals_a_full_transform(size, taps):
    kernel = torch.randn(2, *taps, dtype=torch.float64)
    placed = torch.zeros(2, *size, dtype=torch.float64)
    for a in range(taps[0]):
        for b in range(taps[1]):
            placed[:, (a - taps[0] // 2) % size[0], (b - taps[1] // 2) % size[1]] += kernel[:, a, b]
    spectrum = KernelSpectrum(kernel, 1, *size)
    torch.testing.assert_close(spectrum.component(kernel, (0, 0)), torch.fft.rfft2(placed))
    torch.testing.assert_close(spectrum.nearest(kernel), torch.fft.rfft2(placed))


@pytest.mark.parametrize('scale', [1, 2, 3])
@pytest.mark.parametrize('taps', [(2, 2), (5, 4)])
def test_eigenvalues_and_nearest_spectrum(scale, taps):
    kernel, z = torch.randn(1, 1, *taps, dtype=torch.float64), torch.randn(1, 1, 6, 5, dtype=torch.float64)
    spectrum = KernelSpectrum(kernel, scale, 6, 5)
    eigenvalues = sum(spectrum.component(kernel, p).abs().square() for p in spectrum.components)
    around = blur_and_decimate(blur_and_decimate_adjoint(z, kernel, scale), kernel, scale)
    torch.testing.assert_close(torch.fft.rfft2(around), torch.fft.rfft2(z) * eigenvalues)
    upsampled = blur_and_decimate(nearest(z, scale), kernel, scale)
    torch.testing.assert_close(torch.fft.rfft2(upsampled), torch.fft.rfft2(z) * spectrum.nearest(kernel))


@pytest.mark.parametrize(
    ('scale', 'term'), [(1, 'both'), (1, 'data'), (1, 'prior'), (2, 'both'), (2, 'data'), (3, 'both')]
)
def test_vjp_equals_autograd(scale, term):
    kernel = torch.randn(3, 4, 3, dtype=torch.float64, requires_grad=True)
    lam = (torch.rand(3, 1, 1, dtype=torch.float64) + 0.1).requires_grad_()
    grad = torch.randn(3, 6, 4, dtype=torch.complex128)
    spectrum = KernelSpectrum(kernel, scale, 6, 7)
    parts = [spectrum.component(kernel, p) for p in spectrum.components]
    weight = sum(part.real.square() + part.imag.square() for part in parts) + lam
    if scale == 1:
        numerator = {'both': parts[0].conj() + lam, 'data': parts[0].conj(), 'prior': lam}[term]
    else:
        numerator = 1 - spectrum.nearest(kernel) if term == 'both' else 1
    plain = numerator / weight
    torch.testing.assert_close(inverse_filter(kernel.detach(), lam.detach(), scale, 6, 7, term), plain + 0j)
    expected = torch.autograd.grad((plain + 0j), (kernel, lam), grad)
    for ours, theirs in zip(inverse_filter_vjp(grad, kernel, lam, scale, term, 7), expected):
        torch.testing.assert_close(ours, theirs)
