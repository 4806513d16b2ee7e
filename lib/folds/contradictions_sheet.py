"""contradictions.png: the worst pairs of near-duplicates whose labels disagree, side by side."""

import math
from typing import Any

import pandas as pd
from PIL import Image, ImageDraw

from lib.folds.outlined import GAP, LINE, PANEL, outlined

PAIRS_DRAWN, PAIRS_A_ROW = 12, 2


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
        page.paste(Image.fromarray(outlined(rows.loc[image])), (left, top + LINE))
        left += PANEL[0] + GAP
