"""How alike the folds are: ours beside scikit-learn's, on a table of run lengths.

    python -m benchmarks.folds TABLE      (the competition's train_masks.csv, or Hydrogen Torch's)

Prints one table: images and positives a fold, and the spread (largest - smallest) over the folds of
the share of images with a nerve and of the mean mask area.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import BaseCrossValidator, GroupKFold, KFold, StratifiedGroupKFold

from lib.artifacts.folds import mask_areas
from lib.config.fields import Config
from lib.data.labels import read_label_table
from lib.folds.assign import assign_folds

Fold = npt.NDArray[np.int64]
FOLDS = (5, 10)


def main(path: Path) -> None:
    table = read(path)
    print("| folds of | method | images | with a nerve | share, spread | area, spread | s |")
    print("|---|---|---|---|---|---|---|")
    for n_folds in FOLDS:
        for name, assign in METHODS.items():
            start = time.perf_counter()
            fold = assign(table, n_folds)
            print(row(table, fold, f"{n_folds} | {name}", time.perf_counter() - start))


def read(path: Path) -> pd.DataFrame:
    """Columns image, subject, group, rle_mask, height, width (of one size, which no file tells)."""
    labels = read_label_table(path, "TABLE", Config()).by_image
    rows = [
        (image, label.subject, label.subject, " ".join(*label.runs.values()))
        for image, label in labels.items()
    ]
    table = pd.DataFrame(rows, columns=["image", "subject", "group", "rle_mask"])
    return table.assign(height=1, width=1)


def ours(table: pd.DataFrame, n_folds: int) -> Fold:
    return assign_folds(table, Config(n_folds=n_folds))


def theirs(make: Callable[[int], BaseCrossValidator]) -> Callable[[pd.DataFrame, int], Fold]:
    def assign(table: pd.DataFrame, n_folds: int) -> Fold:
        fold = np.empty(len(table), dtype=np.int64)
        splitter = make(n_folds)
        groups = None if isinstance(splitter, KFold) else table["subject"]
        splits = splitter.split(table, table["rle_mask"] != "", groups)
        for number, (_, held_out) in enumerate(splits):
            fold[held_out] = number
        return fold

    return assign


METHODS = {
    "here, by subject": ours,
    "StratifiedGroupKFold": theirs(StratifiedGroupKFold),
    "GroupKFold": theirs(GroupKFold),
    "KFold, shuffled: splits subjects": theirs(lambda n: KFold(n, shuffle=True, random_state=0)),
}


def row(table: pd.DataFrame, fold: Fold, name: str, seconds: float) -> str:
    area = mask_areas(table, "rle_mask")
    images, nerve = np.bincount(fold), np.bincount(fold, area > 0)
    share, mean_area = nerve / images, np.bincount(fold, area) / np.maximum(nerve, 1)
    return (
        f"| {name} | {images.min()}-{images.max()} | {nerve.min():.0f}-{nerve.max():.0f} | "
        f"{100 * np.ptp(share):.2f} points | {100 * np.ptp(mean_area) / mean_area.mean():.1f} % | "
        f"{seconds:.2f} |"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
