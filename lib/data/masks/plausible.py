"""Whether masks can be what somebody marked: inverted ones, outlines, dots, copies."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from lib import rle
from lib.config.fields import Config
from lib.data.masks import fitting
from lib.data.masks.box import box_of
from lib.data.masks.holes import filled
from lib.data.pictures.arrays import Grey
from lib.runtime.errors import InputError

WHOLE = 0.9  # of a picture's border inside of a mask: the mask is that of the background
HALF = 0.5  # of the picture, likewise
NARROW = 5  # pixels: a line is nowhere as wide
HOLLOW = 3  # times its own area are inside of a closed line
DOT = 4  # pixels, which no nerve is smaller than
MOST = 0.5  # of the masks: what these are is told of the set
ENOUGH = 5  # masks that are all alike are no chance

Row = dict[str, Any]


class Shape(NamedTuple):
    """What is measured of one mask."""

    area: int  # pixels; 0 for an empty one
    cover: float  # share of the picture
    border: float  # share of the picture's border that is in it
    line: bool  # it is nowhere NARROW pixels wide
    inside: int  # pixels of the mask with what it encloses; only of a line


def measured(mask: Grey) -> Shape:
    """Mask uint8 0/1 (height, width)."""
    area = int(np.count_nonzero(mask))
    if not area:
        return Shape(0, 0.0, 0.0, False, 0)
    border = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
    there = mask[box_of(mask)]
    thick = cv2.erode(there, np.ones((NARROW, NARROW), np.uint8), borderValue=0).any()
    inside = area if thick else int(np.count_nonzero(filled(there)))
    return Shape(area, area / mask.size, float(border.mean()), not thick, inside)


def judged(rows: Sequence[Row], columns: Sequence[str], config: Config) -> list[str]:
    """What is doubtful about the masks, each a sentence.

    Rows have `shapes`, a Shape a column, and `fits` (lib/data/masks/fitting.py).

    Fills outlines, where most masks are, or as fill_outlines says. InputError for masks that are
    those of the background.
    """
    doubts = []
    for number, column in enumerate(columns):
        shapes = [(row, row["shapes"][number]) for row in rows]
        there = [(row, shape) for row, shape in shapes if shape.area]
        _require_foreground(there, config)
        doubts += _filled_outlines(there, column, config)
        doubts += _dots(there)
        texts = {row[column] for row, _ in there}
        if len(there) >= ENOUGH and len(texts) == 1:
            doubts.append(f"all {len(there)} masks{_of(column)} are alike, pixel by pixel")
        if rows and not there:
            doubts.append(f"no image has a mask{_of(column)}")
    doubts += fitting.doubts_of([fit for row in rows for fit in row["fits"]])
    for doubt in doubts:
        print(f"WARNING: {doubt}")
    return doubts


def _of(column: str) -> str:
    name = column.removeprefix("rle_mask").removeprefix("_")
    return f" of {name}" if name else ""


def _require_foreground(there: Sequence[tuple[Row, Shape]], config: Config) -> None:
    """InputError where masks cover the border and most of their pictures."""
    inverted = [row for row, shape in there if shape.cover > HALF and shape.border > WHOLE]
    if not inverted:
        return
    names = ", ".join(row["image"] for row in inverted[:3])
    many = f"{len(inverted)} of {len(there)} masks"
    what = f"{many} cover their picture's border and more than half of it, such as {names}: "
    if config.invert_masks:
        raise InputError(f"{what}set invert_masks=false, or correct those that differ")
    if len(inverted) < MOST * len(there):
        raise InputError(f"{what}these are inverted beside the others: correct them")
    raise InputError(
        f"{what}they show the background, as where a nerve is black on white: set invert_masks=true"
    )


def _filled_outlines(there: Sequence[tuple[Row, Shape]], column: str, config: Config) -> list[str]:
    lines = [row for row, shape in there if shape.line and shape.inside >= HOLLOW * shape.area]
    if not lines:
        return []
    fill = config.fill_outlines == "always" or (
        config.fill_outlines == "auto" and len(lines) >= MOST * len(there)
    )
    names = ", ".join(row["image"] for row in lines[:3])
    if not fill:
        return [
            f"{len(lines)} of {len(there)} masks are closed lines and not areas, such as {names} "
            "(fill_outlines=always fills them)"
        ]
    for row in lines:
        mask = rle.decode(row[column], (row["height"], row["width"]), row["image"])
        row[column] = rle.encode(filled(mask))
    print(
        f"outlines       {len(lines)} of {len(there)} masks are closed lines, such as {names}: "
        "they are filled (fill_outlines=never leaves them)"
    )
    return []


def _dots(there: Sequence[tuple[Row, Shape]]) -> list[str]:
    dots = [row["image"] for row, shape in there if shape.area <= DOT]
    if not dots:
        return []
    names = ", ".join(dots[:3])
    return [f"{len(dots)} of {len(there)} masks have {DOT} pixels or fewer, such as {names}"]
