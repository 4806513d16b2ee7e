"""A comparison -> the table for a person."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from tools.compare.comparison import Change, Comparison
from tools.compare.files import KEYS

WORDS = {"iou": "IoU", "dice": "Dice"}

SHOWN = 5


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
    wide = max(len(change.of) for change in changes)
    lines = [f"{'':{wide}}         masks       a       b    b - a       95 % interval  b better"]
    for change in changes:
        low, high = change.interval or (np.nan, np.nan)
        between = f"{low:+.4f} to {high:+.4f}" if change.interval else "one subject only"
        share = "-" if change.better is None else f"{change.better:.3f}"
        lines.append(
            f"{change.of:{wide}}  {WORDS[change.metric]:4}  {change.masks:6}  {change.a:.4f}  "
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
