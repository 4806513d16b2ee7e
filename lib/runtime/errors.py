"""The errors that a person reads."""

LONGEST = 1000  # characters of a line: a name or a cell in it may be of any length


class InputError(Exception):
    """Something a person gave is wrong; the message names it and says what to do."""

    def __str__(self) -> str:
        return "\n".join(map(_shortened, super().__str__().split("\n")))


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


def of_another_process(error: RuntimeError | ConnectionError) -> str | None:
    """What has become of a process that this one needs; None for an error of another kind."""
    if isinstance(error, ConnectionError):  # on the way between a loader and its worker
        return OTHERS["DataLoader worker"]
    texts = (text for begin, text in OTHERS.items() if begin in str(error))
    return next(texts, None)


def _shortened(line: str) -> str:
    """Without its middle, where it is too long."""
    half = LONGEST // 2
    return line if len(line) <= LONGEST else f"{line[:half]} ... {line[-half:]}"
