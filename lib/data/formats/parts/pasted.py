"""Masks that tools write as a small picture, and where in the image it lies."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from lib.data.label import require_size
from lib.data.pictures.rasters import DAMAGED
from lib.rle import Mask


def picture_mask(data: bytes) -> npt.NDArray[np.bool_]:
    """A PNG -> bool (height, width): what is not transparent or, without transparency, not 0.

    Raises ValueError for what is no picture.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            require_size((image.height, image.width))
            clear = image.has_transparency_data
            values = np.asarray(image.convert("RGBA").getchannel("A") if clear else image)
    except DAMAGED as error:
        raise ValueError(f"its mask is no PNG: {error}") from None
    return np.asarray(values.any(axis=2) if values.ndim == 3 else values > 0)


def pasted(part: npt.NDArray[np.generic], left: int, top: int, size: tuple[int, int]) -> Mask:
    """A mask of `size` (height, width), in which the first pixel of `part` lies at left, top."""
    require_size(size)
    mask = np.zeros(size, dtype=np.uint8)
    place = mask[max(top, 0) : top + part.shape[0], max(left, 0) : left + part.shape[1]]
    if place.shape != part.shape:
        raise ValueError("its mask leaves the image")
    place[:] = part
    return mask
