"""The networks of the paper, their twins and baselines. They know torch only: ``register`` makes BasicSR know them."""

from converse_basicsr.archs.converse_srresnet import ConverseSRResNet

__all__ = ['ConverseSRResNet']
