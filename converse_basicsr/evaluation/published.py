"""The figures that the paper reports (arXiv 2508.09824): the one place from which tables and option files take them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

REFERENCE = 'arXiv 2508.09824'


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        title: Name of the network in the paper.
        psnr: Published PSNR in dB, by test set; empty where the paper's tables do not have the network.
        parameters: Published number of parameters, where the paper or its page states it.
    """

    title: str
    psnr: Mapping[str, float] = field(default_factory=dict)
    parameters: int | None = None


_DENOISING = ('Set12', 'BSD68')
_SUPER_RESOLUTION = ('Set5', 'Set14', 'BSD100', 'Urban100')
_DEBLURRING = tuple(f'{name}_k{kernel}' for name in ('BSD100', 'Urban100') for kernel in range(1, 6))


def _denoising(title: str, *psnr: float, parameters: int) -> Row:
    return Row(title, dict(zip(_DENOISING, psnr)), parameters)


def _super_resolution(title: str, *psnr: float, parameters: int | None = None) -> Row:
    return Row(title, dict(zip(_SUPER_RESOLUTION, psnr)), parameters)


def _deblurring(title: str, bsd100: tuple[float, ...], urban100: tuple[float, ...], parameters: int | None) -> Row:
    return Row(title, dict(zip(_DEBLURRING, bsd100 + urban100)), parameters)


# Table -> name of the row's option file, in options/ for training and options/test/ for testing -> row
TABLES: dict[str, dict[str, Row]] = {
    'dncnn': {
        'dncnn_gray25': _denoising('DnCNN', 30.43, 29.23, parameters=557057),
        'conv_dncnn_gray25': _denoising('Conv-DnCNN', 30.64, 29.30, parameters=734913),
        'convt_dncnn_gray25': _denoising('ConvT-DnCNN', 30.61, 29.29, parameters=734913),
        'converse_dncnn_gray25': _denoising('Converse-DnCNN', 30.70, 29.36, parameters=734913),
    },
    'srresnet': {
        'srresnet_x4': _super_resolution('SRResNet', 32.21, 28.60, 27.59, 26.09, parameters=1517571),
        'conv_srresnet_x4': _super_resolution('Conv-SRResNet', 32.23, 28.73, 27.62, 26.24),
        'convt_srresnet_x4': _super_resolution('ConvT-SRResNet', 32.09, 28.61, 27.56, 25.89),
        # Without the parameters of the channel normalisations, which the released file has.
        'converse_srresnet_x4': _super_resolution('Converse-SRResNet', 32.25, 28.72, 27.62, 26.24, parameters=694208),
        'converse_up_srresnet_x4': Row('Converse-up SRResNet'),
    },
    'usrnet': {
        'convnet': _deblurring(
            'ConvNet (blind)', (25.26, 22.96, 27.16, 26.91, 23.98), (22.27, 20.59, 23.43, 23.92, 21.12), None
        ),
        'conversenet': _deblurring(
            'ConverseNet (blind)', (27.69, 24.43, 31.28, 27.64, 27.31), (24.24, 21.52, 23.16, 24.56, 22.56), 243267
        ),
        'conv_usrnet': _deblurring(
            'Conv-USRNet', (32.18, 31.03, 37.80, 31.82, 34.33), (31.48, 30.19, 36.80, 31.23, 33.63), None
        ),
        # Without the parameters alpha, which the released file has.
        'converse_usrnet': _deblurring(
            'Converse-USRNet', (32.46, 31.20, 38.40, 32.21, 34.62), (31.96, 30.59, 37.48, 31.95, 33.99), 307091
        ),
        'usrnet': Row('USRNet'),
    },
}
