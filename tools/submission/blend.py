"""Several submissions of the same images -> one, by a vote on every pixel."""

from collections.abc import Mapping, Sequence

import numpy as np

from lib import rle
from lib.artifacts.submission import Table
from lib.runtime.errors import InputError
from lib.runtime.progress import progress
from tools.submission.check import SHAPE, Shape
from tools.submission.faults import Fault, listed, named


def blended(
    tables: Sequence[Table], weights: Sequence[int], votes: int, shape: Shape = SHAPE
) -> Table:
    """The pixels that at least `votes` of the votes call nerve; `weights` are each table's votes.

    All tables have the same keys; the result has the order of the first.
    """
    result = {}
    for key in progress(tables[0], "blending"):
        counts = np.zeros(shape, dtype=np.int32)
        for table, weight in zip(tables, weights, strict=True):
            if table[key]:
                counts += rle.decode(table[key], shape) * np.int32(weight)
        result[key] = rle.encode(counts >= votes)
    return result


def require_same_images(tables: Mapping[str, Table]) -> None:
    """InputError that names the images which one of the tables, by their names, has alone."""
    (name, first), *others = tables.items()
    for other, table in others:
        if first.keys() != table.keys():
            alone = {name: first.keys() - table.keys(), other: table.keys() - first.keys()}
            faults = [
                Fault(f"only in {whose}", named(key))
                for whose, keys in alone.items()
                for key in sorted(keys)
            ]
            raise InputError(f"{name} and {other} are of different images:\n{listed(faults)}")
