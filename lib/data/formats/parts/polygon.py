"""Outlines of points -> masks, for every format that has them."""

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

from lib.data.label import require_size
from lib.rle import Mask

Outline = npt.NDArray[np.float64]
ANGLES = np.linspace(0, 2 * np.pi, 360, endpoint=False)


def filled(points: npt.ArrayLike, size: tuple[int, int]) -> Mask:
    """Outline (n, 2) of x and y in pixels -> mask uint8 0/1 of `size` (height, width).

    The image's corner is 0, 0 and the centre of its first pixel 0.5, 0.5; drawn as COCO does it.
    Raises ValueError or TypeError for what is no outline in an image of this size.
    """
    require_size(size)
    outline = np.asarray(points, dtype=np.float64)
    if outline.ndim != 2 or outline.shape[1] != 2 or len(outline) < 3:
        raise ValueError("an outline is made of x and y, and of three points or more")
    _require_inside(outline, size)
    runs = coco.merge(coco.frPyObjects([outline.ravel().tolist()], *size))
    return np.asarray(coco.decode(runs), dtype=np.uint8)


def _require_inside(outline: Outline, size: tuple[int, int]) -> None:
    """A little outside it may go; further away pycocotools would fill the memory."""
    corner = np.array(size[::-1])
    if not np.isfinite(outline).all():
        raise ValueError("a point of an outline is no number")
    far = ((outline < -corner) | (outline > 2 * corner)).any(axis=1)
    if far.any():
        x, y = outline[far][0]
        raise ValueError(f"a point at {x:g}, {y:g} is far outside of the image")
    if (outline.max(axis=0) <= 0).any() or (outline.min(axis=0) >= corner).any():
        raise ValueError("an outline is as a whole outside of the image")
    if size[0] * size[1] > 4 and outline.min() >= 0 and outline.max() <= 1:
        raise ValueError("an outline within one pixel: its points are shares of the image's size")


def ellipse(x: float, y: float, radius_x: float, radius_y: float, turned: float = 0) -> Outline:
    """The outline (360, 2) around the centre x, y; `turned` by degrees, clockwise on the screen."""
    turn = np.deg2rad(turned)
    across, down = radius_x * np.cos(ANGLES), radius_y * np.sin(ANGLES)
    points = [
        x + across * np.cos(turn) - down * np.sin(turn),
        y + across * np.sin(turn) + down * np.cos(turn),
    ]
    return np.stack(points, axis=1)
