"""A mask of COCO, held against what its annotation tells besides: its area and its box."""

from typing import Any

import numpy as np
from pycocotools import mask as coco

from lib.data.formats.parts.coco_mask import masks_of_polygons
from lib.rle import Mask

SMALL = 16  # pixels of area below which, and
NARROW = 4  # pixels of a side up to which a pixel of the outline counts for too much


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


def require_no_hole(mask: Mask, annotation: dict[str, Any]) -> None:
    """ValueError where a polygon lies on others, and the area is as if it were a hole in them.

    COCO has no holes: all polygons of an annotation are areas.
    """
    polygons, area = annotation.get("segmentation"), float(annotation.get("area") or 0)
    if not isinstance(polygons, list) or len(polygons) < 2 or area <= SMALL:
        return
    union = int(mask.sum())
    twice = sum(int(one.sum()) for one in masks_of_polygons(polygons, mask.shape)) - union
    if twice > SMALL and abs(area - (union - twice)) < abs(area - union):
        raise ValueError(f"its polygons hold {union} pixels, its area is {area:g}: has it a hole?")
