"""The scales of a data set and the grid of its sub-images: what fits together."""

from collections.abc import Iterable

from converse_basicsr.errors import UserError


def sorted_scales(scales: Iterable[int]) -> tuple[int, ...]:
    """Return the scales in increasing order, each once.

    Raises:
        ValueError: If there is none, or one is below 2.
    """
    ordered = tuple(sorted(set(scales)))
    if not ordered or ordered[0] < 2:
        raise ValueError(f'scales must be one or several factors of at least 2, got {list(ordered)}')
    return ordered


def check_grid(scales: Iterable[int], crop: int, step: int) -> None:
    """Check that the grid of the sub-images falls on whole pixels of every downsampled image.

    Args:
        scales: Downsampling factors.
        crop: Side of a sub-image, pixels of the large image.
        step: Distance between sub-images, pixels of the large image.

    Raises:
        UserError: If ``crop`` or ``step`` is no multiple of every scale, or the steps leave gaps between the crops.
        ValueError: If one of them is below 1.
    """
    for scale in scales:
        for name, value in (('--crop', crop), ('--step', step)):
            if value % scale:
                below = value - value % scale
                choices = ' or '.join(str(choice) for choice in (below, below + scale) if choice)
                raise UserError(f'{name} must be a multiple of --scale {scale}, got {value}: give {choices}')
    check_step(crop, step)


def check_step(crop: int, step: int) -> None:
    """Check that the sub-images leave no pixel out.

    Raises:
        UserError: If the steps leave gaps between the crops.
        ValueError: If one of them is below 1.
    """
    if min(crop, step) < 1:
        raise ValueError(f'crop and step must be at least 1, got {crop} and {step}')
    if step > crop:
        raise UserError(
            f'--step must be at most --crop {crop}, got {step}: a larger step leaves gaps between sub-images'
        )
