"""What the super-resolution networks' upsamplers share."""

# Lower bound of lam in the upsamplers, a hundred times that in the blocks (arXiv 2508.09824).
UPSAMPLER_EPS = 1e-3

_STEPS = {2: (2,), 3: (3,), 4: (2, 2)}


def upscale_steps(upscale: int) -> tuple[int, ...]:
    """The steps an upscaling is made of: 2 -> (2,), 3 -> (3,), 4 -> (2, 2).

    Raises:
        ValueError: If ``upscale`` is none of them.
    """
    if upscale not in _STEPS:
        raise ValueError(f'upscale must be one of {sorted(_STEPS)}, got {upscale}')
    return _STEPS[upscale]
