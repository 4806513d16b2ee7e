"""Whether masks lie beside what they mark, all of a set by the same few pixels.

A marked region is darker or brighter than what is around it, by the same sign in most images of a
set. This contrast across the outline is measured with the mask where it is, and moved by up to
FARTHEST pixels. Where masks lie right, it is largest near their own place.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from lib.data.pictures.arrays import Grey

WIDTH = 256  # pixels are those of pictures of this width; larger ones are made smaller
FARTHEST = 12
BAND = 4  # pixels to either side of the outline, of which the contrast is
# Outlines by experts have their best place up to 3 pixels off, in the mean of ten people; of fewer
# it is anywhere. So nothing is told below these.
FEWEST_PEOPLE = 10
NEAREST = 3.0
CERTAIN = 4.0  # standard errors over people
MORE = 0.2  # of the best contrast is missing where the masks are

Contrasts = npt.NDArray[np.float32]


class Place(NamedTuple):
    """The contrasts of one mask, by how far it is moved down and along."""

    contrasts: Contrasts  # (1 + 2 * FARTHEST, 1 + 2 * FARTHEST)
    pixel: float  # of the picture, in one of WIDTH


def places(picture: Grey, mask: Grey) -> Place | None:
    """Picture and mask uint8 (height, width); None for a mask without an inside or outside."""
    pixel = max(1.0, picture.shape[1] / WIDTH)
    if pixel > 1:
        size = (WIDTH, max(1, round(picture.shape[0] / pixel)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
        mask = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * BAND + 1, 2 * BAND + 1))
    inner, outer = mask - cv2.erode(mask, disc), cv2.dilate(mask, disc) - mask
    if not inner.any() or not outer.any():
        return None
    weights = inner / np.float32(inner.sum()) - outer / np.float32(outer.sum())
    down, along = (np.flatnonzero(weights.any(axis=axis)) for axis in (1, 0))
    top, bottom, left, right = down[0], down[-1] + 1, along[0], along[-1] + 1
    padded = np.pad(picture.astype(np.float32), FARTHEST, mode="edge")
    around = padded[top : bottom + 2 * FARTHEST, left : right + 2 * FARTHEST]
    if not (spread := around.std()):
        return None
    window = weights[top:bottom, left:right].astype(np.float32)
    return Place(cv2.matchTemplate(around, window, cv2.TM_CCORR) / spread, pixel)


def doubts_of(measured: Sequence[tuple[str, Place | None]], of_class: str = "") -> list[str]:
    """A sentence where most masks fit better elsewhere; each with its person, "" for nobody."""
    by_person: dict[str, list[Place]] = defaultdict(list)
    for person, place in measured:
        if person and place is not None:
            by_person[person].append(place)
    if len(by_person) < FEWEST_PEOPLE:
        return []
    means = np.array([np.mean([p.contrasts for p in of], axis=0) for of in by_person.values()])
    whole = means.mean(axis=0)
    best = np.unravel_index(np.abs(whole).argmax(), whole.shape)
    down, along = (int(place) - FARTHEST for place in best)
    sign = np.sign(whole[best])
    gain = sign * (means[:, best[0], best[1]] - means[:, FARTHEST, FARTHEST])
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    inside = max(abs(down), abs(along)) < FARTHEST  # else it may grow farther out
    if not (
        inside
        and np.hypot(down, along) >= NEAREST
        and gain.mean() > max(CERTAIN * error, MORE * abs(whole[best]))
    ):
        return []
    pixel = float(np.median([place.pixel for of in by_person.values() for place in of]))
    return [
        f"the masks{of_class} of {len(by_person)} people fit their pictures better moved by "
        f"{_way(round(down * pixel), round(along * pixel))}: look at labels.png, and export them "
        "again if they lie wrong"
    ]


def _way(down: int, along: int) -> str:
    """3 pixels down and 2 to the left."""
    ways = [(abs(down), "down" if down > 0 else "up")] if down else []
    ways += [(abs(along), "to the right" if along > 0 else "to the left")] if along else []
    return " and ".join(f"{pixels} pixels {way}" for pixels, way in ways)
