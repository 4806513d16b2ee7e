"""Whether masks can be what somebody marked: inverted ones, outlines, dots, copies."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import cv2
import numpy as np

from lib import rle
from lib.config.fields import Config
from lib.data.masks import fitting, shifts
from lib.data.masks.box import box_of
from lib.data.masks.holes import filled
from lib.data.pictures.arrays import Grey
from lib.runtime.errors import InputError

WHOLE = 0.9  # of a picture's border inside of a mask: the mask is that of the background
HALF = 0.5  # of the picture, likewise
NARROW = 5  # pixels: a line is nowhere as wide
HOLLOW = 3  # times its own area are inside of a closed line
FULL = 0.9  # of the narrowest box around a mask that is in it: an ellipse has 0.79
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
    box: bool  # it is a rectangle, perhaps a turned one


def measured(mask: Grey) -> Shape:
    """Mask uint8 0/1 (height, width)."""
    area = int(np.count_nonzero(mask))
    if not area:
        return Shape(0, 0.0, 0.0, False, 0, False)
    border = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
    there = mask[box_of(mask)]
    thick = cv2.erode(there, np.ones((NARROW, NARROW), np.uint8), borderValue=0).any()
    inside = area if thick else int(np.count_nonzero(filled(there)))
    _, sides, _ = cv2.minAreaRect(cv2.findNonZero(there))  # from centre to centre of its pixels
    box = thick and area > FULL * (sides[0] + 1) * (sides[1] + 1)
    return Shape(area, area / mask.size, float(border.mean()), not thick, inside, bool(box))


def judged(rows: Sequence[Row], columns: Sequence[str], config: Config) -> list[str]:
    """What is doubtful about the masks, each a sentence.

    Rows have `shapes`, a Shape a column, `fits` (lib/data/masks/fitting.py), and `places`, one a
    column (lib/data/masks/shifts.py).

    Fills outlines, where most masks are, or as fill_outlines says. InputError for masks that are
    those of the background.
    """
    doubts = []
    for number, column in enumerate(columns):
        shapes = [(row, row["shapes"][number]) for row in rows]
        there = [(row, shape) for row, shape in shapes if shape.area]
        _require_foreground(there, config)
        doubts += _filled_outlines(there, column, config)
        doubts += _dots(there, column) + _boxes(there, column)
        placed = [(row["subject"], row["places"][number]) for row in rows]
        doubts += shifts.doubts_of(placed, _of(column))
        texts = {row[column] for row, _ in there}
        if len(there) >= ENOUGH and len(texts) == 1:
            doubts.append(f"all {len(there)} masks{_of(column)} are alike, pixel by pixel")
        if rows and not there:
            doubts.append(f"no image has a mask{_of(column)}")
    _say_overlap(rows, columns)
    fitted = [(fit, row["subject"]) for row in rows for fit in row["fits"]]
    doubts += fitting.doubts_of([fit for fit, _ in fitted], [person for _, person in fitted])
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
            f"{len(lines)} of {len(there)} masks{_of(column)} are closed lines and not areas, such "
            f"as {names} (fill_outlines=always fills them)"
        ]
    for row in lines:
        mask = rle.decode(row[column], (row["height"], row["width"]), row["image"])
        row[column] = rle.encode(filled(mask))
    print(
        f"outlines       {len(lines)} of {len(there)} masks{_of(column)} are closed lines, such as "
        f"{names}: they are filled (fill_outlines=never leaves them)"
    )
    return []


def _say_overlap(rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Where a filled outline of one class holds another class, as nested ones do."""
    for first, second in combinations(range(len(columns)), 2):
        names = [columns[place] for place in (first, second)]
        lines = [row for row in rows if any(row["shapes"][k].line for k in (first, second))]
        both = [row for row in lines if all(row[name] for name in names)]
        if shared := [row for row in both if _overlap(row, names)]:
            print(
                f"outlines       {' and'.join(map(_of, names)).strip()} overlap where they are "
                f"filled, in {len(shared)} images such as {shared[0]['image']}: their pixels "
                "count for both"
            )


def _overlap(row: Row, columns: Sequence[str]) -> bool:
    shape = row["height"], row["width"]
    first, second = (rle.decode(row[column], shape, row["image"]) for column in columns)
    return bool((first & second).any())


def _dots(there: Sequence[tuple[Row, Shape]], column: str) -> list[str]:
    dots = [row["image"] for row, shape in there if shape.area <= DOT]
    if not dots:
        return []
    names = ", ".join(dots[:3])
    many = f"{len(dots)} of {len(there)} masks{_of(column)}"
    return [f"{many} have {DOT} pixels or fewer, such as {names}"]


def _boxes(there: Sequence[tuple[Row, Shape]], column: str) -> list[str]:
    boxes = [row["image"] for row, shape in there if shape.box]
    if len(boxes) < ENOUGH or len(boxes) < MOST * len(there):
        return []
    names = ", ".join(boxes[:3])
    many = f"{len(boxes)} of {len(there)} masks{_of(column)}"
    return [f"{many} are rectangles, such as {names}: boxes, no outlines"]
