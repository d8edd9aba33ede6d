"""What the super-resolution networks' upsamplers share."""

from torch import nn

from converse_basicsr.blocks import build_operator

# Lower bound of lam in the upsamplers, a hundred times that in the blocks (arXiv 2508.09824).
UP_EPS = 1e-3

_STEPS = {2: (2,), 3: (3,), 4: (2, 2)}


def upscale_steps(upscale: int) -> tuple[int, ...]:
    """The steps of an upscaling: 2 -> (2,), 3 -> (3,), 4 -> (2, 2).

    Raises:
        ValueError: If ``upscale`` is none of them.
    """
    if upscale not in _STEPS:
        raise ValueError(f'upscale must be one of {sorted(_STEPS)}, got {upscale}')
    return _STEPS[upscale]


def build_upsampler(
    num_feat: int,
    *,
    scale: int,
    operator: str,
    padding_mode: str,
    kernel_init: str | None = None,
    lam_init: float | None = None,
) -> nn.Module:
    """Build the operator of one step, with kernels as large as the scale; for the arguments see ``build_operator``.

    Shape:
        - Input: ``(N, num_feat, H, W)``.
        - Output: ``(N, num_feat, scale * H, scale * W)``.
    """
    is_converse = operator == 'converse'
    return build_operator(
        operator,
        num_feat,
        scale,
        scale=scale,
        # As wide as the kernel, as released. Without effect at scale 2, where no kernel leaves the block of its sample.
        padding=scale if is_converse else None,
        padding_mode=padding_mode,
        eps=UP_EPS if is_converse else None,
        kernel_init=kernel_init,
        lam_init=lam_init,
    )
