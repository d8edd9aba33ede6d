"""Building blocks of the networks: they depend on torch and the operator alone."""

from converse_basicsr.blocks.converse_block import ConverseBlock
from converse_basicsr.blocks.depthwise import DepthwiseConv2d, DepthwiseConvTranspose2d
from converse_basicsr.blocks.gelu import GELU, gelu
from converse_basicsr.blocks.layernorm import LayerNorm2d, layer_norm2d
from converse_basicsr.blocks.operators import OPERATORS, build_operator
from converse_basicsr.blocks.stack import stack

__all__ = [
    'GELU',
    'OPERATORS',
    'ConverseBlock',
    'DepthwiseConv2d',
    'DepthwiseConvTranspose2d',
    'LayerNorm2d',
    'build_operator',
    'gelu',
    'layer_norm2d',
    'stack',
]
