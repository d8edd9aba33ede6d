"""The check of integer arguments that blocks and networks share."""


def check_positive(**arguments: int) -> None:
    """Raise ValueError unless every argument, passed by its name, is a positive integer."""
    for name, value in arguments.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f'{name} must be a positive integer, got {value!r}')
