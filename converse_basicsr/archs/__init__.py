"""The networks of the paper, their twins and baselines, on torch alone; ``register`` adds them to BasicSR."""

from converse_basicsr.archs.converse_dncnn import ConverseDnCNN
from converse_basicsr.archs.converse_srresnet import ConverseSRResNet
from converse_basicsr.archs.converse_up_srresnet import ConverseUpSRResNet
from converse_basicsr.archs.converse_usrnet import ConverseUSRNet
from converse_basicsr.archs.conversenet import ConverseNet
from converse_basicsr.archs.dncnn import DnCNN, merge_batchnorm
from converse_basicsr.archs.usrnet import USRNet

__all__ = [
    'ConverseDnCNN',
    'ConverseNet',
    'ConverseSRResNet',
    'ConverseUSRNet',
    'ConverseUpSRResNet',
    'DnCNN',
    'USRNet',
    'merge_batchnorm',
]
