"""A segmentation of COCO -> a mask, held against what its annotation tells besides."""

from typing import Any

import numpy as np
from pycocotools import mask as coco

from lib.data.formats.parts.polygon import filled
from lib.rle import Mask

SMALL = 16  # pixels of area below which, and
NARROW = 4  # pixels of a side up to which a pixel of the outline counts for too much


def coco_mask(segmentation: Any, size: tuple[int, int]) -> Mask:
    """A segmentation of COCO -> mask uint8 0/1 of `size` (height, width).

    Raises ValueError, TypeError or KeyError for what is none: pycocotools trusts what it is given.
    """
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
    """Polygons as [x, y, x, y, ...], in a list or, of one, without it."""
    mask = np.zeros(size, dtype=np.uint8)
    if polygons and not any(isinstance(polygon, list) for polygon in polygons):
        polygons = [polygons]
    for polygon in polygons:
        if len(polygon) % 2:
            raise ValueError(f"a polygon has {len(polygon)} numbers, and not x, y, x, y, ...")
        mask |= filled(np.reshape(polygon, (-1, 2)), size)
    return mask


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


def box_of(annotation: dict[str, Any]) -> list[float]:
    """Its bbox: left, top, width and height; [] where it has none with a size."""
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        return []
    box = [float(value) for value in box]
    return box if box[2] > 0 and box[3] > 0 else []


def require_as_told(mask: Mask, annotation: dict[str, Any]) -> None:
    """ValueError where the mask is far from the annotation's own area or bbox.

    Tools write 0, 0, 1, 1 for a bbox that they do not know, and a bbox's size for the area.
    """
    drawn, area, box = int(mask.sum()), float(annotation.get("area") or 0), box_of(annotation)
    of_box = box[2] * box[3] if box else 0
    if area > SMALL and not area / 2 <= drawn <= area * 2 and abs(area - of_box) > area / 100:
        raise ValueError(f"its outline holds {drawn} pixels, its area is {area:g}")
    if not box or min(box[2:]) <= NARROW or of_box < area / 2:
        return
    drawn_box = coco.toBbox(coco.encode(np.asfortranarray(mask)))
    if coco.iou(drawn_box[None], np.array([box]), [0])[0, 0] < 0.5:
        raise ValueError(
            f"its outline lies in the box {_listed(drawn_box)}, its bbox is {_listed(box)}"
        )


def _listed(box: Any) -> str:
    return ", ".join(f"{value:g}" for value in box)
