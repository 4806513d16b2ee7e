"""What one mask, the same for every image, would score: the nerve lies at much the same place."""

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from lib.artifacts.folds import Folds, mask_areas, true_mask
from lib.decision.nested import Areas
from lib.decision.rule import Mask
from lib.metric import overlap

Size = tuple[int, int]  # height, width


def constant_masks(table: pd.DataFrame, folds: Folds) -> list[Areas]:
    """Of each class: what the constant mask of the other folds covers of each image of `table`."""
    return [_constant(table, folds.table, column) for column in folds.masks]


def _constant(table: pd.DataFrame, everything: pd.DataFrame, column: str) -> Areas:
    canvas: Size = everything.groupby(["height", "width"]).size().idxmax()
    sums = _sums(everything, column, canvas)
    sizes = everything["height"] * everything["width"]
    shares = pd.Series(mask_areas(everything, column), everything.index) / sizes
    there = everything[column] != ""
    counts = []
    for fold, rows in table.groupby("fold", sort=False):
        others = there & (everything["fold"] != fold)
        share = shares[others].mean() if others.any() else 0.0
        frequent = sum(part for other, part in sums.items() if other != fold) + np.zeros(canvas)
        mask = most_frequent(frequent, share)
        counts.append(_counts(rows, column, mask).set_axis(rows.index))
    found = pd.concat(counts).loc[table.index]
    return Areas(found["area"].to_numpy(), found["both"].to_numpy())


def _sums(everything: pd.DataFrame, column: str, canvas: Size) -> dict[int, npt.NDArray[np.int64]]:
    """Of each fold: how many masks cover each pixel of the canvas."""
    sums: dict[int, npt.NDArray[np.int64]] = {}
    for row in everything[everything[column] != ""].to_dict("records"):
        total = sums.setdefault(row["fold"], np.zeros(canvas, dtype=np.int64))
        total += _stretched(true_mask(row, column), canvas)
    return sums


def most_frequent(frequent: npt.NDArray[np.float64], share: float) -> Mask:
    """The mask of the pixels with the largest values, as many as `share` of them all."""
    mask = np.zeros(frequent.size, dtype=np.uint8)
    order = np.argsort(-frequent, axis=None, kind="stable")
    mask[order[: round(share * mask.size)]] = 1
    return mask.reshape(frequent.shape)


def _counts(rows: pd.DataFrame, column: str, mask: Mask) -> pd.DataFrame:
    by_size: dict[Size, Mask] = {}
    counts = []
    for row in rows.to_dict("records"):
        size = row["height"], row["width"]
        if size not in by_size:
            by_size[size] = _stretched(mask, size)
        own = by_size[size]
        both = overlap(true_mask(row, column), own).both if row[column] else 0
        counts.append((int(np.count_nonzero(own)), both))
    return pd.DataFrame(counts, columns=["area", "both"])


def _stretched(mask: Mask, size: Size) -> Mask:
    if mask.shape == size:
        return mask
    stretched = cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(stretched, dtype=np.uint8)
