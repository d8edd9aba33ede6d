"""Reverse convolution in mmcv's configs: importing this module registers ``Converse`` in mmengine's ``MODELS``.

In a config: ``custom_imports = dict(imports=['converse_basicsr.mmcv'])``. It works with ``build_upsample_layer``,
``build_plugin_layer``, and ``build_conv_layer`` inside ``ConvModule``. Only mmengine is imported here, so the builders
may come from mmcv or from mmcv-lite.
"""

from converse_basicsr.ops import Converse2D
from converse_basicsr.ops.converse2d import DEFAULT_EPS
from converse_basicsr.ops.start import DEFAULT_KERNEL_INIT

try:
    from mmengine.registry import MODELS
except ImportError as error:
    raise ImportError(
        'converse_basicsr.mmcv needs mmengine: pip install mmcv-lite, or mmcv where its compiled operators are wanted '
        '(never mmcv-lite on top of mmcv: it overwrites it)'
    ) from error

# Kernel size where nothing is upsampled: that in the blocks of Converse-SRResNet (arXiv 2508.09824).
KERNEL_SIZE = 5


@MODELS.register_module()
class Converse(Converse2D):
    """``Converse2D`` with the signatures that mmcv's builders call.

    As an upsample or plugin layer it takes ``in_channels`` and ``scale_factor``. As the convolution of a ``ConvModule``
    it replaces a depthwise convolution that keeps the size; let a 1x1 ``ConvModule`` mix the channels. Its parameter
    ``bias`` is the logit of lam, not an additive bias, and so exists with ``bias=False`` too.

    Args:
        in_channels: Number of channels.
        out_channels: The same number of channels; None for ``in_channels``.
        kernel_size: Side of the kernels; None for ``scale_factor`` or, at scale 1, 5.
        stride: 1; taken because ``ConvModule`` passes it.
        padding: That of a convolution that keeps the size, ``(kernel_size - 1) // 2``, or None. The border that the
            operator adds is always ``kernel_size - 1`` wide.
        dilation: 1, likewise.
        groups: 1 or ``in_channels``, likewise.
        bias: Without effect, likewise.
        scale_factor: Upsampling factor.
        padding_mode: ``circular``, ``constant`` (zeros), ``reflect`` or ``replicate``.
        eps: Lower bound of lam.
        kernel_init: Initialisation of the kernels (see ``Converse2D``).
        lam_init: Initial lam (see ``Converse2D``).

    Shape:
        ``(N, C, H, W)`` -> ``(N, C, scale_factor * H, scale_factor * W)``.

    Raises:
        ValueError: If an argument asks for something that the operator does not do.
    """

    _abbr_ = 'converse'  # build_plugin_layer names the layer by it
    transposed = False
    stride = dilation = (1, 1)
    output_padding = (0, 0)

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None = None,
        kernel_size: int | tuple[int, int] | None = None,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | None = None,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        scale_factor: int = 1,
        padding_mode: str = 'replicate',
        eps: float = DEFAULT_EPS,
        kernel_init: str = DEFAULT_KERNEL_INIT,
        lam_init: float | None = None,
    ) -> None:
        if kernel_size is None:
            kernel_size = KERNEL_SIZE if scale_factor == 1 else scale_factor
        super().__init__(
            in_channels,
            in_channels if out_channels is None else out_channels,
            kernel_size,
            scale_factor,
            padding_mode=padding_mode,
            eps=eps,
            kernel_init=kernel_init,
            lam_init=lam_init,
        )
        same = tuple((k - 1) // 2 for k in self.kernel_size)
        for name, value, allowed in (
            ('stride', stride, (1, (1, 1))),
            ('dilation', dilation, (1, (1, 1))),
            ('groups', groups, (1, in_channels)),
            ('padding', padding, (None, same, *([same[0]] if same[0] == same[1] else []))),
        ):
            if value not in allowed:
                raise ValueError(f'{name} must be {" or ".join(map(str, allowed))}, got {value!r}')
        self.groups = in_channels

    def init_weights(self) -> None:
        """Initialise the parameters; mmengine calls this on layers that have an initialisation of their own."""
        self.reset_parameters()
