"""Small pictures by which near-duplicates are found: thumbnails, and the texture in them.

Ultrasound frames are alike as a whole: bright on top, dark below. So an image is compared by its
texture alone: a thumbnail without its coarse layout, every place at the same contrast (local
contrast normalisation: Jarrett et al., ICCV 2009, section 2.1).
"""

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

Grey = npt.NDArray[np.uint8]
Texture = npt.NDArray[np.int8]  # SHAPE

SHAPE = (96, 128)

# Sigmas in pixels of the thumbnail: the blur makes half a pixel of movement harmless, the larger
# one is what counts as coarse layout.
FINE, COARSE = 1.0, 5.0

# Share of the image's own contrast below which a place counts as flat: its noise is not amplified.
FLAT = 0.3

# Textures are kept in whole steps, 8 bits a pixel; their standard deviation is about 17 steps.
# float32 adds products of whole numbers without rounding (up to 2**24), so in any order alike.
STEP = 1 / 24


def thumbnail(image: Grey) -> Grey:
    """Image (height, width) of any size, squashed to SHAPE by the mean over areas."""
    # Pillow works in one thread, the caller's, and its mean is the same on every processor.
    small = Image.fromarray(image).resize(SHAPE[::-1], Image.Resampling.BOX)
    return np.asarray(small)


def texture(image: Grey) -> Texture:
    """That of the image's thumbnail, SHAPE, in STEPs; all 0 for an image of one grey value."""
    small = thumbnail(image)
    if small.min() == small.max():
        return np.zeros(SHAPE, dtype=np.int8)
    fine = cv2.GaussianBlur(small.astype(np.float32), (0, 0), FINE)
    detail = fine - cv2.GaussianBlur(fine, (0, 0), COARSE)
    contrast = np.sqrt(cv2.GaussianBlur(detail**2, (0, 0), COARSE))
    even = detail / (contrast + np.float32(FLAT) * detail.std())
    return np.rint(even / STEP).clip(-127, 127).astype(np.int8)
