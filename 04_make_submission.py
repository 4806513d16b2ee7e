"""Turns probabilities into masks: scores those of the training images, submits those of the test.

oof_fold{k}.npz, test.npz, folds.csv -> oof_iou.csv, oof_masks.npz, decision.json, submission.csv,
test_masks.npz, test_quality.csv, test_iou.csv (where the test set has labels), readers.csv (where
images are labelled twice), report.html, plots/; with build_scoring_pipelines fold{k}/model.pt as
well -> scoring/

The rule that does it is chosen on the training images, each predicted by the network that never
saw it; what is printed first and kept in oof_iou.csv is scored by rules chosen without the image.
"""

from typing import Any

from lib.artifacts.alone import alone
from lib.artifacts.decision import save_decision
from lib.artifacts.folds import TRAINING_ONLY
from lib.artifacts.masks import save_masks
from lib.artifacts.run import Run
from lib.artifacts.submission import images_in, save
from lib.config.command_line import run
from lib.config.fields import Config
from lib.data.images_of_test import left_out_of_test, read_test_table
from lib.data.layouts import load_settings
from lib.decision.of_test.masks import masks_of_test
from lib.decision.of_test.quality import quality_of_test
from lib.decision.of_test.scores import scores_of_test
from lib.decision.results import Results, results_of
from lib.decision.text import told
from lib.readers.summary import with_readers
from lib.readers.text import save_readers
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
    save_readers(results)
    print(told(results.rows, decision, results.rules, config))
    made = set(folds.table["fold"]) - {TRAINING_ONLY}
    if missing := made - set(config.fold_numbers):
        print(f"{len(missing)} of {len(made)} folds were not asked for and are not in the scores")
    print(f"every image's scores: {Run.of(config).scores}; its mask: {Run.of(config).oof_masks}")
    left_out = left_out_of_test(audit, config)
    scores = make_submission(results, left_out)
    results = results._replace(decision=decision | {"test_scores": scores})
    save_decision(config, results.decision)
    print(f"the page to inspect it all: {write_report(results)}")
    if config.build_scoring_pipelines:
        from tools.scoring.export import export  # slow to load

        print(f"the scoring pipeline: {export(config)}")


def make_submission(results: Results, left_out: list[str]) -> dict[str, Any] | None:
    """submission.csv: a row a test image, and class where there are several, in the given order.

    The masks of the test images `left_out` are empty. Returns the scores of the test images that
    have a label.
    """
    config, folds = results.config, results.folds
    path = Run.of(config).submission
    test = read_test_table(config, left_out)
    if test is None:
        before = f"; {path} is from before" if path.is_file() else ""
        print(f"there is no test set, so no submission is written{before}")
        return None
    masks = masks_of_test(test, folds, results.rules, results.unseen.inference, config)
    drawn, unused = masks.drawn, [""] * len(folds.classes)
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
    steps = results.decision["quality"]["unlike"]
    quality_of_test(test, masks, results.expected, steps, folds, config)
    return scores_of_test(test, drawn, folds, config)


if __name__ == "__main__":
    run(main, __doc__, load_settings)
