"""How alike the folds are: ours beside scikit-learn's StratifiedGroupKFold, best of 200 seeds.

    python -m benchmarks.folds TABLE [TABLE ...]   (train_masks.csv, or Hydrogen Torch's train.pq)

Both get the same groups, the subjects, and the same strata: with a nerve or without. Prints, for 5
and 10 folds, in percentage points, how far a fold is at most from its due. It is due 1/folds of all
images, of the images with a nerve, and of the nerve's area; and among its own images the share with
a nerve that all images have, which its score follows: an empty image scores 0 or 1. The best seed
is that whose largest of the four is smallest.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from lib.artifacts.folds import mask_areas
from lib.config.fields import Config
from lib.data.tables.labels import read_label_table
from lib.folds.assign import assign_folds

Fold = npt.NDArray[np.int64]  # of each image

FOLDS = (5, 10)
SEEDS = 200


def main(paths: list[Path]) -> None:
    print("| table | folds | method | images | nerves | area | nerves in it | largest | s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for path in paths:
        table = read(path)
        name = f"{path.name}: {len(table)} images, {table['subject'].nunique()} subjects"
        for n_folds in FOLDS:
            for method, assign in METHODS.items():
                start = time.perf_counter()
                found = [deviations(table, fold) for fold in assign(table, n_folds)]
                seconds = time.perf_counter() - start
                best = min(found, key=max)
                cells = " | ".join(f"{value:.2f}" for value in (*best, max(best)))
                print(f"| {name} | {n_folds} | {method} | {cells} | {seconds:.2f} |")


def read(path: Path) -> pd.DataFrame:
    """Columns image, subject, group, rle_mask, height, width (of one size, which no file tells)."""
    labels = read_label_table(path, "TABLE", Config()).by_image
    rows = [
        (image, label.subject, label.subject, " ".join(*label.runs.values()))
        for image, label in labels.items()
    ]
    table = pd.DataFrame(rows, columns=["image", "subject", "group", "rle_mask"])
    return table.assign(height=1, width=1)


def ours(table: pd.DataFrame, n_folds: int) -> list[Fold]:
    return [assign_folds(table, Config(n_folds=n_folds))]


def of_seeds(seeds: range) -> Callable[[pd.DataFrame, int], list[Fold]]:
    def assign(table: pd.DataFrame, n_folds: int) -> list[Fold]:
        found = []
        for seed in seeds:
            splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
            fold = np.empty(len(table), dtype=np.int64)
            splits = splitter.split(table, table["rle_mask"] != "", table["group"])
            for number, (_, held_out) in enumerate(splits):
                fold[held_out] = number
            found.append(fold)
        return found

    return assign


METHODS: dict[str, Callable[[pd.DataFrame, int], list[Fold]]] = {
    "lib/folds/balance.py": ours,
    "StratifiedGroupKFold, seed 0": of_seeds(range(1)),
    f"StratifiedGroupKFold, best of {SEEDS} seeds": of_seeds(range(SEEDS)),
}


def deviations(table: pd.DataFrame, fold: Fold) -> list[float]:
    """In percentage points, the largest over the folds, of |a share - the share due|.

    The shares are those of all images, of all images with a nerve and of all area that are in the
    fold, and of the fold's images that show a nerve.
    """
    area = mask_areas(table, "rle_mask")
    number = fold.max() + 1
    images, nerves, areas = (
        np.bincount(fold, counted, number) for counted in (np.ones(len(table)), area > 0, area)
    )
    away = [counts / counts.sum() - 1 / number for counts in (images, nerves, areas)]
    away.append(nerves / images - nerves.sum() / images.sum())
    return [float(100 * abs(values).max()) for values in away]


if __name__ == "__main__":
    main([Path(word) for word in sys.argv[1:]])
