"""What the readers of all formats share: files by their content, labels by image and class."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lib import rle
from lib.data.label import Label
from lib.data.pictures.tree import Tree, json_in, keys_in
from lib.runtime.errors import InputError

TABLES = (".csv", ".tsv")
NOT_AS_EXPECTED = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,  # of lists in lists in lists
)


def jsons_with(tree: Tree, *words: str) -> Iterator[tuple[Path, Any]]:
    """The JSON files in which all the words are keys, and their content."""
    for path in tree.ending(".json"):
        if all(word.encode() in keys_in(path) for word in words):
            yield path, json_in(path)


def tables_with(tree: Tree, *columns: str) -> list[Path]:
    """The tables of texts whose first line names all the columns."""
    found = []
    for path in tree.ending(*TABLES):
        with path.open("rb") if path.is_file() else io.BytesIO() as file:
            head = re.findall(rb"\w+", file.readline(10_000))
        if all(column.encode() in head for column in columns):
            found.append(path)
    return found


def json_of(path: Path) -> Any:
    """The content of a file that is to hold JSON."""
    if not path.is_file():
        raise InputError(f"train_dataframe={path}: there is no such file")
    if (content := json_in(path)) is None:
        raise InputError(f"{path}: not a JSON file that can be read")
    return content


def one_or_root(tree: Tree, paths: list[Path]) -> Path | None:
    """The one file, or the folder of several."""
    return paths[0] if len(paths) == 1 else tree.root if paths else None


def enter(by_image: dict[str, Label], image: str, label: Label) -> None:
    """Of two labels of an image nobody knows which one counts."""
    if image in by_image:
        label.error = "stands in the file twice, or in two files"
    by_image[image] = label


@contextmanager
def errors_of(label: Label) -> Iterator[None]:
    """What goes wrong inside is what is wrong with this image's label."""
    try:
        yield
    except NOT_AS_EXPECTED as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        label.error = f"an annotation of it cannot be read ({what})"


def draw(label: Label, name: str, mask: npt.NDArray[np.generic]) -> None:
    """Adds a mask to those of the class; "" is the class of a tool in which none was named."""
    label.runs.setdefault(name.strip(), []).append(rle.encode(mask))


def no_mask(kind: str) -> ValueError:
    return ValueError(f"it has a {kind}, and a {kind} is no mask: draw an outline")
