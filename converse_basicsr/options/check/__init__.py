"""Find what would stop a run, before anything is built or written: in an option file, its data and its weights."""

from converse_basicsr.options.check.require import (
    dataset_problems,
    network_diagnosis,
    require_fit,
    require_runnable,
    require_valid,
)

__all__ = ['dataset_problems', 'network_diagnosis', 'require_fit', 'require_runnable', 'require_valid']
