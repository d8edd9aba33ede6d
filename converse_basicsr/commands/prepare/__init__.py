"""The subcommands of ``basicsr prepare``, one module for each, of the same kind as those of ``basicsr``."""
