"""What the data set holds and what its folds share: counts, and what flatters scores."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from lib.artifacts.caveats import Caveat
from lib.artifacts.folds import mask_areas, mask_columns, masks_in
from lib.config.fields import Config
from lib.data.images_of_test import described_test_set
from lib.data.phantom import is_phantom
from lib.data.pictures.reading import Images
from lib.folds.contradictions import label_noise_ceiling

QUANTILES = (0.05, 0.5, 0.95)


def audited(
    images: Images, test: Images | None, pairs: pd.DataFrame, found: pd.DataFrame, config: Config
) -> dict[str, Any]:
    """The content of folds_audit.json.

    The images' table has its folds, `pairs` their agreement; `found` are the contradictions.
    """
    table, shared = images.table, shared_by_folds(images.table, pairs)
    return {
        "validation_strategy": config.validation_strategy,
        "leaks": leaks(shared, config)
        + [Caveat(mark="DOUBTFUL LABELS", text=doubt) for doubt in images.doubts],
        "phantom": is_phantom(config),
        "inventory": inventory(table, images.classes),
        "test_images": len(test.table) if test else 0,
        "test_set": described_test_set(config),
        "quarantine": {
            "train": len(images.unusable),
            "test": len(test.unusable) if test else 0,
        },
        "near_duplicates": near_duplicates_found(table, pairs),
        "contradictions": len(found),
        "label_policy": config.label_policy,
        "label_noise_ceiling": label_noise_ceiling(table, pairs),
        **shared,
    }


def inventory(table: pd.DataFrame, classes: list[str]) -> dict[str, Any]:
    """Counts over the images, before any fold is made.

    Needs columns image, subject, height, width, kind, components and those of run lengths.
    """
    known = bool((table["subject"] != "").all())
    return {
        "images": len(table),
        "with_mask": int((table[masks_in(table)] != "").any(axis=1).sum()),
        "subjects": table["subject"].nunique() if known else None,
        "sizes": sizes(table),
        "kinds": counted(table["kind"]),
        "classes": {
            name: _masks(table, column)
            for name, column in zip(classes, mask_columns(classes), strict=True)
        },
        "components": counted(table["components"][table["components"] > 0]),
    }


def sizes(table: pd.DataFrame) -> dict[str, int]:
    return counted(table["height"].astype(str) + "x" + table["width"].astype(str))


def counted(values: pd.Series) -> dict[str, int]:
    """How often each value stands there, the most frequent first."""
    return {str(value): count for value, count in Counter(values).most_common()}


def _masks(table: pd.DataFrame, column: str) -> dict[str, Any]:
    area = mask_areas(table, column) / (table["height"] * table["width"]).to_numpy()
    there = area[area > 0]
    return {
        "images": len(there),
        "area_quantiles": np.quantile(there, QUANTILES).tolist() if len(there) else None,
    }


def near_duplicates_found(table: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, int]:
    """Counts of pairs: all, byte-identical ones, and those of two subjects, where known."""
    first, second = table.iloc[pairs["a"]], table.iloc[pairs["b"]]
    return {
        "pairs": len(pairs),
        "identical": int((first["sha"].to_numpy() == second["sha"].to_numpy()).sum()),
        "of_two_subjects": int((first["subject"].to_numpy() != second["subject"].to_numpy()).sum()),
    }


def shared_by_folds(folds: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, Any]:
    """What stands in more than one fold: 0 everywhere where nothing leaks.

    `leaking_pairs` are near-duplicates of which one is trained on where the other is scored.
    """
    known = folds["subject"] != ""
    fold = folds["fold"].to_numpy()
    leaking = pairs[fold[pairs["a"]] != fold[pairs["b"]]]
    image = folds["image"].to_numpy()
    return {
        "subjects_split": _split(folds[known], "subject"),
        "subject_unknown": int((~known).sum()),
        "groups": folds["group"].nunique(),
        "groups_split": _split(folds, "group"),
        "leaking_pairs": len(leaking),
        "leaking_pairs_first": [
            [str(image[a]), str(image[b])] for a, b in leaking[["a", "b"]].head(20).to_numpy()
        ],
        "folds": [_fold(name, rows, bool(known.all())) for name, rows in folds.groupby("fold")],
    }


def _fold(name: Any, rows: pd.DataFrame, known: bool) -> dict[str, Any]:
    there = (rows[masks_in(rows)] != "").any(axis=1)
    area = sum(mask_areas(rows, column) for column in masks_in(rows))
    pixels = rows["height"] * rows["width"]
    return {
        "fold": int(name),
        "images": len(rows),
        "with_mask": int(there.sum()),
        "share": float(there.mean()),
        "mask_area": float((area / pixels)[there].mean()) if there.any() else None,
        "subjects": rows["subject"].nunique() if known else None,
        "groups": rows["group"].nunique(),
    }


def _split(folds: pd.DataFrame, column: str) -> int:
    """How many values of the column stand in more than one fold."""
    return int((folds.groupby(column)["fold"].nunique() > 1).sum())


def leaks(shared: dict[str, Any], config: Config) -> list[Caveat]:
    """What flatters every score; empty where nothing leaks."""
    found = []
    if shared["subjects_split"]:
        text = (
            f"{shared['subjects_split']} subjects stand in several folds, so the networks know "
            "the people they are scored on: the scores flatter. validation_strategy=grouped, by "
            "the column of the subjects, keeps each in one fold."
        )
        found.append(Caveat(mark="LEAK", text=text))
    if shared["groups_split"] and not shared["subjects_split"]:
        text = (
            f"{shared['groups_split']} groups of {config.group_fold_column} stand in several "
            "folds: the scores flatter. validation_strategy=grouped keeps each in one fold."
        )
        found.append(Caveat(mark="LEAK", text=text))
    if shared["leaking_pairs"]:
        text = (
            f"{shared['leaking_pairs']} pairs of near-duplicate images stand on both sides of a "
            "fold, so networks are scored on pictures that they were trained on: see "
            "duplicates.csv."
        )
        found.append(Caveat(mark="LEAK", text=text))
    if shared["subject_unknown"]:
        kept = config.validation_strategy in ("grouped", "automatic")
        text = (
            f"the subject of {shared['subject_unknown']} images is not known"
            + (". Near-duplicates are kept together, but " if kept else ", and ")
            + "frames of one person that do not look alike may stand in several folds, and would "
            "flatter the scores. group_fold_column names the column of the subjects."
        )
        found.append(Caveat(mark="POSSIBLE LEAK", text=text))
    return found
