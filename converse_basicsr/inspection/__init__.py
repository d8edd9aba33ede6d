"""What the reverse convolutions of a network do, in figures, tables and pictures.

:func:`inspect_network` measures a network in memory, :func:`~converse_basicsr.inspection.inspector.inspect` those of
checkpoints and option files.
"""

from converse_basicsr.inspection.filters import Filters, measure
from converse_basicsr.inspection.network import Layer, inspect_network

__all__ = ['Filters', 'Layer', 'inspect_network', 'measure']
