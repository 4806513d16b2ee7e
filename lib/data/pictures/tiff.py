"""TIFFs of fractions with 64 bits, which Pillow does not open.

It needs nothing else of lib: tools/scoring/export.py copies it into scoring pipelines.
"""

import io
import re
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL.TiffImagePlugin import ImageFileDirectory_v2

BEGINNING = rb"II[*+]\0|MM\0[*+]"
WIDTH, HEIGHT, BITS, CHANNELS = 256, 257, 258, 277  # tags


def fractions_of_64_bits(
    content: bytes, require_small: Callable[[int, int], None]
) -> npt.NDArray[Any] | None:
    """float32 (height, width) of the first picture of a TIFF; None where it holds no such.

    `require_small` raises for a height and width that would fill the memory.
    """
    if not re.match(BEGINNING, content):
        return None
    tags = _tags_of(content)
    if tags.get(BITS) != (64,) or tags.get(CHANNELS, 1) != 1:
        return None
    require_small(int(tags[HEIGHT]), int(tags[WIDTH]))  # OpenCV reads it at any size
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.float64 or found.ndim != 2:
        return None
    return found.astype(np.float32)


def _tags_of(content: bytes) -> ImageFileDirectory_v2:
    """Of the first picture; nothing is decoded."""
    file = io.BytesIO(content)
    tags = ImageFileDirectory_v2(file.read(16 if content[2:4] in (b"+\0", b"\0+") else 8))
    file.seek(tags.next)
    tags.load(file)
    return tags
