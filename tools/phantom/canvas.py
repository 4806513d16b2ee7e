"""The canvas that tissue is drawn on, and its coordinates.

It is wider and deeper than a frame, and has every second column only: the beam is twice as wide as
it is long, so nothing is lost. Coordinates are pixels of the frame everywhere.
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.runtime.portable import cubic, resampled

# float32 all through; OpenCV's stubs know no more than "an array".
Array = npt.NDArray[Any]

Picture = npt.NDArray[np.uint8]

Random = np.random.Generator

HEIGHT, WIDTH = 420, 580

# The canvas: a pixel is STEP columns of the frame, and its first column lies MARGIN left of it.
ROWS, COLUMNS, STEP, MARGIN = 440, 330, 2, 40

# Independent places along the neck, between which tissue is blended; looks that a frame averages.
PLANES, LOOKS = 4, 6


@cache
def grid() -> tuple[Array, Array]:
    """Rows and columns (ROWS, COLUMNS) of the canvas, in pixels of the frame."""
    rows = np.arange(ROWS, dtype=np.float32)[:, None].repeat(COLUMNS, axis=1)
    columns = (np.arange(COLUMNS, dtype=np.float32) * STEP - MARGIN)[None].repeat(ROWS, axis=0)
    return rows, columns


def spread(knots: Array) -> Array:
    """A smooth field (ROWS, COLUMNS) through coarse knots."""
    rows, columns = knots.shape
    wide = resampled(knots.T, (np.arange(COLUMNS) + 0.5) * (columns / COLUMNS) - 0.5, cubic)
    return resampled(wide.T, (np.arange(ROWS) + 0.5) * (rows / ROWS) - 0.5, cubic)
