"""The figures of the page: of folds, subjects, training and data."""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pandas as pd

from lib.artifacts.folds import TRAINING_ONLY, mask_areas, masks_in, true_mask
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.decision.measures import names_of
from lib.decision.results import Results
from lib.decision.scores import score_content
from lib.decision.text import digits_of
from lib.metric import Floats, Metric, mean_score
from lib.runtime.files import existing

DRAWS = 1000  # of a bootstrap for each subject: enough for an interval that is drawn

MAP = (21, 29)  # cells of the map of places: rows, columns


def folds_table(results: Results) -> list[dict[str, Any]]:
    """A row for each fold, and a last one of all images."""
    groups = [(f"fold {fold}", rows) for fold, rows in results.rows.groupby("fold")]
    return [_scored(name, rows) for name, rows in [*groups, ("all", results.rows)]]


def subjects_table(results: Results) -> list[dict[str, Any]]:
    """A row for each subject; none where subjects are not known.

    The worst on images with a nerve comes first, who has none last: an empty image with an empty
    mask scores 1, so a mean over all images ranks people by how many nerves they show. `nerve` is
    of the images with one. `cost` is how much the mean over all images would rise if the subject
    scored as all do. Intervals are over images, as there is one subject: frames are near-copies, so
    they are too narrow.
    """
    rows, metric = results.rows, results.metric.column
    if (rows["subject"] == "").any():
        return []
    mean = rows[metric].mean()
    found = [_scored(str(name), own, "image", DRAWS) for name, own in rows.groupby("subject")]
    there = {str(name): own for name, own in rows[rows["true_area"] > 0].groupby("subject")}
    for row in found:
        row["cost"] = row["rows"] / len(rows) * (mean - row[metric])
        row["nerve"] = _means(there[row["name"]], "image", DRAWS) if row["with_nerve"] else None
    return sorted(found, key=lambda row: (_on_nerves(row, metric), row["name"]))


def _on_nerves(row: dict[str, Any], metric: str) -> float:
    return row["nerve"][metric] if row["nerve"] else np.inf


def _scored(
    name: str, rows: pd.DataFrame, unit: str = "subject", draws: int = 10_000
) -> dict[str, Any]:
    """Counts, means and their 95 % intervals by bootstrap over the units."""
    nerve = rows[rows["true_area"] > 0]
    row: dict[str, Any] = {
        "name": name,
        "rows": len(rows),
        "images": rows["image"].nunique(),
        "subjects": rows["subject"].nunique() if (rows["subject"] != "").all() else None,
        "with_nerve": nerve["image"].nunique(),
        "share": nerve["image"].nunique() / rows["image"].nunique(),
        "iou_nerve": float(nerve["iou"].mean()) if len(nerve) else None,
    }
    return row | _means(rows, unit, draws)


def _means(rows: pd.DataFrame, unit: str, draws: int) -> dict[str, Any]:
    """IoU and Dice with their intervals."""
    found: dict[str, Any] = {}
    units = rows[unit if (rows[unit] != "").all() else "image"].to_numpy(dtype=str)
    for metric in Metric:
        values = rows[metric.column].to_numpy(dtype=float)
        found |= score_content(mean_score(values, units, draws), metric)
    return found


def measures_tables(results: Results) -> list[dict[str, Any]]:
    """A table for each class, or of all, and one of the test images where they have labels.

    A row is a measure: its name, and mean, interval and median in words, of all masks and of those
    of which neither is empty.
    """
    decision = results.decision
    found, test = decision["measures"], decision.get("test_scores")
    parts = found.get("by_class") or {"": found["all"]}
    if test:
        parts = parts | {"labelled test images": test["measures"]["all"]}
    names = names_of(results.config)
    return [
        {
            "title": title,
            "found": part,
            "both": part["masks"] - part["both_empty"] - part["missed"] - part["false_alarms"],
            "rows": [
                {
                    "name": names[key],
                    "word": names[key].partition(",")[0].partition(" at ")[0],
                    "cells": _words(part, key),
                }
                for key in part["every_mask"]
            ],
        }
        for title, part in parts.items()
    ]


def _words(part: dict[str, Any], key: str) -> list[str]:
    digits, words = digits_of(key), []
    for found in (part["every_mask"][key], part["neither_empty"][key]):
        values = [found["mean"], found["interval"], found["median"]]
        words += [_told(value, digits) for value in values]
    return words


def _told(value: Any, digits: int) -> str:
    if value is None:
        return "–"
    ends = value if isinstance(value, tuple) else (value,)
    return " to ".join(f"{end:.{digits}f}" for end in ends)


def strata_table(results: Results) -> list[dict[str, Any]]:
    """A row for each part of the images, by size, near-duplicates and contradictory labels.

    `first` of its kind.
    """
    words = {
        "size": "{} of the nerves",
        "near_duplicates": "{} a near-duplicate",
        "contradictory_labels": "{} a contradictory label",
    }
    return [
        {"name": words[kind].format(name), "first": not number, **found}
        for kind, parts in results.decision["strata"].items()
        for number, (name, found) in enumerate(parts.items())
    ]


def unscored_folds(results: Results) -> list[int]:
    """The folds that were made and are not in the scores."""
    made = set(results.folds.table["fold"]) - {TRAINING_ONLY}
    return sorted(made - set(results.config.fold_numbers))


def training_log(config: Config) -> pd.DataFrame:
    """The rows of every fold{k}/log.csv that is there, with a column fold; empty without any."""
    logs = [
        pd.read_csv(existing(Run.of(config).log(fold), "02_train.py")).assign(fold=str(fold))
        for fold in config.fold_numbers
        if Run.of(config).log(fold).is_file()
    ]
    return pd.concat(logs, ignore_index=True) if logs else pd.DataFrame(columns=["fold", "epoch"])


def areas(table: pd.DataFrame) -> pd.DataFrame:
    """Columns class and share: the area of each mask of folds.csv, in percent of its image."""
    found = []
    for column in masks_in(table):
        share = 100 * mask_areas(table, column) / (table["height"] * table["width"]).to_numpy()
        name = column.removeprefix("rle_mask").removeprefix("_") or "nerve"
        found.append(pd.DataFrame({"class": name, "share": share[share > 0]}))
    return pd.concat(found, ignore_index=True)


def places(table: pd.DataFrame) -> Floats:
    """MAP: the share of the masks, classes together, that cover each cell; 0 without any."""
    total, masks = np.zeros(MAP), 0
    for column in masks_in(table):
        for row in table[table[column] != ""].to_dict("records"):
            mask = true_mask(row, column).astype(np.float32)
            total += cv2.resize(mask, MAP[::-1], interpolation=cv2.INTER_AREA)
            masks += 1
    return total / max(masks, 1)


def twins_table(config: Config) -> pd.DataFrame:
    """contradictions.csv; empty where 01 found none."""
    path = Run.of(config).contradictions
    if not path.is_file():
        return pd.DataFrame(columns=["image", "twin"])
    words = dict.fromkeys(("image", "twin", "subject", "twin_subject"), str)
    return pd.read_csv(path, dtype=words, keep_default_na=False)


def named_twins(config: Config) -> dict[str, list[dict[str, Any]]]:
    """By image: its most similar near-duplicate, then those whose label contradicts its own.

    Each has image, similarity and, of a contradiction, the Dice of both labels.
    """
    path, found = Run.of(config).duplicates, dict[str, list[dict[str, Any]]]()
    if path.is_file():
        pairs = pd.read_csv(path, dtype={"image": str, "twin": str}, keep_default_na=False)
        nearest = _both_ways(pairs[pairs["twin_part"] == "train"]).drop_duplicates("image")
        found = {image: [twin] for image, twin in _twins_in(nearest.assign(dice=None))}
    for image, twin in _twins_in(_both_ways(twins_table(config))):
        others = [one for one in found.get(image, []) if one["image"] != twin["image"]]
        found[image] = [*others, twin]
    return found


def _both_ways(pairs: pd.DataFrame) -> pd.DataFrame:
    """Each pair from both its images, the most similar first."""
    swapped = pairs.rename(columns={"image": "twin", "twin": "image"})
    both = pd.concat([pairs, swapped])
    return both.sort_values("similarity", ascending=False, kind="stable") if len(both) else both


def _twins_in(pairs: pd.DataFrame) -> Iterator[tuple[str, dict[str, Any]]]:
    for row in pairs.to_dict("records"):
        dice = None if row["dice"] is None else round(float(row["dice"]), 3)
        similarity = round(float(row["similarity"]), 3)
        yield row["image"], {"image": row["twin"], "similarity": similarity, "dice": dice}
