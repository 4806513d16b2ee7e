"""The shapes that nerves take: a mean mask and principal components of masks (PCA)."""

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse.linalg import svds

from lib.artifacts.folds import true_mask
from lib.runtime.errors import InputError

GRID = (64, 96)  # rows and columns on which masks of every size are compared

Mask = npt.NDArray[np.uint8]


class Shapes(NamedTuple):
    """Masks on the GRID, flattened."""

    mean: npt.NDArray[np.float32]  # (pixels,)
    components: npt.NDArray[np.float32]  # (components, pixels), orthonormal


def fit_shapes(table: pd.DataFrame, column: str, components: int) -> Shapes:
    """Of the masks of a table of folds that are not empty; InputError where they are too few."""
    rows = table[table[column] != ""].to_dict("records")
    if len(rows) <= components:
        raise InputError(
            f"mask_pca: {components}: there are {len(rows)} masks ({column}) to fit it to where a "
            f"fold is left out: allowed here: 0 to {max(0, len(rows) - 1)}"
        )
    masks = np.stack([_on_grid(true_mask(row, column)) for row in rows])
    mean = masks.mean(axis=0)
    start = np.ones(min(masks.shape))  # ARPACK's own start is random
    _, _, found = svds(masks - mean, k=components, v0=start)
    return Shapes(mean, found.astype(np.float32))


def nearest_shape(mask: Mask, shapes: Shapes) -> Mask:
    """The mask uint8 0/1 (height, width) projected on mean and components, and cut at a half.

    Itself where that leaves nothing: whether there is a nerve was decided before.
    """
    apart = _on_grid(mask) - shapes.mean
    flat = shapes.mean + (apart @ shapes.components.T) @ shapes.components
    size = mask.shape[1], mask.shape[0]
    near = cv2.resize(flat.reshape(GRID), size, interpolation=cv2.INTER_LINEAR)
    return (near > 0.5).astype(np.uint8) if (near > 0.5).any() else mask


def _on_grid(mask: Mask) -> npt.NDArray[np.float32]:
    small = cv2.resize(mask.astype(np.float32), GRID[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small.ravel(), dtype=np.float32)
