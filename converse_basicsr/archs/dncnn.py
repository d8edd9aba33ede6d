"""DnCNN: the denoising baseline, with batch normalisation or with it merged into the convolutions."""

import torch
from torch import nn

from converse_basicsr.blocks.checks import check_positive

_NORMS = ('bn', 'none')


class DnCNN(nn.Module):
    """Convolutions and ReLUs that predict the noise; the output is the input minus the prediction.

    Args:
        num_in_ch: Channels of the input.
        num_out_ch: Channels of the output; equal to ``num_in_ch``, since the prediction is subtracted.
        num_feat: Channels of the features.
        num_layer: Number of convolutions, 17 for a fixed noise level.
        norm: ``bn`` for batch normalisation after every inner convolution, as in training; ``none`` for the layout of
            released weights, where it has been merged into the convolutions.

    Shape:
        - Input: ``(N, num_in_ch, H, W)`` in [0, 1].
        - Output: ``(N, num_out_ch, H, W)``.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        Zhang et al., "Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising", IEEE TIP 2017.

    Example:
        >>> DnCNN(num_layer=5, num_feat=8)(torch.rand(1, 1, 13, 10)).shape
        torch.Size([1, 1, 13, 10])
    """

    def __init__(
        self,
        num_in_ch: int = 1,
        num_out_ch: int = 1,
        *,
        num_feat: int = 64,
        num_layer: int = 17,
        norm: str = 'bn',
    ) -> None:
        super().__init__()
        check_positive(num_in_ch=num_in_ch, num_feat=num_feat)
        if num_out_ch != num_in_ch:
            raise ValueError(f'num_out_ch must be num_in_ch ({num_in_ch}), got {num_out_ch}')
        if num_layer < 2:
            raise ValueError(f'num_layer must be an integer of 2 or more, got {num_layer}')
        if norm not in _NORMS:
            raise ValueError(f'norm must be one of {sorted(_NORMS)}, got {norm!r}')
        layers: list[nn.Module] = [nn.Conv2d(num_in_ch, num_feat, 3, padding=1), nn.ReLU(inplace=True)]
        for _ in range(num_layer - 2):
            layers.append(nn.Conv2d(num_feat, num_feat, 3, padding=1))
            if norm == 'bn':
                layers.append(nn.BatchNorm2d(num_feat))
            layers.append(nn.ReLU(inplace=True))
        layers.append(nn.Conv2d(num_feat, num_out_ch, 3, padding=1))
        self.model = nn.Sequential(*layers)
        for layer in self.model:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
                nn.init.zeros_(layer.get_parameter('bias'))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Denoise ``(N, num_in_ch, H, W)``."""
        return x - self.model(x)


def merge_batchnorm(net: DnCNN) -> DnCNN:
    r"""Merge the batch normalisations into the convolutions before them.

    .. math::
        w' = \frac{\gamma}{\sqrt{v + \epsilon}} w, \qquad b' = \frac{\gamma}{\sqrt{v + \epsilon}} (b - m) + \beta

    with m and v the running mean and variance. The result computes what ``net`` computes in eval mode.

    Args:
        net: A DnCNN with ``norm='bn'``; it is not changed.

    Returns:
        A new DnCNN with ``norm='none'``, in eval mode.

    Raises:
        ValueError: If ``net`` has no batch normalisation.

    Example:
        >>> net, x = DnCNN(num_layer=5, num_feat=8).eval(), torch.rand(1, 1, 13, 10)
        >>> torch.allclose(merge_batchnorm(net)(x), net(x), atol=1e-6)
        True
    """
    convs = [layer for layer in net.model if isinstance(layer, nn.Conv2d)]
    norms = [layer for layer in net.model if isinstance(layer, nn.BatchNorm2d)]
    if not norms:
        raise ValueError("net must be a DnCNN with norm='bn', got one without batch normalisation")
    first = convs[0].weight
    merged = DnCNN(first.shape[1], convs[-1].out_channels, num_feat=first.shape[0], num_layer=len(convs), norm='none')
    merged.to(first.device, first.dtype)
    targets = [layer for layer in merged.model if isinstance(layer, nn.Conv2d)]
    for source, norm, target in zip(convs, [None, *norms, None], targets):
        conv = dict(source.state_dict())
        if norm is not None:
            bn = norm.state_dict()
            gain = bn['weight'] / torch.sqrt(bn['running_var'] + norm.eps)
            conv['weight'] = conv['weight'] * gain.view(-1, 1, 1, 1)
            conv['bias'] = (conv['bias'] - bn['running_mean']) * gain + bn['bias']
        target.load_state_dict(conv)
    return merged.eval()
