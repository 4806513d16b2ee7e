"""A comparison -> the tables for a person."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from tools.compare.comparison import Change, Comparison
from tools.compare.files import KEYS
from tools.compare.several import GROUPS, SideBySide, Standing

WORDS = {"iou": "IoU", "dice": "Dice"}

SHOWN = 5

TOGETHER = (
    "intervals and p are corrected for the number of runs: max-t, by a bootstrap over subjects"
)


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


def leaderboard(found: SideBySide) -> str:
    """The table of several runs for a person."""
    first = found.standings[0].name
    wide = max(len(row.name) for row in found.standings)
    lines = [
        f"{len(found.standings)} runs, mean {found.metric} of {found.images} images of "
        f"{found.subjects} subjects; the best first",
        *(f"WARNING: {warning}" for warning in found.warnings),
        "",
        f"{'':{wide}}     all      95 % interval   nerve   training    memory  other settings",
        *(_row(row, wide) for row in found.by_score),
    ]
    for of in GROUPS:
        rows = [row for row in found.differences if row.of == of]
        if rows:
            lines += ["", f"less {first}, {of}:"]
        for row in sorted(rows, key=lambda row: -row.change):
            between = "one subject only"
            if row.interval:
                between = f"95 % {row.interval[0]:+.4f} to {row.interval[1]:+.4f}, {chance(row.p)}"
            lines.append(f"  {row.name:{wide}}  {row.change:+.4f}  {between}")
    return "\n".join([*lines, "", TOGETHER])


def _row(row: Standing, wide: int) -> str:
    whole, nerve = (row.scores[of] for of in GROUPS)
    between = "-" if whole.low is None else f"{whole.low:.4f} to {whole.high:.4f}"
    settings = "  ".join(f"{name}={value}" for name, value in row.settings.items())
    return (
        f"{row.name:{wide}}  {figure(whole.mean, '.4f'):>6}  {between:>17}  "
        f"{figure(nerve.mean, '.4f'):>6}  {duration(row.seconds):>9}  "
        f"{figure(row.gib, '.1f'):>4} GiB  {'  '.join([*row.marks, settings])}"
    ).rstrip()


def figure(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def chance(p: float | None) -> str:
    """Such as p = 0.030."""
    if p is None:
        return "-"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def duration(seconds: float | None) -> str:
    """Such as 3 min 20 s, or 2 h 05 min."""
    if seconds is None:
        return "-"
    minutes, left = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min {left:02} s" if minutes else f"{left} s"


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
