"""Turns probabilities into masks: scores those of the training images, submits those of the test.

oof_fold{k}.npz, test.npz, folds.csv -> oof_iou.csv, decision.json, submission.csv, report.html,
plots/; with build_scoring_pipelines fold{k}/model.pt as well -> scoring/

The rule that does it is chosen on the training images, each predicted by the network that never
saw it; what is printed first and kept in oof_iou.csv is scored by rules chosen without the image.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lib.artifacts.caveats import beside_scores, sentence
from lib.artifacts.decision import save_decision
from lib.artifacts.folds import TRAINING_ONLY, Folds
from lib.artifacts.inference_settings import InferenceSettings
from lib.artifacts.run import Run
from lib.artifacts.submission import save
from lib.config.command_line import run
from lib.config.fields import Config
from lib.data.layouts import load_settings
from lib.data.test_images import left_out_of_test, read_test_table
from lib.decision.results import results_of
from lib.decision.rule import Rule
from lib.decision.test_masks import encoded_masks
from lib.decision.text import (
    comparison,
    headline,
    presence_text,
    rule_text,
    score_table,
    subjects_text,
)
from lib.runtime.files import save_table
from tools.report.page import write_report


def main(config: Config) -> None:
    results = results_of(config)
    folds, decided = results.folds, results.decided
    audit, decision = results.audit, results.decision
    save_table(Run.of(config).scores, results.rows)
    save_decision(config, decision)
    tell(results.rows, decision, config)
    for name, found in zip(folds.classes, decided, strict=True):
        print(rule_text(name, found.rule))
    print(headline(decision))
    for caveat in decision["caveats"]:
        print(sentence(caveat))
    made = set(folds.table["fold"]) - {TRAINING_ONLY}
    if missing := made - set(config.fold_numbers):
        print(f"{len(missing)} of {len(made)} folds were not asked for and are not in the scores")
    print(f"every image's scores: {Run.of(config).scores}")
    rules = [found.rule for found in decided]
    left_out = left_out_of_test(audit, config)
    make_submission(folds, rules, left_out, results.unseen.inference, config)
    print(f"the page to inspect it all: {write_report(results)}")
    if config.build_scoring_pipelines:
        from tools.scoring.export import export  # slow to load

        print(f"the scoring pipeline: {export(config)}")


def tell(scores: pd.DataFrame, decision: dict[str, Any], config: Config) -> None:
    """The scores in tables."""
    print(score_table(scores) + beside_scores(decision["caveats"]))
    print(comparison(decision, config))
    for name, found in decision["presence"].items():
        print(presence_text(name, found, config.metric))
    if by_subject := subjects_text(decision):
        print(by_subject)
    if config.tune_decision and not decision["chosen_on_these_images"]:
        print(
            "NOTHING CHOSEN: all images are one group, so no rule can be scored on others than "
            "those that chose it: masks are the pixels above probability_threshold"
        )


def make_submission(
    folds: Folds,
    rules: Sequence[Rule],
    left_out: list[str],
    inference: InferenceSettings,
    config: Config,
) -> None:
    """submission.csv: a row a test image, and class where there are several, in the given order.

    `rules` are one a class, `inference` is how the images they were chosen on were
    predicted. The masks of the test images `left_out` are empty.
    """
    path = Run.of(config).submission
    test = read_test_table(config, left_out)
    if test is None:
        before = f"; {path} is from before" if path.is_file() else ""
        print(f"there is no test set, so no submission is written{before}")
        return
    masks = encoded_masks(test, folds, rules, inference, config)
    table = {
        (image, name): pixels
        for image, of_image in zip(test["image"], masks, strict=True)
        for name, pixels in zip(folds.classes, of_image, strict=True)
    }
    save(path, table)
    nerves = sum(any(of_image) for of_image in masks)
    print(f"the submission: {path}, {len(test)} test images, {nerves} with a nerve")


if __name__ == "__main__":
    run(main, __doc__, load_settings)
