"""The error that a person reads."""

LONGEST = 1000  # characters of a line: a name or a cell in it may be of any length


class InputError(Exception):
    """Something a person gave is wrong; the message names it and says what to do."""

    def __str__(self) -> str:
        return "\n".join(map(_shortened, super().__str__().split("\n")))


def _shortened(line: str) -> str:
    """Without its middle, where it is too long."""
    half = LONGEST // 2
    return line if len(line) <= LONGEST else f"{line[:half]} ... {line[-half:]}"
