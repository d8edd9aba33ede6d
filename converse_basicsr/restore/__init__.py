"""Images in, restored images out, by a checkpoint alone. Needs torch when :class:`Restorer` is used, not before."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from converse_basicsr.restore.restorer import Restorer

__all__ = ['Restorer']


def __getattr__(name: str) -> object:
    if name != 'Restorer':
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from converse_basicsr.restore.restorer import Restorer

    return Restorer
