"""Turns probabilities into masks: scores those of the training images, submits those of the test.

oof_fold{k}.npz, test.npz, folds.csv -> oof_iou.csv, oof_masks.npz, decision.json, submission.csv,
test_masks.npz, test_iou.csv (where the test set has labels), readers.csv (where images are labelled
twice), report.html, plots/; with build_scoring_pipelines fold{k}/model.pt as well -> scoring/

The rule that does it is chosen on the training images, each predicted by the network that never
saw it; what is printed first and kept in oof_iou.csv is scored by rules chosen without the image.
"""

from collections.abc import Sequence
from typing import Any

from lib.artifacts.alone import alone
from lib.artifacts.decision import save_decision
from lib.artifacts.folds import TRAINING_ONLY, Folds
from lib.artifacts.inference_settings import InferenceSettings
from lib.artifacts.masks import save_masks
from lib.artifacts.run import Run
from lib.artifacts.submission import images_in, save
from lib.config.command_line import run
from lib.config.fields import Config
from lib.data.images_of_test import left_out_of_test, read_test_table
from lib.data.layouts import load_settings
from lib.decision.masks_of_test import drawn_masks
from lib.decision.results import Results, results_of
from lib.decision.rule import Rule
from lib.decision.scores_of_test import scores_of_test
from lib.decision.text import told
from lib.readers.summary import with_readers
from lib.readers.text import readers_text
from lib.runtime.files import save_table
from tools.report.page import write_report


def main(config: Config) -> None:
    with alone(config, "04_make_submission.py"):
        decide_and_submit(config)


def decide_and_submit(config: Config) -> None:
    results = with_readers(results_of(config))
    folds, audit, decision = results.folds, results.audit, results.decision
    save_table(Run.of(config).scores, results.rows, summed=True)
    save_masks(Run.of(config).oof_masks, results.drawn)
    rules = [found.rule for found in results.decided]
    save_readers(results)
    print(told(results.rows, decision, rules, config))
    made = set(folds.table["fold"]) - {TRAINING_ONLY}
    if missing := made - set(config.fold_numbers):
        print(f"{len(missing)} of {len(made)} folds were not asked for and are not in the scores")
    print(f"every image's scores: {Run.of(config).scores}; its mask: {Run.of(config).oof_masks}")
    left_out = left_out_of_test(audit, config)
    scores = make_submission(folds, rules, left_out, results.unseen.inference, config)
    results = results._replace(decision=decision | {"test_scores": scores})
    save_decision(config, results.decision)
    print(f"the page to inspect it all: {write_report(results)}")
    if config.build_scoring_pipelines:
        from tools.scoring.export import export  # slow to load

        print(f"the scoring pipeline: {export(config)}")


def save_readers(results: Results) -> None:
    """readers.csv, and what is in it; no such file where nobody labelled an image twice."""
    path = Run.of(results.config).readers
    if results.readers is None:
        path.unlink(missing_ok=True)
        return
    save_table(path, results.readers)
    print(readers_text(results.decision["readers"]))


def make_submission(
    folds: Folds,
    rules: Sequence[Rule],
    left_out: list[str],
    inference: InferenceSettings,
    config: Config,
) -> dict[str, Any] | None:
    """submission.csv: a row a test image, and class where there are several, in the given order.

    `rules` are one a class, `inference` is how the images they were chosen on were
    predicted. The masks of the test images `left_out` are empty. Returns the scores of the
    test images that have a label.
    """
    path = Run.of(config).submission
    test = read_test_table(config, left_out)
    if test is None:
        before = f"; {path} is from before" if path.is_file() else ""
        print(f"there is no test set, so no submission is written{before}")
        return None
    drawn = drawn_masks(test, folds, rules, inference, config)
    unused = [""] * len(rules)
    runs = {image: drawn[image].runs if image in drawn else unused for image in test["image"]}
    table = {
        (image, name): pixels
        for image, of_image in runs.items()
        for name, pixels in zip(folds.classes, of_image, strict=True)
    }
    if path.is_file() and (others := images_in(path)) != set(test["image"]):
        print(f"{path} held {len(others)} other test images and is replaced")
    save(path, table)
    save_masks(Run.of(config).test_masks, drawn)
    nerves = sum(map(any, runs.values()))
    print(f"the submission: {path}, {len(test)} test images, {nerves} with a nerve")
    return scores_of_test(test, drawn, folds, config)


if __name__ == "__main__":
    run(main, __doc__, load_settings)
