"""The version of the distribution ``converse-basicsr``."""

__version__ = '0.2.0'
