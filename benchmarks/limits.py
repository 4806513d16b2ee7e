"""What keeps a run's masks from the true ones: place, size, outline, resolution or labels?

    python -m benchmarks.limits RUN

Of the images of RUN (runs/nerve, after 04) that show a nerve, each as it is scored, out of fold:
IoU as it is; with the best threshold for that image, which is all that choosing thresholds could
give; were each mask moved until its centre is the true one; were it also scaled to the true area:
what is lost then is outline. A mask that is shown to the network at its size and stretched
again is all that this resolution allows. Where an image has a near-duplicate, the label of the
nearest stands beside the network's mask: nearly the same picture, marked twice by people.

Then the spread over people and the five worst.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from lib.artifacts.folds import true_mask
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.decision.results import Results, results_of
from lib.decision.rule import Mask
from lib.decision.search import Evidence, above_level
from lib.metric import Floats, Metric, iou, overlap

WORST = 5  # people
MISSED = 0.1  # an IoU below is no outline of the nerve


def main(run: Path) -> None:
    config = Run(run).config(["quiet=true"])
    results = results_of(config)
    table = measured(results, config)
    people = by_person(table)
    print("\n".join([*limits(table, config), "", *spread(people)]))


def masks_out_of_fold(results: Results) -> Iterator[tuple[dict[str, Any], Mask]]:
    """Each image with a nerve of the first class: its row, and its mask as it is scored."""
    column = results.folds.masks[0]
    table = results.unseen.table.assign(place=range(len(results.unseen.table)))
    for row in table[table[column] != ""].to_dict("records"):
        yield row, results.masks_of(row["image"])[0]


def measured(results: Results, config: Config) -> pd.DataFrame:
    """A row an image: its IoU as it is and with one kind of error after the other taken away."""
    column, size = results.folds.masks[0], (config.image_height, config.image_width)
    labels = dict(zip(results.folds.table["image"], results.folds.table[column], strict=True))
    twins, best = nearest_twins(config), best_thresholds(results.unseen.evidence[0])
    rows = []
    for row, mask in masks_out_of_fold(results):
        truth = true_mask(row, column)
        moved, scaled = placed(mask, truth, 1.0), placed(mask, truth, same_area(mask, truth))
        found = {
            "iou": between(truth, mask),
            "best": best[row["place"]],
            "moved": between(truth, moved),
            "scaled": between(truth, scaled),
            "shown": between(truth, through(truth, size)),
            "twin": np.nan,
        }
        twin = twins.get(row["image"])
        if twin is not None and labels[twin]:
            label = true_mask({**row, column: labels[twin]}, column)
            found["twin"] = between(truth, label)
        rows.append({"image": row["image"], "subject": row["subject"], **found})
    return pd.DataFrame(rows)


def best_thresholds(evidence: Evidence) -> Floats:
    """(images,): the largest IoU of an image's mask, whole, over all thresholds."""
    area, both = above_level(evidence.pixels), above_level(evidence.true)
    return np.asarray(Metric.IOU.of_counts(evidence.truth[:, None], area, both).max(axis=1))


def between(truth: Mask, mask: Mask) -> float:
    return iou(overlap(truth, mask))


def same_area(mask: Mask, truth: Mask) -> float:
    """By how much lengths are to be multiplied."""
    return float(np.sqrt(truth.sum() / mask.sum())) if mask.any() else 1.0


def placed(mask: Mask, truth: Mask, scale: float) -> Mask:
    """Scaled about its centre, which comes to lie on the true one; empty, it stays so."""
    if not mask.any():
        return mask
    (row, column), (true_row, true_column) = (np.argwhere(m).mean(axis=0) for m in (mask, truth))
    matrix = np.array(
        [[scale, 0, true_column - scale * column], [0, scale, true_row - scale * row]]
    )
    size = mask.shape[::-1]
    warped = cv2.warpAffine(mask.astype(np.uint8), matrix, size, flags=cv2.INTER_NEAREST)
    return np.asarray(warped, dtype=np.uint8)


def through(truth: Mask, size: tuple[int, int]) -> Mask:
    """Reduced as for training, stretched as a prediction is."""
    small = cv2.resize(truth.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    large = cv2.resize(small * 255, truth.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return (large > 127).astype(np.uint8)


def nearest_twins(config: Config) -> dict[str, str]:
    """Of each image that has one, the most similar other training image of its size."""
    pairs = pd.read_csv(Run.of(config).duplicates, dtype={"image": str, "twin": str})
    pairs = pairs[pairs["twin_part"] == "train"]
    swapped = pairs.rename(columns={"image": "twin", "twin": "image"})
    both = pd.concat([pairs, swapped]).sort_values("similarity", ascending=False, kind="stable")
    nearest = both.drop_duplicates("image")
    return dict(zip(nearest["image"], nearest["twin"], strict=True))


def limits(table: pd.DataFrame, config: Config) -> list[str]:
    size = f"{config.image_height}x{config.image_width}"
    twins = table.dropna(subset="twin")
    lines = [
        f"{len(table)} images with a nerve, of {table['subject'].nunique()} people\n",
        "| masks | images | IoU |",
        "|---|---|---|",
        f"| as they are scored | {len(table)} | {table['iou'].mean():.3f} |",
        f"| with the best threshold for each | {len(table)} | {table['best'].mean():.3f} |",
        f"| moved to the true centre | {len(table)} | {table['moved'].mean():.3f} |",
        f"| scaled to the true area, too | {len(table)} | {table['scaled'].mean():.3f} |",
        f"| the true ones, seen at {size} | {len(table)} | {table['shown'].mean():.3f} |",
        f"| those of images with a near-duplicate | {len(twins)} | {twins['iou'].mean():.3f} |",
        f"| the labels of their duplicates | {len(twins)} | {twins['twin'].mean():.3f} |",
    ]
    missed = table["iou"] < MISSED
    lost = (1 - table["iou"])[missed].sum() / (1 - table["iou"]).sum()
    lines.append(
        f"\n{missed.mean():.1%} of the masks have an IoU below {MISSED}; they are {lost:.0%} of "
        f"all that is lost. The others: {table['iou'][~missed].mean():.3f}."
    )
    return lines


def by_person(table: pd.DataFrame) -> pd.DataFrame:
    """The worst first."""
    missed = table.assign(missed=table["iou"] < MISSED)
    found = missed.groupby("subject").agg(
        images=("image", "size"),
        iou=("iou", "mean"),
        moved=("moved", "mean"),
        scaled=("scaled", "mean"),
        missed=("missed", "mean"),
    )
    return found.sort_values("iou", kind="stable")


def spread(people: pd.DataFrame) -> list[str]:
    mean = people["iou"]
    lines = [
        f"Over people: {mean.min():.3f} to {mean.max():.3f}, median {mean.median():.3f}, standard "
        f"deviation {mean.std():.3f}. The worst:\n",
        f"| person | images | IoU | moved | scaled, too | below {MISSED} |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in people.head(WORST).iterrows():
        numbers = f"{row['iou']:.3f} | {row['moved']:.3f} | {row['scaled']:.3f}"
        lines.append(f"| {name} | {row['images']:.0f} | {numbers} | {row['missed']:.0%} |")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m benchmarks.limits", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("run", type=Path)
    given = parser.parse_args()
    main(given.run)
