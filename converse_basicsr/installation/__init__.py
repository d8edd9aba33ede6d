"""What is installed in this Python: BasicSR put there (``basicsr setup``), all examined (``basicsr doctor``)."""
