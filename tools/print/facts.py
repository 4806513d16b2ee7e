"""Numbers for a text, each with the file and the place there that it is from."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd


class Fact(NamedTuple):
    """What a text says, and where it is found."""

    text: str
    file: str
    key: tuple[str | int, ...]
    value: Any


class Facts:
    """Looks numbers up in files, and keeps what was told, in the order of the text.

    `files` are contents by name: mappings and lists in each other.
    """

    def __init__(self, files: Mapping[str, Any]) -> None:
        self.files = files
        self.told: list[Fact] = []

    def value(self, file: str, *key: str | int) -> Any:
        """What stands there, for a condition; nothing is kept."""
        return at(self.files[file], key)

    def tell(self, file: str, *key: str | int, digits: int | None = None, times: float = 1) -> str:
        """The number or text that stands there, `times` a factor such as 100 for percent."""
        value = self.value(file, *key)
        return self.note(written(value, digits, times), file, key, value)

    def note(self, text: str, file: str, key: tuple[str | int, ...], value: Any) -> str:
        self.told.append(Fact(text, file, key, value))
        return text


def at(content: Any, key: tuple[str | int, ...]) -> Any:
    for step in key:
        content = content[step]
    return content


def written(value: Any, digits: int | None = None, times: float = 1) -> str:
    """In words that may stand in Markdown, a table's cell too."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and (digits is not None or times != 1):
        return f"{value * times:.{digits or 0}f}"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(written(one) for one in value)
    return plain(str(value))


def plain(words: str) -> str:
    """A name in one line, whose signs are no Markdown."""
    line = " ".join("".join(c if c.isprintable() else " " for c in words).split())
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", line)


def sources_table(told: list[Fact]) -> pd.DataFrame:
    """A row for each fact: the number as the text has it, its file, the place there."""
    rows = [(fact.text, fact.file, place_of(fact.key)) for fact in told]
    return pd.DataFrame(rows, columns=["number", "file", "key"])


def place_of(key: tuple[str | int, ...]) -> str:
    """scores.all.iou_interval[0]"""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in key)
    return "".join(steps).removeprefix(".")
