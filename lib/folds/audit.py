"""What the data set holds and what its folds share, counted and in words."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from lib.artifacts.caveats import Caveat
from lib.artifacts.folds import mask_areas, mask_columns, masks_in
from lib.config.fields import Config
from lib.data.table import Images
from lib.data.test_set import test_set
from lib.folds.contradictions import TWIN_DICE, label_noise_ceiling

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
        "leaks": leaks(shared, config),
        "inventory": inventory(table, images.classes),
        "test_images": len(test.table) if test else 0,
        "test_set": test_set(config),
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


def inventory_text(found: dict[str, Any]) -> str:
    """The table that 01 ends with; `found` is the content of folds_audit.json."""
    data, twins, out = found["inventory"], found["near_duplicates"], found["quarantine"]
    ceiling = found["label_noise_ceiling"]["all"]
    rows = [
        ("images", f"{data['images']}, {data['with_mask']} with a mask"),
        ("subjects", data["subjects"] or "not known"),
        ("test images", found["test_images"]),
        ("height x width", _listed(data["sizes"])),
        ("files", _listed(data["kinds"])),
        *((f"masks of {name}", _mask_text(part)) for name, part in data["classes"].items()),
        ("mask components", _listed(data["components"]) or "none"),
        (
            "near-duplicates",
            f"{twins['pairs']} pairs, {twins['identical']} of them identical files, "
            f"{twins['of_two_subjects']} of two subjects; "
            f"{found['test_twins']} with a test image",
        ),
        ("contradictions", f"{found['contradictions']} pairs (labels of Dice below {TWIN_DICE})"),
        ("quarantine", f"{out['train']} training images, {out['test']} test images"),
    ]
    if ceiling["images"]:
        text = f"IoU {ceiling['iou']:.3f}, Dice {ceiling['dice']:.3f}"
        rows.append(("copying twins", f"{text}, over the {ceiling['images']} images that have one"))
    return "\n".join(f"{name:16} {value}" for name, value in rows)


def _listed(counts: dict[str, int]) -> str:
    shown = [f"{value} ({count})" for value, count in list(counts.items())[:4]]
    return ", ".join([*shown, *(["..."] if len(counts) > 4 else [])])


def _mask_text(part: dict[str, Any]) -> str:
    if part["area_quantiles"] is None:
        return "none"
    low, middle, high = (f"{100 * value:.1f}" for value in part["area_quantiles"])
    return (
        f"{part['images']} images; {middle} % of the image in the middle, {low} to {high} for 90 %"
    )


def folds_text(shared: dict[str, Any]) -> str:
    """A row a fold."""
    lines = ["fold   images   with a mask   share   mask area   subjects   groups"]
    for row in shared["folds"]:
        name = "train" if row["fold"] < 0 else row["fold"]
        area = "-" if row["mask_area"] is None else f"{100 * row['mask_area']:.2f} %"
        lines.append(
            f"{name!s:5}  {row['images']:6}  {row['with_mask']:12}  {100 * row['share']:4.1f} %"
            f"  {area:>10}  {row['subjects'] or '-':>9}  {row['groups']:>7}"
        )
    return "\n".join(lines)
