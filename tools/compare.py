"""Is run b better than run a? The out-of-fold scores of both, image by image.

    python -m tools.compare runs/a runs/b

Every image has a score in either run. The difference, b less a, is taken per image and then
averaged, so what makes an image easy or hard drops out; its 95 % interval is a bootstrap over
people, each drawn with all of their images. "b better" is the share of those draws in which the
mean difference is above 0 (draws at exactly 0 count half): how firmly these people speak for b. It
is no probability for other folds, seeds or data: runs that differ in their seed alone differ too.

Images that only one run has, or that have another true mask, are named and left out. It says so
where the folds differ, as then each image's two networks learnt from different people.
"""

import argparse
import json
import sys
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib.config.fields import FIELDS, Config, differences
from lib.config.read import load_config
from lib.metric import bootstrap_means, interval_of
from lib.runtime.errors import InputError

KEYS = ["image", "class_id"]  # of a row of oof_iou.csv; the second where there are several
METRICS = ("iou", "dice")
WORDS = {"iou": "IoU", "dice": "Dice"}
# Settings that name a run and change nothing in it.
NAMES = {"experiment_name", "runs_folder"}
SCORES, FOLDS, SETTINGS = "oof_iou.csv", "folds.csv", "config.yaml"
DECISION = "decision.json"
SHOWN = 5


class Change(NamedTuple):
    """Of one metric over one part of the images."""

    part: str  # "all", "with a nerve" (the true mask is not empty), or the name of a class
    metric: str
    masks: int
    a: float  # mean score
    b: float
    change: float  # mean of b less a
    interval: tuple[float, float] | None  # 95 %; None for fewer than two subjects
    better: float | None  # share of the draws in which b is better


@dataclass(frozen=True)
class Comparison:
    """Of two runs; see `compared_runs`."""

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


def compared_runs(a: Path, b: Path) -> Comparison:
    """The runs in two folders, such as runs/a, paired by image (and class where there are several).

    `masks` has a row a pair: image, class_id where there are several, subject, true_area, and
    iou_a, iou_b, iou_change, dice_a, dice_b, dice_change. Where a subject is unknown in both runs,
    every image counts as one. InputError where a file is missing or no image is comparable.
    """
    folds_a, folds_b = _folds(a), _folds(b)
    scores_a, scores_b = _scores(a, folds_a), _scores(b, folds_b)
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
    warnings += [f"{run}: {caveat}" for run in (a, b) for caveat in _caveats(run)]
    masks = _masks(pairs, keys, subject)
    settings = _other_settings(a, b, warnings)
    return Comparison(masks, _changes(masks), settings, warnings, known)


def change_of(part: str, metric: str, masks: pd.DataFrame) -> Change:
    """Of the columns {metric}_a, {metric}_b, {metric}_change and subject; `masks` is not empty."""
    columns = masks[[f"{metric}_{column}" for column in ("a", "b", "change")]]
    subjects = masks["subject"].to_numpy(dtype=str)
    interval, better = None, None
    means = bootstrap_means(columns[f"{metric}_change"].to_numpy(), subjects)
    if means is not None:
        interval = interval_of(means, len(set(subjects)))
        better = float((means > 0).mean() + (means == 0).mean() / 2)
    mean_a, mean_b, change = map(float, columns.mean())
    return Change(part, metric, len(masks), mean_a, mean_b, change, interval, better)


def _table(path: Path, columns: list[str], step: str) -> pd.DataFrame:
    """All cells as texts; InputError for a missing file or column, and an image named twice."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise InputError(f"{path} is missing: run {step} first") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a table that can be read ({error})") from None
    if missing := set(columns) - set(table.columns):
        raise InputError(f"{path} lacks the columns {sorted(missing)}: run {step} again")
    doubled = table.duplicated([key for key in KEYS if key in table])
    if doubled.any():
        raise InputError(f"{path}: {table.loc[doubled, 'image'].iloc[0]} stands there twice")
    return table


def _scores(run: Path, folds: pd.DataFrame) -> pd.DataFrame:
    """oof_iou.csv: image, class_id where there are several, subject, true_area, iou, dice."""
    path, numbers = run / SCORES, ["true_area", *METRICS]
    table = _table(path, ["image", "subject", "fold", *numbers], "04_make_submission.py")
    if (table["image"].map(folds["fold"]) != table["fold"]).any():
        raise InputError(f"{path} is of another folds.csv than {run / FOLDS}: run 02 to 04 again")
    for name in numbers:
        values = pd.to_numeric(table[name], errors="coerce")
        if not np.isfinite(values).all():
            image = table.loc[~np.isfinite(values), "image"].iloc[0]
            raise InputError(f"{path}: the {name} of {image} is no number: run 04 again")
        table = table.assign(**{name: values})
    return table[[*(key for key in KEYS if key in table), "subject", *numbers]]


def _folds(run: Path) -> pd.DataFrame:
    """folds.csv by image: fold, sha of the pixels, and one text of size and true masks."""
    table = _table(run / FOLDS, ["image", "fold", "height", "width", "sha"], "01_prepare_folds.py")
    masks = sorted(name for name in table.columns if name.startswith("rle_mask"))
    truth = table[["height", "width", *masks]].agg(",".join, axis=1)
    return table[["fold", "sha"]].assign(truth=truth).set_index(table["image"])


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


def _caveats(run: Path) -> list[str]:
    """What flatters the scores of a run, as 04 has it; none where decision.json is not there."""
    try:
        return list(json.loads((run / DECISION).read_bytes())["caveats"])
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{run / DECISION} is damaged: run 04_make_submission.py again") from None


def _masks(pairs: pd.DataFrame, keys: list[str], subject: pd.Series) -> pd.DataFrame:
    table = pairs[keys].assign(subject=subject, true_area=pairs["true_area_a"].astype(int))
    for metric in METRICS:
        a, b = pairs[f"{metric}_a"], pairs[f"{metric}_b"]
        table = table.assign(**{f"{metric}_a": a, f"{metric}_b": b, f"{metric}_change": b - a})
    return table.reset_index(drop=True)


def _changes(masks: pd.DataFrame) -> list[Change]:
    there = "with a mask" if "class_id" in masks else "with a nerve"
    parts = {"all": masks, there: masks[masks["true_area"] > 0]}
    if "class_id" in masks:
        parts |= {str(name): rows for name, rows in masks.groupby("class_id")}
    return [
        change_of(part, metric, rows)
        for part, rows in parts.items()
        if len(rows)
        for metric in METRICS
    ]


def _other_settings(a: Path, b: Path, warnings: list[str]) -> list[str]:
    """Of config.yaml, and of a trained model, which knows what 02 was told on top of it.

    What 03 and 04 were told on top is written nowhere.
    """
    try:
        of_a, of_b = load_config(a / SETTINGS), load_config(b / SETTINGS)
    except InputError as error:
        warnings.append(f"the settings are not compared: {error}")
        return []
    trained = ({path.parent.name for path in run.glob("fold*/model.pt")} for run in (a, b))
    for fold in sorted(set.intersection(*trained))[:1]:
        try:
            of_a, of_b = _as_trained(of_a, a / fold), _as_trained(of_b, b / fold)
        except InputError as error:
            warnings.append(f"the settings of the models are not compared: {error}")
    return differences(of_a, of_b, FIELDS.keys() - NAMES)


def _as_trained(config: Config, folder: Path) -> Config:
    from lib.artifacts.model import MODEL_SETTINGS, read_model  # loads torch, which takes seconds

    model = read_model(folder / "model.pt").config
    return replace(config, **{name: getattr(model, name) for name in MODEL_SETTINGS})


def report(comparison: Comparison, a: str, b: str) -> str:
    """The table for a person; `a` and `b` are the names of the runs."""
    images, subjects = comparison.masks["image"].nunique(), comparison.subjects
    unit = "subjects" if comparison.subjects_known else "images, each as a subject"
    lines = [f"a = {a}, b = {b}: {images} images, {len(subjects)} {unit}"]
    lines += [f"WARNING: {warning}" for warning in comparison.warnings]
    lines += ["", *_change_lines(comparison.changes), ""]
    lines += _extremes("subjects", subjects)
    lines += _extremes("masks" if "class_id" in comparison.masks else "images", comparison.masks)
    lines.append("settings that differ (a, b):" if comparison.settings else "no setting differs")
    return "\n".join([*lines, *(f"  {line}" for line in comparison.settings)])


def _change_lines(changes: list[Change]) -> list[str]:
    wide = max(len(change.part) for change in changes)
    lines = [f"{'':{wide}}         masks       a       b    b - a       95 % interval  b better"]
    for change in changes:
        low, high = change.interval or (np.nan, np.nan)
        between = f"{low:+.4f} to {high:+.4f}" if change.interval else "one subject only"
        share = "-" if change.better is None else f"{change.better:.3f}"
        lines.append(
            f"{change.part:{wide}}  {WORDS[change.metric]:4}  {change.masks:6}  {change.a:.4f}  "
            f"{change.b:.4f}  {change.change:+.4f}  {between:>18}  {share:>8}"
        )
    return [*lines, "b better: share of the bootstrap draws of subjects, ties halved"]


def _extremes(what: str, table: pd.DataFrame) -> list[str]:
    """How many have another Dice in b, and those that lost and gained most."""
    ordered = table.sort_values("dice_change", kind="stable")
    lost, gained = ordered[ordered["dice_change"] < 0], ordered[ordered["dice_change"] > 0]
    title = f"{what} by Dice: {len(lost)} worse in b, {len(gained)} better, of {len(table)}"
    shown = pd.concat([lost.head(SHOWN), gained.tail(SHOWN)]).to_dict("records")
    return [title, *(f"  {row['dice_change']:+.4f}  {_named(row)}" for row in shown)]


def _named(row: dict[Hashable, Any]) -> str:
    """Of a mask, or of a subject."""
    if "image" not in row:
        return f"{row['subject']} ({row['masks']} masks)"
    name = " ".join(row[key] for key in KEYS if key in row)
    return f"{name} ({row['dice_a']:.4f}, {row['dice_b']:.4f})"


def _parse_arguments() -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m tools.compare", description=__doc__, formatter_class=raw
    )
    parser.add_argument("a", type=Path, help="folder of the run to compare with, such as runs/a")
    parser.add_argument("b", type=Path, help="folder of the run in question")
    return parser.parse_args()


if __name__ == "__main__":
    given = _parse_arguments()
    try:
        print(report(compared_runs(given.a, given.b), str(given.a), str(given.b)))
    except InputError as wrong:
        sys.exit(str(wrong))
