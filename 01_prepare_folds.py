"""Reads and checks all images and labels, and divides the images into folds.

data -> runs/<experiment_name>/folds.csv, folds_audit.json, config.yaml
"""

import pandas as pd

from lib.artifacts import (
    folds_path,
    save_audit,
    save_config,
    save_folds,
    sha,
    with_drawn_seed,
)
from lib.config import Config, run
from lib.folds import assign_folds, audit, merge_twins
from lib.sources import check_images, read_test_table, read_training_table


def main(config: Config) -> None:
    config = with_drawn_seed(config)
    table = read_training_table(config)
    test = read_test_table(config)
    if test is not None:
        check_images(test)
    if config.validation_strategy == "grouped":
        table["group"] = merge_twins(table)
    folds = table.assign(fold=assign_folds(table, config.n_folds))
    before = sha(folds_path(config)) if folds_path(config).is_file() else None
    save_config(config)
    save_folds(config, folds)
    findings = audit(folds, config.validation_strategy)
    findings["test_images"] = 0 if test is None else len(test)
    save_audit(config, findings)
    report(findings)
    unchanged = " (unchanged)" if before == sha(folds_path(config)) else ""
    print(f"{folds_path(config)}{unchanged}")


def report(findings: dict) -> None:
    """Prints the counts, and everything that could flatter a score."""
    print(pd.DataFrame(findings["folds"]).to_string(index=False))
    print(
        f"{findings['images']} images, {findings['with_nerve']} with a nerve, "
        f"{findings['subjects'] or 'unknown'} subjects, {findings['test_images']} test images; "
        f"height x width: {', '.join(f'{size} ({n})' for size, n in findings['sizes'].items())}"
    )
    if findings["subjects_split"]:
        print(
            f"LEAK: {findings['subjects_split']} subjects stand in several folds: the scores of "
            "this run flatter. validation_strategy=grouped keeps each subject in one fold."
        )
    if findings["identical_images_split"]:
        print(
            f"LEAK: {findings['identical_images_split']} image files stand in several folds under "
            "different names: see identical_images in folds_audit.json."
        )


if __name__ == "__main__":
    run(main, __doc__)
