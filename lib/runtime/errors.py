"""The error that a person reads."""


class InputError(Exception):
    """Something a person gave is wrong; the message names it and says what to do."""
