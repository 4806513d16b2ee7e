"""contradictions.png: the worst pairs of near-duplicates whose labels disagree, side by side."""

import math
from typing import Any

import cv2
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from lib import rle
from lib.artifacts.folds import masks_in
from lib.data.pictures import Grey, ImageFile, read_image

PAIRS_DRAWN, PAIRS_A_ROW = 12, 2
PANEL = (290, 210)  # width and height of a frame on the sheet
LINE, GAP = 18, 6
COLOURS = [(255, 210, 0), (0, 200, 255), (255, 90, 200), (120, 255, 90)]  # one a class


def sheet(table: pd.DataFrame, found: pd.DataFrame) -> Image.Image:
    """The worst pairs, PAIRS_A_ROW in a row, each frame with the outline of its mask.

    `table` has a column file beside image and those of run lengths.
    """
    rows = table.set_index("image")
    worst = found.head(PAIRS_DRAWN).to_dict("records")
    width, height = 2 * PANEL[0] + 3 * GAP, PANEL[1] + LINE + 2 * GAP
    size = (width * PAIRS_A_ROW, height * math.ceil(len(worst) / PAIRS_A_ROW))
    page = Image.new("RGB", size, "white")
    for number, pair in enumerate(worst):
        down, along = divmod(number, PAIRS_A_ROW)
        _draw_pair(page, (along * width + GAP, down * height + GAP), pair, rows)
    return page


def _draw_pair(
    page: Image.Image, place: tuple[int, int], pair: dict[str, Any], rows: pd.DataFrame
) -> None:
    """`place` is x and y of the pair's upper left corner, `rows` the table by image."""
    left, top = place
    text = f"{pair['image']}    similarity {pair['similarity']:.3f}, Dice {pair['dice']:.2f}"
    for image, words in ((pair["image"], text), (pair["twin"], pair["twin"])):
        ImageDraw.Draw(page).text((left, top + 2), words, "black")
        page.paste(Image.fromarray(_outlined(rows.loc[image])), (left, top + LINE))
        left += PANEL[0] + GAP


def _outlined(row: pd.Series) -> Grey:
    """The frame of a table's row at the size of a PANEL, RGB, with the outlines of its masks."""
    file: ImageFile = row["file"]
    picture = cv2.resize(read_image(file), PANEL, interpolation=cv2.INTER_AREA)
    colour = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    for number, column in enumerate(masks_in(row.to_frame().T)):
        mask = rle.decode(row[column], (row["height"], row["width"]))
        small = cv2.resize(mask, PANEL, interpolation=cv2.INTER_NEAREST_EXACT)
        lines, _ = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(colour, lines, -1, COLOURS[number % len(COLOURS)], 1)
    return np.asarray(colour, dtype=np.uint8)
