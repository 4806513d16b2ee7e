"""Masks of the test set held against its labels, where somebody gave them."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lib import rle
from lib.artifacts.folds import Folds, true_mask
from lib.artifacts.labels_of_test import load_test_labels
from lib.artifacts.masks import Drawn
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.data.table import with_sha
from lib.decision.measures import in_order, measures_of, spacing_of, told_measures
from lib.decision.scores import score_in, summarise
from lib.decision.text import quoted, unit_of
from lib.metric import Metric, dice, iou, overlap
from lib.runtime.files import save_table


def scores_of_test(
    test: pd.DataFrame, drawn: Mapping[str, Drawn], folds: Folds, config: Config
) -> dict[str, Any] | None:
    """Writes test_iou.csv and says what is in it; None, and no such file, without labels.

    `drawn` are the masks of the images of `test`.
    """
    path, labels = Run.of(config).test_scores, labels_of(test, config)
    if labels is None:
        path.unlink(missing_ok=True)
        return None
    rows = rows_of_test(labels, drawn, folds, config)
    save_table(path, rows)
    scores = summarise(rows) | {"measures": told_measures(rows, config)}
    print(text_of_test(scores, Metric(config.metric)))
    return scores


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
    labels: pd.DataFrame, drawn: Mapping[str, Drawn], folds: Folds, config: Config
) -> pd.DataFrame:
    """A row a labelled test image, and class where there are several: test_iou.csv.

    `drawn` are the masks of the test images; one that has none gets an empty one. `labels` are
    those of test_labels.csv.
    """
    rows, measures = [], []
    for row in labels.to_dict("records"):
        nothing = Drawn((row["height"], row["width"]), [""] * len(folds.classes), [])
        texts, spacing = drawn.get(row["image"], nothing).runs, spacing_of(row, config)
        for name, column, text in zip(folds.classes, folds.masks, texts, strict=True):
            truth = true_mask(row, column)
            mask = rle.decode(text, truth.shape, row["image"])
            counts = overlap(truth, mask)
            of_class = {"class_id": name} if len(folds.classes) > 1 else {}
            about = {"image": row["image"], "subject": row["subject"]}
            scores = {"iou": iou(counts), "dice": dice(counts)}
            areas = {"area": counts.prediction, "true_area": counts.truth}
            rows.append({**of_class, **about, **scores, **areas})
            measures.append(measures_of(truth, mask, spacing, config))
    return pd.DataFrame(rows).join(in_order(measures))


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
