"""Datasets, storage and metrics for BasicSR (they import BasicSR: call ``converse_basicsr.register()`` first)."""
