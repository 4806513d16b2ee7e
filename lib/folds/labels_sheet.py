"""labels.png: sixteen images with their labels outlined, to look at before anything is trained."""

import math

import pandas as pd
from PIL import Image, ImageDraw

from lib.artifacts.folds import mask_areas, masks_in
from lib.folds.outlined import COLOURS, GAP, LINE, PANEL, outlined

DRAWN, A_ROW = 16, 4
WIDTH = 40  # letters that fit above a panel


def sheet(table: pd.DataFrame) -> Image.Image:
    """The `chosen` images, each with its name and the area of its masks; colours are classes.

    `table` has columns image, file, height, width, group and those of run lengths.
    """
    rows = chosen(table)
    high = math.ceil(len(rows) / A_ROW)
    size = (A_ROW * (PANEL[0] + GAP) + GAP, LINE + high * (PANEL[1] + LINE + GAP) + GAP)
    page = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(page)
    for number, column in enumerate(masks_in(table)):
        name = column.removeprefix("rle_mask").removeprefix("_") or "nerve"
        place = (GAP + number * PANEL[0] // 2, 2)
        pen.rectangle((place[0], 4, place[0] + 10, 14), fill=COLOURS[number % len(COLOURS)])
        pen.text((place[0] + 16, 2), name[:20], "black")
    for number, (_, row) in enumerate(rows.iterrows()):
        down, along = divmod(number, A_ROW)
        left, top = GAP + along * (PANEL[0] + GAP), LINE + down * (PANEL[1] + LINE + GAP)
        share = 100 * row["area"]
        words = f"{row['image'][-WIDTH:]}  {f'{share:.1f} %' if share else 'no mask'}"
        pen.text((left, top + 2), words, "black")
        page.paste(Image.fromarray(outlined(row)), (left, top + LINE))
    return page


def chosen(table: pd.DataFrame) -> pd.DataFrame:
    """At most DRAWN rows of many people: empty ones, the smallest, the largest, some between.

    With a column `area`, the share of the picture that is masked.
    """
    ranked = table.assign(area=_area(table)).sort_values(["area", "image"], kind="stable")
    empty, there = ranked[ranked["area"] == 0], ranked[ranked["area"] > 0]
    few = min(len(empty), max(DRAWN // 4, DRAWN - len(there)))
    left = DRAWN - few
    small = _in_turn(there).head(left // 4)
    large = _in_turn(there.drop(small.index).iloc[::-1]).head(left // 4)
    rest = _in_turn(there.drop(small.index).drop(large.index).sample(frac=1, random_state=0))
    rows = pd.concat([_in_turn(empty).head(few), small, large, rest.head(left - 2 * (left // 4))])
    return rows.sort_values(["area", "image"], kind="stable")


def _in_turn(rows: pd.DataFrame) -> pd.DataFrame:
    """The first row of each group, then the second of each."""
    turn = rows.groupby("group").cumcount()
    return rows.loc[turn.sort_values(kind="stable").index]


def _area(table: pd.DataFrame) -> pd.Series:
    """Share of each picture that all its masks cover together."""
    pixels = sum(mask_areas(table, column) for column in masks_in(table))
    return pd.Series(pixels, table.index) / (table["height"] * table["width"]).astype(float)
