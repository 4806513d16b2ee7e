"""The text of a submission file -> its rows, and every fault of its lines.

It is read line by line, so that an open quote or a missing comma spoils no other row.
"""

import csv
from pathlib import Path
from typing import NamedTuple

from lib.artifacts.submission import CLASSES, ONE_CLASS, Key
from lib.runtime.errors import InputError
from tools.submission.faults import Fault, named


class Row(NamedTuple):
    line: int  # of the file, from 1
    image: str
    name: str  # of the class; "" where there is only one
    pixels: str | None  # None where the row does not tell

    @property
    def key(self) -> Key:
        return self.image, self.name

    def __str__(self) -> str:
        return f"line {self.line} ({named(self.key)})"


class Sheet(NamedTuple):
    """What a file holds, whatever it is worth."""

    columns: list[str]  # ONE_CLASS or CLASSES
    rows: list[Row]
    faults: list[Fault]


class _Places(NamedTuple):
    """Where in a line the values stand."""

    image: int
    name: int | None
    pixels: int
    width: int
    headless: bool = False  # line 1 is a row already

    @property
    def columns(self) -> list[str]:
        return ONE_CLASS if self.name is None else CLASSES

    def row(self, line: int, cells: list[str]) -> Row:
        """Of a row that is too short or too long only the names are believed."""
        image = cells[self.image] if self.image < len(cells) else ""
        name = cells[self.name] if self.name is not None and self.name < len(cells) else ""
        return Row(line, image, name, cells[self.pixels] if len(cells) == self.width else None)


def read(path: Path) -> Sheet:
    """Line by line, so that an open quote or a missing comma spoils no other row."""
    lines = _lines(path)
    header, _ = _cells(lines[0])
    places, faults = _understood(header, path)
    rows = []
    for number, line in enumerate(lines, 1):
        if number == 1 and not places.headless:
            continue
        if not line.strip():
            faults.append(Fault("blank lines", f"line {number}"))
            continue
        row, wrong = _read_row(number, line, places)
        rows.append(row)
        faults += wrong
    if not rows:
        faults.append(Fault("no rows", "after line 1"))
    return Sheet(places.columns, rows, faults)


def _lines(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
        text = content.decode()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: line {line} is no text in UTF-8 (is it packed?)") from None
    if not text.strip():
        raise InputError(f"{path}: the file is empty")
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")


def _cells(line: str) -> tuple[list[str], str]:
    """The values between commas, out of their quotes, and what is wrong with these."""
    if '"' not in line:
        return line.split(","), ""
    csv.field_size_limit(2**31 - 1)
    try:
        return next(csv.reader([line], strict=True)), ""
    except csv.Error as error:
        return line.split(","), str(error)


def _understood(header: list[str], path: Path) -> tuple[_Places, list[Fault]]:
    """What the header says, or, with a fault, what it most likely means."""
    width = len(header)
    by_place = _Places(0, 1 if width == 3 else None, width - 1, width)
    if header in (ONE_CLASS, CLASSES):
        return by_place, []
    what = f"{','.join(header)[:80]!r}, not {','.join(ONE_CLASS)} or {','.join(CLASSES)}"
    faults = [Fault("a wrong header", "line 1", what)]
    names = [name.strip().removeprefix("\ufeff").lower() for name in header]
    if set(ONE_CLASS) <= set(names):
        name = names.index("class_id") if "class_id" in names else None
        return _Places(names.index("img"), name, names.index("pixels"), width), faults
    if width not in (2, 3):
        raise InputError(f"{path}: its header is {what}, and tells nothing")
    numbers_only = not header[-1].strip(" 0123456789")
    return by_place._replace(headless=numbers_only), faults


def _read_row(number: int, line: str, places: _Places) -> tuple[Row, list[Fault]]:
    cells, complaint = _cells(line)
    row, faults = places.row(number, cells), []
    if complaint:
        row = row._replace(pixels=None)
        faults.append(Fault("quotes that do not match", str(row), complaint))
    elif len(cells) != places.width:
        what = f"{len(cells)} values, the header has {places.width}"
        faults.append(Fault("rows that are too short or too long", str(row), what))
    elif not row.image:
        faults.append(Fault("rows without an image", f"line {number}"))
    elif places.columns is CLASSES and not row.name:
        faults.append(Fault("rows without a class", str(row)))
    return row, faults
