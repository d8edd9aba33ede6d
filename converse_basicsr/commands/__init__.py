"""The subcommands of ``basicsr``, one module for each: ``SUMMARY``, ``EXAMPLES``, ``add_arguments`` and ``run``."""
