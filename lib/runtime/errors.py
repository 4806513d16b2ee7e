"""The errors that a person reads."""


class InputError(Exception):
    """Something a person gave is wrong; the message names it and says what to do."""


class NotWritten(InputError):
    """A file could not be written: the disk is full, read-only, or somebody else's."""


# What torch says, and what a person is told.
OTHERS = {
    "DataLoader worker": (
        "a process that reads images was ended from outside: was memory short? Lower "
        "number_of_workers"
    ),
    "DataLoader timed out": (
        "a process that reads images has given none for too long: does the disk answer?"
    ),
    "gloo": "another process of this step has ended, and this one with it: its own words say why",
}


def of_another_process(error: RuntimeError) -> str | None:
    """What has become of a process that this one needs; None for an error of another kind."""
    texts = (text for begin, text in OTHERS.items() if begin in str(error))
    return next(texts, None)
