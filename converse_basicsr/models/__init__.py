"""Models for BasicSR's MODEL registry (they import BasicSR: call ``converse_basicsr.register()`` first)."""
