"""The weights that the papers' authors released: their names, where they are, and their digests.

The files carry no licence, so they are fetched or copied by the user, never shipped.
"""

from dataclasses import dataclass
from pathlib import Path

MODEL_ZOO = Path('model_zoo')
"""Where ``basicsr prepare weights`` puts the released weights."""


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
