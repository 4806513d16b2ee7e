"""Two runs -> the difference of their scores, image by image."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from lib.artifacts.caveats import sentence
from lib.metric import bootstrap_means, interval_of
from lib.runtime.errors import InputError
from tools.compare.files import (
    KEYS,
    METRICS,
    caveats,
    read_folds,
    read_scores,
    settings_that_differ,
)

SHOWN = 5


class Change(NamedTuple):
    """How one metric changes over some of the images."""

    of: str  # "all", "with a nerve" (the true mask is not empty), or the name of a class
    metric: str
    masks: int
    a: float  # mean score
    b: float
    change: float  # mean of b less a
    interval: tuple[float, float] | None  # 95 %; None for fewer than two subjects
    better: float | None  # share of the draws in which b is better


@dataclass(frozen=True)
class Comparison:
    """Of two runs; see `paired_runs`."""

    masks: pd.DataFrame
    changes: list[Change]
    settings: list[str]  # `name: in a, in b` of those that differ
    warnings: list[str]
    subjects_known: bool

    @property
    def subjects(self) -> pd.DataFrame:
        """A row a subject: masks, and mean iou_change and dice_change; the worst change first."""
        by_subject = self.masks.groupby("subject")
        table = by_subject[["iou_change", "dice_change"]].mean()
        table.insert(0, "masks", by_subject.size())
        return table.sort_values("dice_change", kind="stable").reset_index()


class Paired(NamedTuple):
    """Two runs, image by image; see `paired_runs`."""

    masks: pd.DataFrame
    warnings: list[str]
    subjects_known: bool


def compared_runs(a: Path, b: Path) -> Comparison:
    """How the scores of run b differ from those of run a; see `paired_runs`."""
    masks, warnings, known = paired_runs(a, b)
    settings = settings_that_differ(a, b, warnings)
    return Comparison(masks, _changes(masks), settings, warnings, known)


def paired_runs(a: Path, b: Path) -> Paired:
    """The runs in two folders, such as runs/a, paired by image (and class where there are several).

    `masks` has a row a pair: image, class_id where there are several, subject, true_area, and
    iou_a, iou_b, iou_change, dice_a, dice_b, dice_change. Where a subject is unknown in both runs,
    every image counts as one. InputError where a file is missing or no image is comparable.
    """
    folds_a, folds_b = read_folds(a), read_folds(b)
    scores_a, scores_b = read_scores(a, folds_a), read_scores(b, folds_b)
    keys = _keys(scores_a, scores_b)
    both = scores_a.merge(scores_b, "outer", keys, suffixes=("_a", "_b"), indicator=True)
    warnings = _left_out(f"only {a} has scored", both.loc[both["_merge"] == "left_only", "image"])
    warnings += _left_out(f"only {b} has scored", both.loc[both["_merge"] == "right_only", "image"])
    pairs = both[both["_merge"] == "both"]
    other = _other_truth(pairs, folds_a, folds_b)
    warnings += _left_out("have another size or true mask in b", other)
    pairs = pairs[~pairs["image"].isin(other)]
    if pairs.empty:
        raise InputError("\n".join([f"{a} and {b} have no image to compare:", *warnings]))
    subject, known = _subjects(pairs, warnings)
    warnings += [*_other_folds(folds_a, folds_b), *_other_pixels(pairs, folds_a, folds_b)]
    warnings += [f"{run}: {sentence(caveat)}" for run in (a, b) for caveat in caveats(run)]
    return Paired(_masks(pairs, keys, subject), warnings, known)


def change_of(of: str, metric: str, masks: pd.DataFrame) -> Change:
    """Of the columns {metric}_a, {metric}_b, {metric}_change and subject; `masks` is not empty."""
    columns = masks[[f"{metric}_{column}" for column in ("a", "b", "change")]]
    subjects = masks["subject"].to_numpy(dtype=str)
    interval, better = None, None
    means = bootstrap_means(columns[f"{metric}_change"].to_numpy(), subjects)
    if means is not None:
        interval = interval_of(means, len(set(subjects)))
        better = float((means > 0).mean() + (means == 0).mean() / 2)
    mean_a, mean_b, change = map(float, columns.mean())
    return Change(of, metric, len(masks), mean_a, mean_b, change, interval, better)


def _keys(a: pd.DataFrame, b: pd.DataFrame) -> list[str]:
    """What a row is of; InputError where only one run has several classes."""
    if ("class_id" in a) != ("class_id" in b):
        raise InputError("only one of the runs has several classes: their scores have no pairs")
    return [name for name in KEYS if name in a]


def _left_out(why: str, images: Iterable[str]) -> list[str]:
    names = sorted(set(images))
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    return [f"left out: {len(names)} images that {why}: {shown}"] if names else []


def _other_truth(pairs: pd.DataFrame, folds_a: pd.DataFrame, folds_b: pd.DataFrame) -> set[str]:
    """Images whose size or true mask differs; an area alone would not tell a mask that moved."""
    images = pairs["image"]
    same = images.map(folds_a["truth"]) == images.map(folds_b["truth"])
    same &= pairs["true_area_a"] == pairs["true_area_b"]
    return set(images[~same])


def _subjects(pairs: pd.DataFrame, warnings: list[str]) -> tuple[pd.Series, bool]:
    """Whom the bootstrap draws, and whether these are subjects."""
    a, b = pairs["subject_a"], pairs["subject_b"]
    if other := int(((a != b) & (a != "") & (b != "")).sum()):
        warnings.append(f"{other} scores are of another subject in b: those of a are used")
    for subject in (a, b):
        if (subject != "").all():
            return subject, True
    warnings.append("the subjects are not known: every image counts as one, which is too narrow")
    return pairs["image"], False


def _other_folds(a: pd.DataFrame, b: pd.DataFrame) -> list[str]:
    fold_a, fold_b = a["fold"].align(b["fold"], fill_value="none")
    other = int((fold_a != fold_b).sum())
    if not other:
        return []
    return [
        f"other folds: {other} of {len(fold_a)} images are not in the same fold, so the networks "
        "compared on an image were trained on other people: the difference is not paired by "
        "model, and holds the luck of two splits"
    ]


def _other_pixels(pairs: pd.DataFrame, a: pd.DataFrame, b: pd.DataFrame) -> list[str]:
    other = sorted({image for image in pairs["image"] if a["sha"][image] != b["sha"][image]})
    if not other:
        return []
    names = ", ".join(other[:SHOWN])
    return [f"{len(other)} images have other pixels in b under the same name, such as {names}"]


def _masks(pairs: pd.DataFrame, keys: list[str], subject: pd.Series) -> pd.DataFrame:
    table = pairs[keys].assign(subject=subject, true_area=pairs["true_area_a"].astype(int))
    for metric in METRICS:
        a, b = pairs[f"{metric}_a"], pairs[f"{metric}_b"]
        table = table.assign(**{f"{metric}_a": a, f"{metric}_b": b, f"{metric}_change": b - a})
    return table.reset_index(drop=True)


def _changes(masks: pd.DataFrame) -> list[Change]:
    there = "with a mask" if "class_id" in masks else "with a nerve"
    groups = {"all": masks, there: masks[masks["true_area"] > 0]}
    if "class_id" in masks:
        groups |= {str(name): rows for name, rows in masks.groupby("class_id")}
    return [
        change_of(of, metric, rows)
        for of, rows in groups.items()
        if len(rows)
        for metric in METRICS
    ]
