"""Small pictures by which near-duplicates are found."""

import numpy as np
import numpy.typing as npt
from PIL import Image

Grey = npt.NDArray[np.uint8]

SHAPE = (96, 128)


def thumbnail(image: Grey) -> Grey:
    """Image (height, width) of any size, squashed to SHAPE by the mean over areas."""
    # Pillow works in one thread, the caller's, and its mean is the same on every processor.
    small = Image.fromarray(image).resize(SHAPE[::-1], Image.Resampling.BOX)
    return np.asarray(small)
