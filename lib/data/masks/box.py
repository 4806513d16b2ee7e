"""Where in a picture a mask lies: most of a picture holds nothing, and need not be looked at."""

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.uint8]


def box_of(mask: Mask, margin: int = 0) -> tuple[slice, slice]:
    """Rows and columns of the box around it, wider by `margin` pixels where the picture is.

    uint8 (height, width); of an empty mask nothing but the margin.
    """
    left, top, width, height = cv2.boundingRect(mask)
    rows = slice(max(0, top - margin), top + height + margin)
    return rows, slice(max(0, left - margin), left + width + margin)
