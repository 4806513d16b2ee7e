"""What a mask encloses."""

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.uint8]


def filled(mask: Mask) -> Mask:
    """What no path along pixels' sides reaches from outside becomes part of the mask.

    So a line encloses an area where it touches itself at corners only. uint8 0/1 (height, width).
    """
    outside = np.pad(1 - mask, 1, constant_values=1)
    _, labels = cv2.connectedComponents(outside, connectivity=4)
    return (labels[1:-1, 1:-1] != labels[0, 0]).astype(np.uint8)
