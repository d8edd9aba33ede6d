"""Make the filter that reverses a small kernel, in float64 and without a Fourier transform of full size.

With K the transfer function of the convolution, A = fold(|K|^2) the eigenvalues of T T' and C = fold(K B) the transfer
function of T after nearest-neighbour upsampling, every filter of the operator is a quotient N / (A + lam) on the grid
of the input:

====================  ==============  ============================================================
scale, ``term``        N               use
====================  ==============  ============================================================
1, ``'both'``          conj(K) + lam   x = filter(y), where x0 = y
1, ``'data'``          conj(K)         x = filter(y) + ..., where x0 is given
1, ``'prior'``         lam             ... filter(x0)
above 1, ``'both'``    1 - C           x = nearest(y) + T' filter(y)
above 1, ``'data'``    1               x = x0 + T' filter(y - T x0)
====================  ==============  ============================================================

Convention:
    The centre of a kernel is tap (kh // 2, kw // 2) and K belongs to the circular *convolution* with it. Spectra are
    the half spectra of ``torch.fft.rfft2`` (unnormalised forward, 1 / (H W) backward).
"""

import math

import torch

TERMS = ('both', 'data', 'prior')


def dft_matrix(position: torch.Tensor, length: int, count: int) -> torch.Tensor:
    """The first ``count`` frequencies of the DFT of length ``length``, for taps at ``position``: (count, taps)."""
    # The product is reduced modulo the length while it is an integer. So the angle is exact to the last bit, and taps
    # beyond the grid wrap around it.
    turn = torch.outer(torch.arange(count, device=position.device), position) % length
    angle = turn.to(torch.float64) * (-2 * math.pi / length)
    return torch.polar(torch.ones_like(angle), angle)


class KernelSpectrum:
    """The small DFT matrices for one kernel size, scale and grid.

    Args:
        kernel: A kernel, of which only size and device matter.
        scale: Decimation factor of the operator.
        height: Height of the low-resolution grid.
        width: Width of the low-resolution grid.
    """

    def __init__(self, kernel: torch.Tensor, scale: int, height: int, width: int) -> None:
        self.scale = scale
        kh, kw = kernel.shape[-2:]
        row = torch.arange(kh, device=kernel.device) - kh // 2
        column = torch.arange(kw, device=kernel.device) - kw // 2
        # Tap m of a decimated kernel sits at floor((m - c) / s) within its polyphase component, and reads sample
        # ceil((m - c) / s) of a nearest-upsampled map; at scale 1 both are m - c.
        self.row_floor = dft_matrix(row.div(scale, rounding_mode='floor'), height, height)
        self.row_ceil = dft_matrix(-(-row).div(scale, rounding_mode='floor'), height, height)
        self.column_floor = dft_matrix(column.div(scale, rounding_mode='floor'), width, width // 2 + 1)
        self.column_ceil = dft_matrix(-(-column).div(scale, rounding_mode='floor'), width, width // 2 + 1)
        self.components = [(a, b) for a in range(min(scale, kh)) for b in range(min(scale, kw))]

    def component(self, kernel: torch.Tensor, phase: tuple[int, int]) -> torch.Tensor:
        """Spectrum of one polyphase component, (..., kh, kw) -> (..., H, W // 2 + 1); at scale 1 the only one, K."""
        a, b = (slice(start, None, self.scale) for start in phase)
        return self.row_floor[:, a] @ kernel[..., a, b].to(torch.complex128) @ self.column_floor[:, b].mT

    def component_adjoint(self, spectrum: torch.Tensor, phase: tuple[int, int], like: torch.Tensor) -> torch.Tensor:
        """Real adjoint of ``component``: a cotangent of the spectrum becomes one of the kernel."""
        a, b = (slice(start, None, self.scale) for start in phase)
        taps = (self.row_floor[:, a].mT @ spectrum.conj_physical() @ self.column_floor[:, b]).real
        return torch.zeros_like(like, dtype=torch.float64).slice_scatter(
            torch.zeros_like(like[..., a, :], dtype=torch.float64).slice_scatter(taps, -1, phase[1], None, self.scale),
            -2,
            phase[0],
            None,
            self.scale,
        )

    def nearest(self, kernel: torch.Tensor) -> torch.Tensor:
        """C, the transfer function of nearest-neighbour upsampling followed by T."""
        return self.row_ceil @ kernel.to(torch.complex128) @ self.column_ceil.mT

    def nearest_adjoint(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Real adjoint of ``nearest``."""
        return (self.row_ceil.mT @ spectrum.conj_physical() @ self.column_ceil).real


def inverse_filter(
    kernel: torch.Tensor, lam: torch.Tensor, scale: int, height: int, width: int, term: str = 'both'
) -> torch.Tensor:
    """The filter N / (A + lam) of the table above, in complex128 (not differentiable: see ``inverse_filter_vjp``).

    Shape:
        kernel (..., kh, kw), lam (..., 1, 1) -> (..., height, width // 2 + 1)
    """
    spectrum = KernelSpectrum(kernel, scale, height, width)
    lam = lam.to(torch.float64)
    first, *others = spectrum.components
    otf = spectrum.component(kernel, first)
    power = otf.real.square().addcmul_(otf.imag, otf.imag)
    for phase in others:
        part = spectrum.component(kernel, phase)
        power.addcmul_(part.real, part.real).addcmul_(part.imag, part.imag)
    gain = power.add_(lam).reciprocal_()
    if scale == 1:
        if term == 'prior':
            return gain.mul_(lam).to(torch.complex128)
        numerator = otf.conj_physical_()
        return (numerator.add_(lam) if term == 'both' else numerator).mul_(gain)
    if term == 'data':
        return gain.to(torch.complex128)
    return spectrum.nearest(kernel).neg_().add_(1).mul_(gain)


def inverse_filter_vjp(
    grad: torch.Tensor, kernel: torch.Tensor, lam: torch.Tensor, scale: int, term: str, width: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of kernel and lam from the gradient of the filter, in float64.

    With q = grad / (A + lam) and t = Re(conj(q) N / (A + lam)), a change of the filter changes the loss by
    Re(conj(q) dN) - t (dA + dlam); adjoint DFTs turn the first two terms into gradients of the taps. All operations are
    differentiable, so that it can be differentiated again.

    Shape:
        grad (..., H, W // 2 + 1), kernel (..., kh, kw), lam (..., 1, 1) -> kernel (..., kh, kw), lam (..., 1, 1)
    """
    spectrum = KernelSpectrum(kernel, scale, grad.shape[-2], width)
    lam = lam.to(torch.float64)
    parts = [spectrum.component(kernel, phase) for phase in spectrum.components]
    weight = sum(part.real.square() + part.imag.square() for part in parts) + lam
    q = grad.to(torch.complex128) / weight
    if scale > 1:
        numerator = 1 - spectrum.nearest(kernel) if term == 'both' else torch.ones_like(q)
    else:
        numerator = {'both': parts[0].conj_physical() + lam, 'data': parts[0].conj_physical(), 'prior': lam + 0j}[term]
    t = (q.conj_physical() * numerator).real / weight
    cotangents = [-2 * t * part for part in parts]
    grad_lam = -t
    if scale == 1:
        if term != 'prior':
            cotangents[0] = cotangents[0] + q.conj_physical()
        if term != 'data':
            grad_lam = grad_lam + q.real
    grad_kernel = torch.zeros_like(kernel, dtype=torch.float64)
    for cotangent, phase in zip(cotangents, spectrum.components):
        grad_kernel = grad_kernel + spectrum.component_adjoint(cotangent, phase, kernel)
    if scale > 1 and term == 'both':
        grad_kernel = grad_kernel - spectrum.nearest_adjoint(q)
    return grad_kernel, grad_lam.sum((-2, -1), keepdim=True)
