"""Masks of the test set held against its labels, where somebody gave them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib import rle
from lib.artifacts.folds import Folds, true_mask
from lib.artifacts.labels_of_test import load_test_labels
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.data.table import with_sha
from lib.decision.scores import score_in
from lib.decision.text import quoted, unit_of
from lib.metric import Metric


def labels_of(test: pd.DataFrame, config: Config) -> pd.DataFrame | None:
    """test_labels.csv, if it is of these test images; told where it is of others.

    `test` has columns image and file.
    """
    labels = load_test_labels(config)
    if labels is None:
        return None
    here = with_sha(test.dropna(subset="file"))[["image", "sha"]]
    if len(labels.merge(here, on=["image", "sha"])) < len(labels):
        print(
            f"{Run.of(config).test_labels} is of other test images, so they are not scored: run "
            "01_prepare_folds.py"
        )
        return None
    return labels


def rows_of_test(
    labels: pd.DataFrame, images: Sequence[str], masks: Sequence[Sequence[str]], folds: Folds
) -> pd.DataFrame:
    """A row a labelled test image, and class where there are several: test_iou.csv.

    `masks` are the run lengths of each of `images`, one a class; `labels` are those of
    test_labels.csv.
    """
    found = dict(zip(images, masks, strict=True))
    rows = []
    for row in labels.to_dict("records"):
        for name, column, text in zip(folds.classes, folds.masks, found[row["image"]], strict=True):
            truth = true_mask(row, column)
            mask = rle.decode(text, truth.shape, row["image"])
            area, both = np.count_nonzero(mask), np.count_nonzero(mask & truth)
            counts = [np.array([n]) for n in (np.count_nonzero(truth), area, both)]
            scores = {metric.column: float(metric.of_counts(*counts)[0]) for metric in Metric}
            of_class = {"class_id": name} if len(folds.classes) > 1 else {}
            about = {"image": row["image"], "subject": row["subject"], **scores}
            rows.append({**of_class, **about, "area": area, "true_area": int(counts[0][0])})
    return pd.DataFrame(rows)


def text_of_test(scores: dict[str, Any], metric: Metric) -> str:
    """The lines to quote of a test set."""
    lines = []
    for name, title in (("all", "labelled test images"), ("with_nerve", "of them with a nerve")):
        score = score_in(scores[name], metric)
        if score.mean is None:
            continue
        lines.append(
            f"test {metric} over the {scores[name]['images']} {title}: {quoted(score)} "
            f"over {score.n} {unit_of(scores)}; all-empty {scores[name]['all_empty']:.3f}"
        )
    return "\n".join(lines)
