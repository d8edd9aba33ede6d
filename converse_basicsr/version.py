"""The version of the distribution ``converse-basicsr``."""

__version__ = '0.1.0'
