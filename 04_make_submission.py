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
    Probabilities,
    Probability,
    load_folds,
    model_path,
    oof_path,
    run_folder,
    save_decision,
    save_table,
    sha,
    test_path,
    with_drawn_seed,
)
from lib.config import Config, InputError, run
from lib.decision import decide
from lib.loss import loss_per_image
from lib.metric import bootstrap_interval, dice, iou, overlap
from lib.sources import read_test_table

HEADER = "                              all images                 with a nerve"


def main(config: Config) -> None:
    config = with_drawn_seed(config)
    scores = score_unseen(load_folds(config), config)
    save_table(run_folder(config) / "oof_iou.csv", scores)
    print(score_table(scores))
    summary = summarise(scores, config)
    save_decision(config, summary)
    print(f"out-of-fold {config.metric}: {in_words(summary)}")
    if config.validation_strategy == "kfold":
        print("validation_strategy=kfold: frames of one person may be on both sides of a fold")
    make_submission(config)
    if config.build_scoring_pipelines:
        print("build_scoring_pipelines: no scoring pipeline is written, it is not built yet")


def score_unseen(folds: pd.DataFrame, config: Config) -> pd.DataFrame:
    """A row an image of the folds asked for: the content of oof_iou.csv, in the order of folds."""
    rows = []
    for fold in map(int, config.folds):
        unseen = folds[folds["fold"] == fold]
        with open_current(config, fold) as probabilities:
            bar = tqdm(unseen.itertuples(), f"scoring fold {fold}", len(unseen), disable=None)
            rows += [score(row, probabilities, config) for row in bar]
    return pd.DataFrame(rows)


def open_current(config: Config, fold: int) -> Probabilities:
    """The probabilities of the fold; InputError where they are not of its present model."""
    probabilities = Probabilities(oof_path(config, fold))
    require_models(probabilities, config, [fold])
    return probabilities


def require_models(probabilities: Probabilities, config: Config, folds: list[int]) -> None:
    models = {str(fold): sha(model_path(config, fold)) for fold in folds}
    if probabilities.provenance["models"] != models:
        raise InputError(
            f"{probabilities.path} was made by other models than those of fold "
            f"{', '.join(models)} now: run 03_infer.py again"
        )
"""
"""
