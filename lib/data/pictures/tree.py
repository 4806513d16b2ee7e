"""The files below a folder of data, without what systems and viewers leave there."""

import json
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from lib.runtime.errors import InputError

KEY = re.compile(rb'"([A-Za-z_]{1,40})"\s*:')
JUNK = {"thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "lost+found"}


class Tree(NamedTuple):
    """A folder, or one file, and all files below it, sorted by path."""

    root: Path
    files: list[Path]

    def ending(self, *suffixes: str) -> list[Path]:
        """The files with one of the suffixes, such as ".json", whatever their capitals."""
        return [path for path in self.files if path.suffix.lower() in suffixes]


def tree_of(root: Path) -> Tree:
    """What lies below the folder, or the one file."""
    if not root.is_dir():
        return Tree(root, [root])
    return Tree(root, list(map(Path, sorted(_below(str(root), set())))))


def _below(folder: str, above: set[str]) -> Iterator[str]:
    """`above` are the folders that it lies in, which a link may point back to."""
    real = os.path.realpath(folder)
    if real in above:
        return
    with os.scandir(folder) as entries:  # asks the system once a folder, not once a file
        for entry in entries:
            if entry.name.startswith(".") or entry.name.casefold() in JUNK:
                continue
            if entry.is_dir():
                yield from _below(entry.path, above | {real})
            elif entry.is_file() or not os.path.exists(entry.path):  # no pipe, and no device
                yield entry.path


def require_printable(path: Path) -> None:
    """InputError for a name that is not UTF-8 or has a line break: no table could hold it."""
    if not path.name.isprintable():
        raise InputError(
            f"{str(path)!a}: a name in UTF-8 without line breaks was expected: rename the file"
        )


def keys_in(path: Path) -> frozenset[bytes]:
    """The words that are keys in a JSON file; none of a file that is not there.

    Quicker than its content: a tool that writes a file an image may put the image into it.
    """
    if not path.is_file():  # a link to nowhere
        return frozenset()
    about = path.stat()
    return _keys_in(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=2**16)
def _keys_in(path: Path, _modified: int, _size: int) -> frozenset[bytes]:
    return frozenset(KEY.findall(path.read_bytes()))


def json_in(path: Path) -> Any:
    """The content of a JSON file; None for a file that holds none."""
    if not path.is_file():
        return None
    about = path.stat()
    return _json_in(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=32)  # files that hold all images; each reader asks for them
def _json_in(path: Path, _modified: int, _size: int) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):  # the last of lists in lists in lists
        return None
