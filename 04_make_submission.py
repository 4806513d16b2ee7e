"""Turns probabilities into masks: scores those of the training images, submits those of the test.

oof_fold{k}.npz, test.npz, folds.csv -> oof_iou.csv, decision.json, submission.csv
"""

from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from lib import rle
from lib.artifacts import (
    Folds,
    Probability,
    load_audit,
    load_folds,
    oof_path,
    open_current,
    run_folder,
    save_decision,
    save_table,
    test_path,
    true_mask,
)
from lib.audit import caveats, left_out_of_test
from lib.config import Config, run
from lib.decision import compared, decide
from lib.folds import TRAINING_ONLY, unseen_part
from lib.loss import loss_per_image
from lib.metric import bootstrap_interval, dice, iou
from lib.sources import read_test_table, with_sha


def main(config: Config) -> None:
    folds = load_folds(config)
    scores = score_unseen(folds, config)
    save_table(run_folder(config) / "oof_iou.csv", scores)
    audit = load_audit(config, folds)
    print(score_table(scores) + ("  LEAK" if audit["leaks"] else ""))
    decision = rule(config) | {"scores": summarise(scores), "leaks": audit["leaks"]}
    save_decision(config, decision)
    print(headline(decision, config))
    for caveat in caveats(audit, config):
        print(caveat)
    made = set(folds.table["fold"]) - {TRAINING_ONLY}
    if missing := made - set(config.fold_numbers):
        print(f"{len(missing)} of {len(made)} folds were not asked for and are not in the scores")
    if config.build_scoring_pipelines:
        print("build_scoring_pipelines: no scoring pipeline is written, it is not built yet")
    print(f"every image's scores: {run_folder(config) / 'oof_iou.csv'}")
    make_submission(folds, left_out_of_test(audit, config), config)


def score_unseen(folds: Folds, config: Config) -> pd.DataFrame:
    """A row an image, and class where there are several, of the folds asked for.

    Scored by the network that never saw the image.
    """
    rows = []
    for fold in config.fold_numbers:
        unseen = unseen_part(folds.table, fold, config)
        bar = tqdm(unseen.to_dict("records"), f"scoring fold {fold}", disable=None, leave=False)
        path = oof_path(config, fold)
        with open_current(path, config, [fold], unseen, folds) as probabilities:
            for row in bar:
                image = row["image"]
                parts = zip(
                    folds.masks,
                    folds.classes,
                    probabilities[image],
                    probabilities.presence[image].tolist(),
                    strict=True,
                )
                for column, name, probability, presence in parts:
                    score = score_image(row, column, probability, config)
                    rows.append({"class_id": name, **score, "presence": presence})
    table = pd.DataFrame(rows)
    return table if len(folds.classes) > 1 else table.drop(columns="class_id")


def score_image(
    row: dict[str, Any], column: str, probability: Probability, config: Config
) -> dict[str, Any]:
    """IoU, Dice and loss at the image's own size; areas in pixels."""
    truth = true_mask(row, column)
    counts = compared(truth, probability, config.probability_threshold)
    return {
        "image": row["image"],
        "fold": row["fold"],
        "subject": row["subject"],
        "iou": iou(counts),
        "dice": dice(counts),
        "loss": loss_of(probability, truth, config),
        "area": counts.prediction,
        "true_area": counts.truth,
    }


def loss_of(probability: Probability, truth: np.ndarray, config: Config) -> float:
    """The loss of a stored probability, its 0 and 255 read as the middle of their steps."""
    steps = torch.from_numpy(probability).float().clamp(0.25, 254.75) / 255
    logits, masks = steps.logit()[None, None], torch.from_numpy(truth)[None, None]
    return float(loss_per_image(config.loss_function, logits, masks, config.dice_weight))


def score_table(scores: pd.DataFrame) -> str:
    """Per fold, class and over all: IoU and Dice, each beside the score of all-empty masks."""
    groups = [(str(fold), rows) for fold, rows in scores.groupby("fold")]
    if "class_id" in scores:
        groups += [(str(name), rows) for name, rows in scores.groupby("class_id")]
    groups.append(("all", scores))
    wide = max(len("fold"), *(len(name) for name, _ in groups))
    unit = " masks" if "class_id" in scores else "images"
    there = f"with a {'mask' if 'class_id' in scores else 'nerve'}"
    lines = [
        f"{'':{wide}}                  all images         |             {there}",
        f"{'fold':{wide}}   {unit}     IoU    Dice  all-empty | {unit}     IoU    Dice  all-empty",
    ]
    for name, rows in groups:
        nerve = rows[rows["true_area"] > 0]
        lines.append(f"{name:{wide}}   {score_cells(rows)} | {score_cells(nerve)}")
    return "\n".join(lines)


def score_cells(rows: pd.DataFrame) -> str:
    if rows.empty:
        return f"{0:6}       -       -          -"
    empty = (rows["true_area"] == 0).mean()  # an empty mask scores 1 there and 0 elsewhere
    return f"{len(rows):6}  {rows['iou'].mean():.4f}  {rows['dice'].mean():.4f}     {empty:.4f}"


def rule(config: Config) -> dict[str, Any]:
    """The rule from probabilities to masks. It is fixed: nothing was chosen on these images."""
    return {
        "rule": "pixels above probability_threshold",
        "probability_threshold": config.probability_threshold,
        "chosen_on_these_images": False,
    }


def summarise(scores: pd.DataFrame) -> dict[str, Any]:
    """Mean, 95 % interval over subjects and all-empty score, of all images and of those with one.

    Where no subject is known, every image counts as one, which makes the interval too narrow.
    """
    known = bool((scores["subject"] != "").all())
    summary: dict[str, Any] = {"subjects_known": known}
    if "class_id" in scores:
        by_class = scores.drop(columns="class_id").groupby(scores["class_id"])
        summary["by_class"] = {str(name): summarise(rows) for name, rows in by_class}
    for name, rows in (("all", scores), ("with_nerve", scores[scores["true_area"] > 0])):
        subjects = rows["subject" if known else "image"].to_numpy(dtype=str)
        empty = float((rows["true_area"] == 0).mean()) if len(rows) else None
        images = rows["image"].nunique()
        summary[name] = {"images": images, "subjects": len(set(subjects)), "all_empty": empty}
        for metric in ("iou", "dice"):
            values = rows[metric].to_numpy(dtype=float)
            summary[name][metric] = float(values.mean()) if len(rows) else None
            summary[name][f"{metric}_interval"] = bootstrap_interval(values, subjects)
    return summary


def headline(decision: dict[str, Any], config: Config) -> str:
    scores = decision["scores"]
    unit = "subjects" if scores["subjects_known"] else "images (subjects unknown: too narrow)"
    leak, lines = "; LEAK" if decision["leaks"] else "", []
    several = "by_class" in scores
    everything = "all images and classes" if several else "all images"
    there = "those with a mask" if several else "images with a nerve"
    for name, words in (("all", everything), ("with_nerve", there)):
        part, metric = scores[name], config.metric.lower()
        if part[metric] is None:
            continue
        interval = part[f"{metric}_interval"]
        between = f", 95 % interval {interval[0]:.3f} to {interval[1]:.3f}" if interval else ""
        lines.append(
            f"out-of-fold {config.metric} over {words}: {part[metric]:.3f}{between} by bootstrap "
            f"over {part['subjects']} {unit}; all-empty {part['all_empty']:.3f}{leak}"
        )
    return "\n".join(lines)


def make_submission(folds: Folds, left_out: list[str], config: Config) -> None:
    """submission.csv: a row a test image, and class where there are several, in the given order.

    The masks of the test images `left_out` are empty.
    """
    path = run_folder(config) / "submission.csv"
    test = read_test_table(config, left_out)
    if test is None:
        before = f"; {path} is from before" if path.is_file() else ""
        print(f"there is no test set, so no submission is written{before}")
        return
    usable = with_sha(test.dropna(subset="file"))
    rows: list[dict[str, str]] = []
    numbers = config.fold_numbers
    with open_current(test_path(config), config, numbers, usable, folds) as probabilities:
        for image in tqdm(test["image"], "encoding", disable=None, leave=False):
            masks = [""] * len(folds.classes)
            if image in probabilities.presence:
                masks = [
                    rle.encode(decide(probability, config.probability_threshold))
                    for probability in probabilities[image]
                ]
            rows += [
                {"img": image, "class_id": name, "pixels": pixels}
                for name, pixels in zip(folds.classes, masks, strict=True)
            ]
    table = pd.DataFrame(rows)
    nerves = table["img"][table["pixels"] != ""].nunique()
    save_table(path, table if len(folds.classes) > 1 else table.drop(columns="class_id"))
    print(f"the submission: {path}, {len(test)} test images, {nerves} with a nerve")


if __name__ == "__main__":
    run(main, __doc__)
