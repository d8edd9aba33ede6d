"""The reverse convolution operator: a functional and its module, which depend on torch alone."""

from converse_basicsr.ops.converse2d import Converse2D, converse2d

__all__ = ['Converse2D', 'converse2d']
