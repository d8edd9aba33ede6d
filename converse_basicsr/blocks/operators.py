"""Build a depthwise operator from its name: the reverse convolution or one of its twins."""

from torch import nn

from converse_basicsr.blocks.depthwise import DepthwiseConv2d, DepthwiseConvTranspose2d
from converse_basicsr.ops import Converse2D
from converse_basicsr.ops.converse2d import DEFAULT_EPS
from converse_basicsr.ops.start import DEFAULT_KERNEL_INIT

_TWINS = {'conv': DepthwiseConv2d, 'convtranspose': DepthwiseConvTranspose2d}

OPERATORS = tuple(sorted(('converse', *_TWINS)))


def check_operator(operator: str) -> None:
    """Raise ValueError unless ``operator`` is one of ``OPERATORS``."""
    if operator not in OPERATORS:
        raise ValueError(f'operator must be one of {sorted(OPERATORS)}, got {operator!r}')


def check_converse_only(operator: str, **arguments: object) -> None:
    """Raise ValueError if an argument of the reverse convolution, passed by its name, is given for another operator."""
    for name, value in arguments.items():
        if operator != 'converse' and value is not None:
            raise ValueError(f'{name} must be left out for operator {operator!r}, which has none, got {value!r}')


def build_operator(
    operator: str,
    num_feat: int,
    kernel_size: int,
    *,
    scale: int = 1,
    padding: int | None = None,
    padding_mode: str = 'circular',
    eps: float | None = None,
    kernel_init: str | None = None,
    lam_init: float | None = None,
) -> nn.Module:
    """Build the operator at the heart of a Converse block or upsampler.

    All three have ``C k k + C`` parameters, called ``weight`` and ``bias``, and turn ``(N, C, H, W)`` into
    ``(N, C, s H, s W)``.

    Args:
        operator: ``converse`` (``Converse2D``), ``conv`` (``DepthwiseConv2d``) or ``convtranspose``
            (``DepthwiseConvTranspose2d``).
        num_feat: Number of channels C.
        kernel_size: Side k of the kernels.
        scale: Upsampling factor s.
        padding: Width of the border that the reverse convolution adds to the map; None for ``kernel_size - 1``. The
            twins always pad to 'same' size.
        padding_mode: ``circular``, ``constant``, ``reflect`` or ``replicate``.
        eps: Lower bound of the reverse convolution's lam; None for the default of ``Converse2D``.
        kernel_init: Initialisation of the reverse convolution's kernels; None for the default of ``Converse2D``.
        lam_init: Initial lam of the reverse convolution; None for the default of ``Converse2D``.

    Returns:
        The module.

    Raises:
        ValueError: If ``operator`` is unknown, or an argument is given that belongs to the reverse convolution alone
            and ``operator`` is another.

    Reference:
        arXiv 2508.09824, the ablation that exchanges the operator.

    Example:
        >>> sum(p.numel() for p in build_operator('conv', 128, 5).parameters())
        3328
    """
    check_operator(operator)
    check_converse_only(operator, padding=padding, eps=eps, kernel_init=kernel_init, lam_init=lam_init)
    if operator in _TWINS:
        return _TWINS[operator](num_feat, kernel_size, scale=scale, padding_mode=padding_mode)
    return Converse2D(
        num_feat,
        num_feat,
        kernel_size,
        scale=scale,
        padding=padding,
        padding_mode=padding_mode,
        eps=DEFAULT_EPS if eps is None else eps,
        kernel_init=DEFAULT_KERNEL_INIT if kernel_init is None else kernel_init,
        lam_init=lam_init,
    )
