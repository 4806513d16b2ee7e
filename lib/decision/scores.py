"""Scores of the out-of-fold images: a row an image, and their means with intervals.

Rules are told apart by what chose them. `nested`: without the part of the images that is scored;
`tuned`: on these very images, which flatters; `fixed`: probability_threshold alone, nothing chosen.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lib.artifacts.caveats import caveats
from lib.artifacts.folds import Folds
from lib.config.fields import Config
from lib.decision.evidence import Unseen
from lib.decision.nested import Areas, Decided
from lib.decision.search import Evidence, presence_of, weights_of
from lib.metric import Floats, Metric, Score, area_under_curve, mean_score, mean_scores

ABOUT = {
    "rules": "By class; for new images. presence = head_weight x the network's presence + (1 - "
    "head_weight) x the mean probability of the top_share most probable pixels. Below the gate: an "
    "empty mask. Else the pixels above threshold; with never_empty, where there are none, those "
    "above half the largest probability (0..255, rounded down). Fewer than least_area of the "
    "image's pixels: an empty mask. Then so many of the largest pieces (8-connected; 0: all), "
    "holes filled.",
    "scores": "Nested, as oof_iou.csv: each image by a rule of nested_rules, chosen without its "
    "part. These are the figures to quote.",
    "tuned": "By the rules above, on the images that chose them: flatters.",
    "fixed": "The pixels above probability_threshold; nothing was chosen.",
    "measures": "Nested. In every_mask two empty masks are perfect and one empty mask is the worst "
    "there can be: 0, or a distance of the image's diagonal. neither_empty: no such pairs.",
    "label_noise_ceiling": "Each image given the label of its nearest near-duplicate.",
}
NEAR_GATE = 0.05  # share of the images, those of presence next to the gate


def image_rows(
    unseen: Unseen,
    decided: list[Decided],
    folds: Folds,
    areas: list[Areas] | None = None,
    measures: list[pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """A row an image, and class where there are several: oof_iou.csv.

    IoU, Dice, area (pixels) and presence are those of the nested rule, chosen without the image's
    part: nothing in the table flatters. Other masks are given by their `areas`, one a class;
    `measures` are further columns, a table a class.
    """
    tables = []
    for k, name in enumerate(folds.classes):
        truth, of_class = unseen.evidence[k].truth, (areas[k] if areas else decided[k].nested)
        scores = {m.column: m.of_counts(truth, of_class.area, of_class.both) for m in Metric}
        table = unseen.table[["image", "fold", "subject"]].assign(
            **scores,
            loss=unseen.losses[k],
            area=of_class.area,
            true_area=truth,
            presence=decided[k].presence,
        )
        if measures:
            table = table.join(measures[k])
        if len(folds.classes) > 1:
            table.insert(0, "class_id", name)
        tables.append(table)
    return pd.concat(tables).sort_index(kind="stable").reset_index(drop=True)


def summarise(rows: pd.DataFrame, positive_share: float = 0.0) -> dict[str, Any]:
    """Mean, 95 % interval over subjects and all-empty score, of all images and of those with one.

    Where no subject is known, every image counts as one, which makes the interval too narrow.
    `expected` is of a set of which `positive_share` of the images show a nerve, where it is given
    and these are of both kinds.
    """
    known = subjects_known(rows)
    summary: dict[str, Any] = {"subjects_known": known}
    if "class_id" in rows:
        by_class = rows.drop(columns="class_id").groupby(rows["class_id"])
        summary["by_class"] = {
            str(name): summarise(part, positive_share) for name, part in by_class
        }
    summary["all"] = _means(rows, known, None)
    there = (rows["true_area"] > 0).to_numpy()
    summary["with_nerve"] = _means(rows[there], known, None)
    if positive_share and there.any() and not there.all():
        expected = _means(rows, known, weights_of(there, positive_share))
        summary["expected"] = {"positive_share": positive_share} | expected
    return summary


def subjects_known(rows: pd.DataFrame) -> bool:
    return bool((rows["subject"] != "").all())


def drawn_by(rows: pd.DataFrame, known: bool) -> npt.NDArray[np.str_]:
    """Whom a bootstrap draws: the subject of each row, or its image where they are not known."""
    return rows["subject" if known else "image"].to_numpy(dtype=str)


def empty_masks(rows: pd.DataFrame) -> dict[str, int]:
    """How many rows have an empty mask, by what is empty."""
    there, shown = rows["true_area"] > 0, rows["area"] > 0
    return {
        "both_empty": int((~there & ~shown).sum()),
        "missed": int((there & ~shown).sum()),
        "false_alarms": int((~there & shown).sum()),
    }


def _means(rows: pd.DataFrame, known: bool, weights: Floats | None) -> dict[str, Any]:
    subjects = drawn_by(rows, known)
    empty = (rows["true_area"] == 0).to_numpy(dtype=float)  # what an empty mask scores
    found: dict[str, Any] = {
        "images": rows["image"].nunique(),
        "subjects": len(set(subjects)),
        "all_empty": float(np.average(empty, weights=weights)) if len(empty) else None,
    }
    for metric in Metric:
        values = rows[metric.column].to_numpy(dtype=float)
        found |= score_content(mean_score(values, subjects, weights=weights), metric)
    return found


def score_content(score: Score, metric: Metric) -> dict[str, Any]:
    """The score as the JSON files hold it; `score_in` reads it back."""
    return {metric.column: score.mean, f"{metric.column}_interval": score.interval}


def score_in(summary: Mapping[str, Any], metric: Metric) -> Score:
    """The score of one set of images; `summary` is one of those that `summarise` tells."""
    low, high = summary[f"{metric.column}_interval"] or (None, None)
    return Score(summary[metric.column], low, high, summary["subjects"])


def other_scores(
    unseen: Unseen, decided: list[Decided], folds: Folds, config: Config
) -> dict[str, Any]:
    """What the nested score is to be held against, each as `summarise` has it."""
    masks = {
        "tuned": [rules.tuned for rules in decided],
        "fixed": [rules.fixed for rules in decided],
    }
    return {
        name: summarise(image_rows(unseen, decided, folds, areas), config.test_positive_share)
        for name, areas in masks.items()
    }


def grouped(rows: pd.DataFrame, by: Any) -> dict[str, Any]:
    """Of each group of rows: `_of_group`. `by` is the name of a column, or a value a row."""
    known = subjects_known(rows)
    groups = rows.groupby(by, observed=True)
    return {str(name): _of_group(part, known) for name, part in groups}


def _of_group(rows: pd.DataFrame, known: bool) -> dict[str, Any]:
    """Images, masks that are missed and false alarms; IoU and Dice with their intervals, NSD.

    hd95_median is that of the masks of which neither is empty, in pixels.
    """
    there, shown = rows["true_area"] > 0, rows["area"] > 0
    subjects, counts = drawn_by(rows, known), empty_masks(rows)
    both = rows["hd95"][there & shown]
    found: dict[str, Any] = {
        "images": rows["image"].nunique(),
        "with_nerve": rows["image"][there].nunique(),
        "missed": counts["missed"],
        "false_alarms": counts["false_alarms"],
        "nsd": float(rows["nsd"].mean()),
        "hd95_median": float(both.median()) if len(both) else None,
    }
    metrics = list(Metric)
    values = rows[[metric.column for metric in metrics]].to_numpy(dtype=float)
    for metric, score in zip(metrics, mean_scores(values, subjects), strict=True):
        found |= score_content(score, metric)
    return found


def presence_scores(evidence: Evidence, decided: Decided, config: Config) -> dict[str, Any]:
    """How well one class is told to be there: by presence alone, and by masks that are not empty.

    `auc` is that of the nested rules, folds together; `auc_map` and `auc_head` those of its parts.
    """
    there, shown = evidence.truth > 0, decided.nested.area > 0
    map_alone = presence_of(evidence, replace(decided.rule, head_weight=0.0))
    return {
        "auc": area_under_curve(there, decided.presence),
        "auc_map": area_under_curve(there, map_alone),
        "auc_head": area_under_curve(there, evidence.presence) if evidence.head else None,
        "true_positives": int((there & shown).sum()),
        "false_positives": int((~there & shown).sum()),
        "false_negatives": int((there & ~shown).sum()),
        "true_negatives": int((~there & ~shown).sum()),
        **_gate_check(evidence, decided, config),
    }


def _gate_check(evidence: Evidence, decided: Decided, config: Config) -> dict[str, Any]:
    """Whether a mask pays at the gate: p D > 1 - p, thus p > 1 / (1 + D).

    D is the mean score, by `metric`, of the masks that images with a nerve get; p is, as presence
    is no calibrated probability, the share with a nerve of the images of presence next to the gate.
    """
    there, tuned = evidence.truth > 0, decided.tuned
    scores = Metric(config.metric).of_counts(evidence.truth, tuned.area, tuned.both)
    hits = scores[there & (tuned.area > 0)]
    gate, presence = decided.rule.gate, presence_of(evidence, decided.rule)
    near = np.argsort(np.abs(presence - gate), kind="stable")
    near = near[: max(1, round(NEAR_GATE * len(near)))]
    weights = weights_of(there, config.test_positive_share)[near]
    closed_or_open = not 0 < gate <= 1
    return {
        "gate": gate,
        "break_even": float(1 / (1 + hits.mean())) if len(hits) else None,
        "nerves_near_gate": None
        if closed_or_open or not weights.any()
        else float(np.average(there[near], weights=weights)),
    }


def content(
    rows: pd.DataFrame,
    unseen: Unseen,
    decided: list[Decided],
    folds: Folds,
    audit: dict[str, Any],
    config: Config,
) -> dict[str, Any]:
    """Of decision.json; `rows` are `image_rows`, `audit` the content of folds_audit.json."""
    chosen = len(decided[0].nested_rules) > 1
    classes = list(zip(folds.class_names, unseen.evidence, decided, strict=True))
    return {
        "about": ABOUT,
        "chosen_on_these_images": chosen,
        "rules": {name: asdict(rules.rule) for name, _, rules in classes},
        "nested_rules": {
            name: [asdict(rule) for rule in rules.nested_rules] if chosen else []
            for name, _, rules in classes
        },
        "presence_head": unseen.evidence[0].head,
        "metric": config.metric,
        "test_positive_share": config.test_positive_share,
        "scores": summarise(rows, config.test_positive_share),
        "other_scores": other_scores(unseen, decided, folds, config),
        "presence": {
            name: presence_scores(evidence, rules, config) for name, evidence, rules in classes
        },
        "by_fold": grouped(rows, "fold"),
        "by_subject": grouped(rows, "subject"),
        "label_noise_ceiling": audit["label_noise_ceiling"],
        "leaks": audit["leaks"],
        "caveats": [*caveats(audit, config), *unseen.caveats],
        "inference": unseen.inference.content(),
    }
