"""A probability file made in pieces: by several processes, and with an end that may come any time.

Each piece is a probability file of its own, in a hidden folder beside the target, and whole or not
there. Processes share the pieces that are missing; when none is, the first process joins them.
"""

import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from lib.artifacts.npz import Packed
from lib.artifacts.probabilities import Looks, Probabilities, ProbabilityWriter, is_sound
from lib.runtime.files import sha_of, written_whole
from lib.runtime.processes import gathered, number_of_processes, of_first, rank
from lib.runtime.progress import progress

IMAGES_A_PIECE = 64  # about: a whole number of batches, so that pieces do not change what they hold


class Member(NamedTuple):
    """One image of a probability file."""

    packed: Packed
    presence: npt.NDArray[np.float32]  # (classes,)
    looks: Looks | None


Make = Callable[[pd.DataFrame], Iterator[Member]]  # for each row of a table, in its order


def is_whole(path: Path, provenance: dict[str, Any]) -> bool:
    """Whether the file is there and was made from this (and what followed from it)."""
    if not path.is_file():
        return False
    with Probabilities(path) as probabilities:
        found = probabilities.provenance
    return {name: found.get(name) for name in provenance} == provenance


def write_in_pieces(
    path: Path, provenance: dict[str, Any], images: pd.DataFrame, batch_size: int, make: Make
) -> int:
    """The probability file of the images; returns how many of them were not there yet.

    Of several processes each makes its share. The bytes do not depend on their number, nor on how
    often the work was cut off.
    """
    size = batch_size * math.ceil(IMAGES_A_PIECE / batch_size)
    names = images["image"].tolist()
    folder = of_first(lambda: _folder(path, [provenance, names, size]))
    pieces = [_Piece(folder / f"{at}.npz", at, size) for at in range(0, len(images), size)]
    missing = of_first(lambda: [piece for piece in pieces if not is_sound(piece.path)])
    own = missing[rank() :: number_of_processes()]
    if own:
        _make_pieces(own, images, path.stem, make)
    gathered(None)  # all are done
    of_first(lambda: _join(path, provenance, pieces))
    return sum(len(piece.of(images)) for piece in missing)


def remove_pieces(path: Path, but: Path | None = None) -> None:
    """Deletes what killed runs, of other models or settings too, left beside the file."""
    for folder in path.parent.glob(f".{path.name}.*"):
        if folder.is_dir() and folder != but:
            shutil.rmtree(folder)


class _Piece(NamedTuple):
    path: Path
    start: int  # the first row
    size: int  # rows, or fewer at the end

    def of(self, images: pd.DataFrame) -> pd.DataFrame:
        return images.iloc[self.start : self.start + self.size]


def _folder(path: Path, about: list[Any]) -> Path:
    """Where the pieces are kept that go with this; deletes those of others.

    The order of the images belongs to it: a piece holds those of certain rows.
    """
    text = json.dumps(about, sort_keys=True)
    folder = path.with_name(f".{path.name}.{sha_of(text.encode())}")
    remove_pieces(path, but=folder)
    return folder


def _make_pieces(pieces: list[_Piece], images: pd.DataFrame, title: str, make: Make) -> None:
    tables = [piece.of(images) for piece in pieces]
    members = make(pd.concat(tables, ignore_index=True))
    if number_of_processes() > 1:
        title = f"{title}, a share of {number_of_processes()}"
    with progress(title=title, total=sum(map(len, tables)), shown=rank() == 0) as bar:
        for piece, table in zip(pieces, tables, strict=True):
            with written_whole(piece.path) as file, ProbabilityWriter(file, {}) as writer:
                for _ in range(len(table)):
                    writer.add_packed(*next(members))
                    bar.update()


def _join(path: Path, provenance: dict[str, Any], pieces: list[_Piece]) -> None:
    with written_whole(path, summed=True) as file, ProbabilityWriter(file, provenance) as writer:
        for piece in pieces:
            writer.add_all_of(piece.path)
    remove_pieces(path)
