"""Packages that look as if they were not installed, in this process."""

import sys
from collections.abc import Collection
from typing import Any


class _Finder:
    """Another finder of modules, for all but some packages."""

    def __init__(self, finder: Any, packages: Collection[str]) -> None:
        self.finder, self.packages = finder, packages

    def __getattr__(self, name: str) -> Any:
        return getattr(self.finder, name)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        is_hidden = name.partition('.')[0] in self.packages
        return None if is_hidden else self.finder.find_spec(name, path, target)


def hide(*packages: str) -> None:
    """Let packages be neither imported nor found; those hidden before are shown again, unless named again."""
    loaded = sorted(set(packages) & {name.partition('.')[0] for name in sys.modules})
    assert not loaded, f'{loaded} are imported already'
    finders = [finder.finder if isinstance(finder, _Finder) else finder for finder in sys.meta_path]
    sys.meta_path[:] = [_Finder(finder, packages) for finder in finders]
