"""Layer normalisation over the channels of a feature map: the functional ``layer_norm2d`` and its module."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from converse_basicsr.blocks.checks import check_positive


def _statistics(x: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Centred map, mean over the channels and reciprocal standard deviation, each differentiable."""
    mean = x.mean(1, keepdim=True)
    centred = x - mean
    return centred, mean, torch.rsqrt(centred.square().mean(1, keepdim=True) + eps)


class _PlanarLayerNorm(torch.autograd.Function):
    """Layer normalisation in the (N, C, H, W) layout that keeps only its input and two planes per sample."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        centred, mean, rstd = _statistics(x, eps)
        return centred.mul_(rstd).mul_(weight).add_(bias), mean, rstd

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
        x, weight, _, ctx.eps = inputs
        _, mean, rstd = output
        ctx.mark_non_differentiable(mean, rstd)
        ctx.save_for_backward(x, weight, mean, rstd)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor, *ignored: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, mean, rstd = ctx.saved_tensors
        if torch.is_grad_enabled():
            # For a second derivative the statistics must be functions of x, not the saved numbers.
            centred, _, rstd = _statistics(x, ctx.eps)
        else:
            centred = x - mean
        normed = centred * rstd
        product = grad * normed
        inner = grad * weight
        along = (product * weight).mean(1, keepdim=True)
        grad_x = (inner - inner.mean(1, keepdim=True) - normed * along) * rstd
        return grad_x, product.sum((0, 2, 3)).view_as(weight), grad.sum((0, 2, 3)).view_as(weight), None


def layer_norm2d(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    r"""Normalise every pixel over its channels.

    .. math:: y = \gamma \, \frac{x - \mathrm{mean}_c(x)}{\sqrt{\mathrm{var}_c(x) + \epsilon}} + \beta

    On a CPU it takes a few passes over whole planes of the (N, C, H, W) layout. ``F.layer_norm`` over a permuted view,
    which is used on other devices, would transpose the map there, and the next convolution or a copy would transpose
    it back; that takes three to six times as long.

    Args:
        x: Feature map.
        weight: :math:`\gamma`.
        bias: :math:`\beta`.
        eps: Added to the variance.

    Returns:
        The normalised map in the dtype of ``x``; for half precision it is computed in float32.

    Shape:
        ``(N, C, H, W)`` with ``(C,)`` and ``(C,)`` -> ``(N, C, H, W)``.

    Raises:
        ValueError: If ``x`` is not ``(N, C, H, W)`` with as many channels as ``weight`` has.

    Reference:
        Ba et al., "Layer Normalization", 2016.

    Example:
        >>> y = layer_norm2d(torch.rand(2, 8, 5, 7), torch.ones(8), torch.zeros(8))
        >>> bool(y.mean(1).abs().max() < 1e-5)
        True
    """
    if x.ndim != 4 or x.shape[1] != weight.numel():
        raise ValueError(f'x must be of shape (N, {weight.numel()}, H, W), got {tuple(x.shape)}')
    work = torch.promote_types(x.dtype, torch.float32)
    y, weight, bias = x.to(work), weight.to(work), bias.to(work)
    if x.device.type == 'cpu':
        y = _PlanarLayerNorm.apply(y, weight.view(1, -1, 1, 1), bias.view(1, -1, 1, 1), eps)[0]
    else:
        y = F.layer_norm(y.permute(0, 2, 3, 1), weight.shape, weight, bias, eps).permute(0, 3, 1, 2)
    return y.to(x.dtype)


class LayerNorm2d(nn.Module):
    """Layer normalisation over channels with learned gain and offset; see :func:`layer_norm2d`.

    Args:
        num_feat: Number of channels C.
        eps: Added to the variance.

    Shape:
        - Input: ``(N, C, H, W)``.
        - Output: ``(N, C, H, W)``.

    Raises:
        ValueError: If ``num_feat`` is not a positive integer, or the input has another number of channels.

    Example:
        >>> LayerNorm2d(8)(torch.rand(2, 8, 5, 7)).shape
        torch.Size([2, 8, 5, 7])
    """

    def __init__(self, num_feat: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        check_positive(num_feat=num_feat)
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_feat))
        self.bias = nn.Parameter(torch.zeros(num_feat))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise ``(N, C, H, W)``."""
        return layer_norm2d(x, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The arguments."""
        return f'{self.weight.numel()}, eps={self.eps}'
