"""Plug this package into BasicSR's registries (the one file that knows them)."""


def register() -> None:
    """Placeholder until the registries are wired."""
