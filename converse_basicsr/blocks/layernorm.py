"""Layer normalisation over the channel axis of a feature map."""

import torch
import torch.nn.functional as F
from torch import nn


class LayerNorm2d(nn.Module):
    r"""Layer normalisation of every pixel over its channels.

    .. math:: y = \gamma \, \frac{x - \mathrm{mean}_c(x)}{\sqrt{\mathrm{var}_c(x) + \epsilon}} + \beta

    It goes through ``F.layer_norm`` over a permuted view: on CPU a chain of mean, variance and square root calls takes
    longer than the two FFTs of the reverse convolution that follows.

    Args:
        num_feat: Number of channels C.
        eps: Added to the variance.

    Shape:
        - Input: ``(N, C, H, W)``, any memory format.
        - Output: ``(N, C, H, W)``, channels last in memory.

    Raises:
        ValueError: If ``num_feat`` is not a positive integer or the input has another number of channels.

    Example:
        >>> LayerNorm2d(8)(torch.rand(2, 8, 5, 7)).mean(1).abs().max() < 1e-5
        tensor(True)
    """

    def __init__(self, num_feat: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        if num_feat < 1:
            raise ValueError(f'num_feat must be a positive integer, got {num_feat}')
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_feat))
        self.bias = nn.Parameter(torch.zeros(num_feat))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise ``(N, C, H, W)`` over C."""
        y = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, self.eps)
        return y.permute(0, 3, 1, 2)

    def extra_repr(self) -> str:
        return f'{self.weight.numel()}, eps={self.eps}'
