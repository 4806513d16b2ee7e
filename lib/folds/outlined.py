"""A frame with the outlines of its masks, for the sheets that 01 draws; how a sheet is saved."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from lib import rle
from lib.artifacts.folds import masks_in
from lib.data.pictures.arrays import ImageFile, required_image
from lib.runtime.files import written_whole

PANEL = (290, 210)  # width and height of a frame on a sheet
LINE, GAP = 18, 6  # the height of a line of text; the space between panels
COLOURS = [(255, 210, 0), (0, 200, 255), (255, 90, 200), (120, 255, 90)]  # one a class


def outlined(row: pd.Series) -> npt.NDArray[np.uint8]:
    """RGB (height, width, 3) of a PANEL: the frame of a table's row as large as fits into it.

    The row has file, height, width and columns of run lengths.
    """
    file: ImageFile = row["file"]
    scale = min(PANEL[0] / row["width"], PANEL[1] / row["height"])
    size = max(1, round(scale * row["width"])), max(1, round(scale * row["height"]))
    colour = cv2.cvtColor(
        cv2.resize(required_image(file), size, interpolation=cv2.INTER_AREA), cv2.COLOR_GRAY2RGB
    )
    for number, column in enumerate(masks_in(row.to_frame().T)):
        mask = rle.decode(row[column], (row["height"], row["width"]))
        small = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT)
        lines, _ = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(colour, lines, -1, COLOURS[number % len(COLOURS)], 1)
    panel = np.zeros((PANEL[1], PANEL[0], 3), dtype=np.uint8)
    top, left = (PANEL[1] - size[1]) // 2, (PANEL[0] - size[0]) // 2
    panel[top : top + size[1], left : left + size[0]] = colour
    return panel


def save_sheet(path: Path, sheet: Image.Image) -> None:
    with written_whole(path) as file:
        # The default, 6, takes three times as long and gives a larger file.
        sheet.save(file, "PNG", compress_level=3)
