"""Everything that is patched in BasicSR, from outside: one module per part of it, one function per defect."""

from converse_basicsr.compat.patches import IMPORTS, PATCHES, apply, disabled

__all__ = ['IMPORTS', 'PATCHES', 'apply', 'disabled']
