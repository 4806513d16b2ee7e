"""A table of images -> the fold of each, and an audit of what the folds share."""

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from lib.config import InputError

AREA_CLASSES = 3


def assign_folds(table: pd.DataFrame, n_folds: int) -> npt.NDArray[np.int64]:
    """The fold 0..n_folds-1 of each row, as folds.csv's `fold`.

    No group is split; folds are balanced in images without a nerve and in images with a small, a
    middling and a large one (StratifiedGroupKFold: a greedy choice, the most uneven group first).
    Depends on the rows and n_folds alone, not on their order. Needs columns image, group, rle_mask.
    Raises InputError where the groups do not suffice to put an image into every fold.
    """
    groups = table["group"].nunique()
    if groups < n_folds:
        raise InputError(f"{groups} groups cannot make n_folds={n_folds}: n_folds={groups} at most")
    order = np.argsort(table["image"].to_numpy(dtype=str), kind="stable")
    rows = table.iloc[order]
    folds = np.empty(len(table), dtype=np.int64)
    classes = _area_class(rows)
    if np.bincount(classes).max() < n_folds:  # too few images to balance anything but their number
        classes = np.zeros_like(classes)
    splits = StratifiedGroupKFold(n_folds).split(rows, classes, rows["group"])
    for fold, (_, held_out) in enumerate(splits):
        folds[order[held_out]] = fold
    if len(np.unique(folds)) < n_folds:
        raise InputError(
            f"the {groups} groups are too unequal for n_folds={n_folds}: a fold would have no "
            f"image; lower n_folds"
        )
    return folds


def merge_twins(table: pd.DataFrame) -> pd.Series:
    """The column `group` with groups that share an identical image file made into one.

    Such groups are named after all their members, as in 17+18. Needs columns group and sha.
    """
    group, names = pd.factorize(table["group"], sort=True)
    image, images = pd.factorize(table["sha"])
    shape = (len(names) + len(images),) * 2
    links = coo_array((np.ones(len(table)), (group, len(names) + image)), shape=shape)
    _, component = connected_components(links, directed=False)
    members = pd.Series(names).groupby(component[: len(names)]).agg("+".join)
    return pd.Series(component[group], index=table.index).map(members)


def _area_class(table: pd.DataFrame) -> npt.NDArray[np.int64]:
    """0 for an empty mask, 1..3 for the thirds of the mask areas (as a share of the image)."""
    area = table["rle_mask"].map(_pixels) / (table["height"] * table["width"])
    limits = np.quantile(area[area > 0], [1 / 3, 2 / 3]) if (area > 0).any() else []
    return np.where(area > 0, 1 + np.searchsorted(limits, area), 0)


def _pixels(rle_mask: str) -> int:
    return sum(map(int, rle_mask.split()[1::2]))


def audit(folds: pd.DataFrame, strategy: str) -> dict[str, Any]:
    """Counts a fold, and what stands in more than one: the content of folds_audit.json.

    `subjects_split` and `identical_images_split` are 0 where nothing leaks; `subjects_split` is
    null where the table does not know its subjects.
    """
    known = (folds["subject"] != "").all()
    by_sha = folds.groupby("sha")
    counts = folds.assign(nerve=folds["rle_mask"] != "").groupby("fold")
    return {
        "validation_strategy": strategy,
        "images": len(folds),
        "with_nerve": int((folds["rle_mask"] != "").sum()),
        "subjects": folds["subject"].nunique() if known else None,
        "subjects_split": _split(folds, "subject") if known else None,
        "groups_split": _split(folds, "group"),
        "identical_images": [sorted(twins["image"]) for _, twins in by_sha if len(twins) > 1],
        "identical_images_split": _split(folds, "sha"),
        "sizes": dict(
            Counter(f"{h}x{w}" for h, w in zip(folds["height"], folds["width"], strict=True))
        ),
        "folds": [
            {
                "fold": int(fold),
                "images": len(rows),
                "with_nerve": int(rows["nerve"].sum()),
                "subjects": rows["subject"].nunique() if known else None,
            }
            for fold, rows in counts
        ],
    }


def leaks(findings: dict[str, Any]) -> list[str]:
    """What an audit found that flatters every score, in words; empty where nothing leaks."""
    found = []
    if findings["subjects_split"]:
        found.append(
            f"LEAK: {findings['subjects_split']} subjects stand in several folds, so the networks "
            "know the people they are scored on: the scores flatter. validation_strategy=grouped, "
            "by the column of the subjects, keeps each in one fold."
        )
    if findings["subjects_split"] is None:
        found.append(
            "LEAK, perhaps: no subject is known, and frames of one person in several folds would "
            "flatter the scores. group_fold_column names the column of the subjects."
        )
    if findings["identical_images_split"]:
        found.append(
            f"LEAK: {findings['identical_images_split']} image files stand in several folds under "
            "different names: see identical_images in folds_audit.json."
        )
    return found


def _split(folds: pd.DataFrame, column: str) -> int:
    """How many values of the column stand in more than one fold."""
    return int((folds.groupby(column)["fold"].nunique() > 1).sum())
