"""Reads and checks all images and labels, and divides the images into folds.

data -> runs/<experiment_name>/folds.csv, folds_audit.json, config.yaml
"""

import pandas as pd

from lib.artifacts import (
    folds_path,
    save_audit,
    save_config,
    save_folds,
    with_drawn_seed,
)
from lib.config import Config, run
from lib.folds import assign_folds, audit, leaks, merge_twins
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
    path = folds_path(config)
    before = path.read_bytes() if path.is_file() else None
    save_config(config)
    save_folds(config, folds)
    findings = audit(folds, config.validation_strategy)
    findings["test_images"] = 0 if test is None else len(test)
    save_audit(config, findings)
    report(findings)
    print(f"{path}{' (unchanged)' if before == path.read_bytes() else ''}")


def report(findings: dict) -> None:
    """Prints the counts, and everything that could flatter a score."""
    print(pd.DataFrame(findings["folds"]).to_string(index=False))
    print(
        f"{findings['images']} images, {findings['with_nerve']} with a nerve, "
        f"{findings['subjects'] or 'unknown'} subjects, {findings['test_images']} test images; "
        f"height x width: {', '.join(f'{size} ({n})' for size, n in findings['sizes'].items())}"
    )
    for leak in leaks(findings):
        print(leak)


if __name__ == "__main__":
    run(main, __doc__)
