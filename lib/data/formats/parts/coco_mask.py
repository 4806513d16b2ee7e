"""A segmentation of COCO -> a mask."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from pycocotools import mask as coco

from lib.data.formats.parts.polygon import filled
from lib.data.label import require_size
from lib.rle import Mask


def coco_mask(segmentation: Any, size: tuple[int, int]) -> Mask:
    """A segmentation of COCO -> mask uint8 0/1 of `size` (height, width).

    Raises ValueError, TypeError or KeyError for what is none: pycocotools trusts what it is given.
    """
    require_size(size)
    if isinstance(segmentation, list):
        return _of_polygons(segmentation, size)
    if not isinstance(segmentation, dict):
        raise ValueError("a list of polygons or run lengths were expected")
    if tuple(segmentation["size"]) != size:
        raise ValueError(f"its size is {segmentation['size']}, the image's {list(size)}")
    counts = segmentation["counts"]
    lengths = _coco_counts(counts) if isinstance(counts, str) else counts
    if min(lengths) < 0 or sum(lengths) != size[0] * size[1]:
        raise ValueError(f"its run lengths cover {sum(lengths)} of {size[0] * size[1]} pixels")
    runs = coco.frPyObjects({"size": list(size), "counts": lengths}, *size)
    return np.asarray(coco.decode(runs), dtype=np.uint8)


def _of_polygons(polygons: list[Any], size: tuple[int, int]) -> Mask:
    masks = [np.zeros(size, dtype=np.uint8), *masks_of_polygons(polygons, size)]
    return np.bitwise_or.reduce(masks)


def masks_of_polygons(polygons: list[Any], size: tuple[int, int]) -> Iterator[Mask]:
    """Polygons as [x, y, x, y, ...], in a list or, of one, without it."""
    if polygons and not any(isinstance(polygon, list) for polygon in polygons):
        polygons = [polygons]
    for polygon in polygons:
        if len(polygon) % 2:
            raise ValueError(f"a polygon has {len(polygon)} numbers, and not x, y, x, y, ...")
        yield filled(np.reshape(polygon, (-1, 2)), size)


def _coco_counts(text: str) -> list[int]:
    """The run lengths that COCO writes as a text, of which pycocotools checks nothing.

    Five bits a letter, the lowest first, a sixth where more follow; from the fourth length on the
    difference to the last but one (rleToString in COCO's maskApi.c).
    """
    lengths: list[int] = []
    number, shift = 0, 0
    for letter in text.encode("ascii"):
        bits = letter - 48
        number |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        number -= (1 << shift) if bits & 0x10 else 0
        lengths.append(number + (lengths[-2] if len(lengths) > 2 else 0))
        number, shift = 0, 0
    if shift:
        raise ValueError("its run lengths end in the middle of a number")
    return lengths
