"""What a network takes beside the image, told by the names of the parameters of its ``forward``."""

import inspect

from torch import nn

CONDITIONS = ('kernel', 'scale', 'sigma')
"""The blur kernel, the scale, and the noise level for values in [0, 1]."""


def conditions_of(network: nn.Module | type[nn.Module]) -> dict[str, bool]:
    """Find which of :data:`CONDITIONS` a network or its class takes, each with whether the network requires it.

    Example:
        >>> from converse_basicsr import archs
        >>> conditions_of(archs.ConverseUSRNet)
        {'kernel': True, 'scale': False}
    """
    parameters = inspect.signature(network.forward).parameters
    return {name: parameters[name].default is inspect.Parameter.empty for name in CONDITIONS if name in parameters}
