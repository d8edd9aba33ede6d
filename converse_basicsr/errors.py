"""The exceptions that the ``basicsr`` command turns into a line for its user."""


class UserError(Exception):
    """Something the user can put right: a missing file, a wrong value, a full disk.

    The command line prints the message as one line, ``basicsr: error: <message>``, and exits with status 2. The message
    says what is wrong, where, and what to do about it.
    """


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
