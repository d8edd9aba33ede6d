"""The exceptions that the ``basicsr`` command turns into lines for its user."""


class UserError(Exception):
    """Something the user can put right: a missing file, a wrong value, a full disk.

    The command line prints each message as one line, ``basicsr: error: <message>``, with line breaks and control
    characters escaped, and exits with status 2. A message says what is wrong, where, and what to do about it.

    Args:
        lines: The messages; usually one.

    Example:
        >>> error = UserError('train.yml is missing', 'valid.yml is missing')
        >>> error.lines
        ('train.yml is missing', 'valid.yml is missing')
        >>> print(error)
        train.yml is missing
        valid.yml is missing
    """

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)
        self.lines = lines

    def __str__(self) -> str:
        return '\n'.join(self.lines)


class ArgumentError(UserError, ValueError):
    """An argument of a Python function that does not suit and that may come from an option of a command.

    Args:
        message: For callers in Python; it begins with the argument's name.
        on_command_line: For users of the command; ``--`` and the message if not given.

    Example:
        >>> error = ArgumentError('tile must be at least 16, got 8')
        >>> str(error), error.on_command_line
        ('tile must be at least 16, got 8', '--tile must be at least 16, got 8')
    """

    def __init__(self, message: str, on_command_line: str | None = None) -> None:
        super().__init__(message)
        self.on_command_line = on_command_line or f'--{message}'
