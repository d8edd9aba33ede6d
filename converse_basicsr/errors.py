"""The one exception that the ``basicsr`` command turns into a line for its user."""


class UserError(Exception):
    """Something the user can put right: a missing file, a wrong value, a full disk.

    The command line prints the message as one line, ``basicsr: error: <message>``, and exits with status 2. The message
    says what is wrong, where, and what to do about it.
    """
