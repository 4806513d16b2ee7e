"""How far two masks lie apart: between their boundaries, and between their centroids.

The boundary of a mask is its pixels beside one that is not of it, up, down, left or right; outside
of the picture nothing is. So MONAI has it, and its figures are these. DeepMind's surface-distance
draws the boundary between the pixels and weighs its pieces by their length.
"""

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from lib.data.masks.box import box_of
from lib.metric import Floats

Mask = npt.NDArray[np.uint8]
Spacing = tuple[float, float]  # of the pixels, down and across
PIXELS: Spacing = (1.0, 1.0)
CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
ROUNDING = 1 + 1e-6  # a distance that is the tolerance, but for rounding, is within it


class Apart(NamedTuple):
    """Of two masks; all but `nsd` in the unit of the spacing."""

    hd95: float
    assd: float
    nsd: float  # 0..1
    centroid_distance: float


def apart(truth: Mask, prediction: Mask, tolerance: float, spacing: Spacing = PIXELS) -> Apart:
    """Distances of two masks (height, width), 0 and 1; `tolerance` is in the unit of the spacing.

    hd95: the larger of the two 95 % quantiles of the distances from each boundary pixel of one mask
    to the nearest of the other (Huttenlocher et al. 1993, IEEE TPAMI 15). assd: the mean of all
    these distances, both ways. nsd: the share of them that are within the tolerance (Nikolov et al.
    2021, JMIR 23). Two empty masks are not apart; where one is, they are as far apart as pixels of
    the image can be: its diagonal.
    """
    there = bool(truth.any()), bool(prediction.any())
    if not all(there):
        height, width = truth.shape
        far = 0.0 if not any(there) else float(np.hypot(height * spacing[0], width * spacing[1]))
        return Apart(far, far, float(not any(there)), far)
    of_truth, of_prediction = (boundary(mask) * spacing for mask in (truth, prediction))
    away = KDTree(of_truth).query(of_prediction)[0], KDTree(of_prediction).query(of_truth)[0]
    both = np.concatenate(away)
    centres = (centroid(mask) * spacing for mask in (truth, prediction))
    return Apart(
        max(float(np.quantile(distances, 0.95)) for distances in away),
        float(both.mean()),
        float((both <= tolerance * ROUNDING).mean()),
        float(np.hypot(*np.subtract(*centres))),
    )


def boundary(mask: Mask) -> npt.NDArray[np.int64]:
    """(pixels, 2): rows and columns of the mask's boundary; the mask has pixels."""
    box = box_of(mask)
    inside = mask[box]
    inner = cv2.erode(inside, CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    corner = np.array([box[0].start, box[1].start])
    return np.argwhere(inside > inner) + corner


def centroid(mask: Mask) -> Floats:
    """(2,): the mean row and column of the mask's pixels; it has some."""
    box = box_of(mask)
    inside = mask[box].astype(np.float64)
    rows, columns = inside.sum(axis=1), inside.sum(axis=0)
    down = rows @ np.arange(len(rows)) + rows.sum() * box[0].start
    across = columns @ np.arange(len(columns)) + columns.sum() * box[1].start
    return np.array([down, across]) / inside.sum()
