"""What the paper reports, and the weights its authors released (arXiv 2508.09824)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Weights:
    """A released file.

    Attributes:
        file: Its name.
        url: Where its authors offer it.
        sha256: Digest of the file that the figures of this package were measured with.
    """

    file: str
    url: str
    sha256: str


_CONVERSENET = 'https://github.com/cszn/ConverseNet/raw/main/model_zoo'

# The files carry no licence, so they are fetched or copied by the user, never shipped.
WEIGHTS = {
    weights.file: weights
    for weights in (
        Weights(
            'converse_dncnn.pth',
            f'{_CONVERSENET}/converse_dncnn.pth',
            '3b86c7f6e41a014448f923bc331232e1f45e2eae350dd7f9e18440803d283e89',
        ),
        Weights(
            'converse_srresnet.pth',
            f'{_CONVERSENET}/converse_srresnet.pth',
            'ed75a697f1ebb9f9ad6a53b7875bb76098f23b48d87bf6f0b0dd8cde6df81d2f',
        ),
        Weights(
            'converse_usrnet.pth',
            f'{_CONVERSENET}/converse_usrnet.pth',
            '729529b8bc8cbda152d6b60734b01032b49c20fcb8b6da2fb33141d9c3378d82',
        ),
        Weights(
            'conversenet.pth',
            f'{_CONVERSENET}/conversenet.pth',
            '603cbb29075178410db9ab6166b247d2ddff32f349c59a7e1763c46feca270bd',
        ),
        Weights(
            'dncnn_25.pth',
            'https://github.com/cszn/KAIR/releases/download/v1.0/dncnn_25.pth',
            '0451a70de9b672ae037270498fbb1c17a1c1c4403785df586ff65df5b858e5b0',
        ),
    )
}

# Names of the released weights: the option file that tests them (basicsr options), without directory and suffix.
RELEASED = {
    'converse_dncnn_gray25': 'converse_dncnn.pth',
    'converse_srresnet_x4': 'converse_srresnet.pth',
    'conversenet': 'conversenet.pth',
    'converse_usrnet': 'converse_usrnet.pth',
    'dncnn_gray25': 'dncnn_25.pth',
}


def _sets(names: tuple[str, ...], *values: float) -> dict[str, float]:
    return dict(zip(names, values))


_DENOISING = ('Set12', 'BSD68')
_SUPER_RESOLUTION = ('Set5', 'Set14', 'BSD100', 'Urban100')
_DEBLURRING = tuple(f'{name}_k{kernel}' for name in ('BSD100', 'Urban100') for kernel in range(1, 6))

# Table -> row (an option file of options/test/) -> (name in the paper, published PSNR in dB a test set)
TABLES = {
    'dncnn': {
        'dncnn_gray25': ('DnCNN', _sets(_DENOISING, 30.43, 29.23)),
        'conv_dncnn_gray25': ('Conv-DnCNN', _sets(_DENOISING, 30.64, 29.30)),
        'convt_dncnn_gray25': ('ConvT-DnCNN', _sets(_DENOISING, 30.61, 29.29)),
        'converse_dncnn_gray25': ('Converse-DnCNN', _sets(_DENOISING, 30.70, 29.36)),
    },
    'srresnet': {
        'srresnet_x4': ('SRResNet', _sets(_SUPER_RESOLUTION, 32.21, 28.60, 27.59, 26.09)),
        'conv_srresnet_x4': ('Conv-SRResNet', _sets(_SUPER_RESOLUTION, 32.23, 28.73, 27.62, 26.24)),
        'convt_srresnet_x4': ('ConvT-SRResNet', _sets(_SUPER_RESOLUTION, 32.09, 28.61, 27.56, 25.89)),
        'converse_srresnet_x4': ('Converse-SRResNet', _sets(_SUPER_RESOLUTION, 32.25, 28.72, 27.62, 26.24)),
        'converse_up_srresnet_x4': ('Converse-up SRResNet', {}),
    },
    'usrnet': {
        'convnet': (
            'ConvNet (blind)',
            _sets(_DEBLURRING, 25.26, 22.96, 27.16, 26.91, 23.98, 22.27, 20.59, 23.43, 23.92, 21.12),
        ),
        'conversenet': (
            'ConverseNet (blind)',
            _sets(_DEBLURRING, 27.69, 24.43, 31.28, 27.64, 27.31, 24.24, 21.52, 23.16, 24.56, 22.56),
        ),
        'conv_usrnet': (
            'Conv-USRNet',
            _sets(_DEBLURRING, 32.18, 31.03, 37.80, 31.82, 34.33, 31.48, 30.19, 36.80, 31.23, 33.63),
        ),
        'converse_usrnet': (
            'Converse-USRNet',
            _sets(_DEBLURRING, 32.46, 31.20, 38.40, 32.21, 34.62, 31.96, 30.59, 37.48, 31.95, 33.99),
        ),
        'usrnet': ('USRNet', {}),
    },
}
