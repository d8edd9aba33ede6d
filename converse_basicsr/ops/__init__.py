"""The reverse convolution operator: a functional, its module and nothing that needs more than torch."""

from converse_basicsr.ops.converse2d import Converse2D, converse2d

__all__ = ['Converse2D', 'converse2d']
