"""Mask files that a table names, and readers that it tells apart."""

import re
from os.path import isfile
from pathlib import Path

import pandas as pd

from lib.config.fields import Config
from lib.data.label import Label
from lib.data.pictures.arrays import ImageFile, composed
from lib.data.pictures.tree import tree_of
from lib.data.tables.cells import (
    is_nothing,
    small,
    tails,
)

READER = re.compile(r"(reader|annotator|rater|expert|observer|user)(_id|_name)?")
PARTS_ABOVE = 2  # of the folder's own path, which a table may write too


class MaskFiles:
    """The mask files that a table names, which lie below its folder or beside it."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder or Path()
        self.by_end: dict[tuple[str, ...], list[Path]] = {}
        self.folders: set[str] = set()
        self.empty = 0
        for path in tree_of(folder).files if folder else []:
            below = path.relative_to(self.folder).parts
            parts = tuple(map(composed, (*self.folder.parts[-PARTS_ABOVE:], *below)))
            for start in range(len(parts)):
                self.by_end.setdefault(parts[start:], []).append(path)
            self.folders.add(composed(path.parent.name))

    def add(
        self, label: Label, names: list[str], cells: list[str], image: ImageFile | None
    ) -> None:
        for name, cell in zip(names, cells, strict=True):
            if is_nothing(cell):
                self.empty += 1
                label.runs.setdefault(name, [])
            elif (path := self.found(cell, image)) is None:
                label.error = f"its mask {cell} is not there, or several are, in {self.folder}"
            elif (other := label.files.setdefault(name, path)) != path:
                label.error = f"its rows name two masks, {other.name} and {path.name}: keep one"

    def found(self, cell: str, image: ImageFile | None) -> Path | None:
        """By the path as it is, else by as many of its last parts as tell it; never the image."""
        if Path(cell).is_absolute() and isfile(cell):
            return Path(cell)
        own = image.path if image else None
        ends = tails(composed(cell))
        if not ends:
            return None
        if len(ends) > 1 and ends[-2][0] in self.folders:
            ends.pop()  # its folder is here: what is not in it is missing
        for parts in ends:
            for place in (self.folder, self.folder.parent):
                path = place.joinpath(*parts)
                if path != own and isfile(path):
                    return path
            fitting = [path for path in self.by_end.get(parts, [])[:3] if path != own]
            if fitting:
                return fitting[0] if len(fitting) == 1 else None
        return None

    def say_empty(self, origin: str) -> None:
        if self.empty:
            print(f"{origin}: {self.empty} rows name no mask file: their masks are empty")


class Readers:
    """Who marked which class of an image, where a column tells."""

    def __init__(self, table: pd.DataFrame, config: Config) -> None:
        used = {config.image_column, config.rle_mask_column, config.class_name_column}
        used |= {config.group_fold_column, config.fold_column}
        self.columns = [c for c in table.columns if READER.fullmatch(small(c)) and c not in used]
        self.marks: dict[str, list[tuple[str, str]]] = {}

    def add(self, image: str, label: Label, names: list[str], row: dict[str, str]) -> None:
        """Two readers of one class make an error of the label: their masks are no parts of one."""
        reader = ", ".join(filter(None, (str(row[column]) for column in self.columns)))
        marks = self.marks.setdefault(image, [])
        for name in names:
            for other, marked in marks:
                if reader and other != reader and (name == marked or "" in (name, marked)):
                    label.error = (
                        f"two readers marked it, {other} and {reader} (by the column "
                        f"{', '.join(self.columns)}): keep the rows of one"
                    )
            if reader:
                marks.append((reader, name))
