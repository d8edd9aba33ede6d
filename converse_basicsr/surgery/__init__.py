"""Reverse convolution inside the networks of others: exchange their operators for Converse2D."""

from converse_basicsr.surgery.exchange import exchange, replace
from converse_basicsr.surgery.parts import ConverseShuffle, ConvThenConverse, UpsampledConv2d

__all__ = ['ConvThenConverse', 'ConverseShuffle', 'UpsampledConv2d', 'exchange', 'replace']
