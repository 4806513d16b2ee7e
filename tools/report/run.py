"""A run's folder -> its results, for a page that is made by hand."""

from dataclasses import replace
from pathlib import Path

from lib.artifacts.run import Run
from lib.decision.results import Results, results_of
from lib.readers.summary import with_readers
from lib.runtime.errors import InputError


def read_run(folder: Path, overrides: list[str]) -> Results:
    """The results of a run as 01 to 03 left it, of the folds that have probabilities.

    `overrides` are key=value settings. InputError where the folder is no such run.
    """
    run = Run(folder)
    config = run.config(overrides)
    there = run.predicted(config.fold_numbers)
    if missing := set(config.fold_numbers) - set(there):
        print(f"without folds {sorted(missing)}, whose probabilities are missing: run 03_infer.py")
    if not there:
        raise InputError(f"{folder} has no probabilities of any fold: run 03_infer.py first")
    return with_readers(results_of(replace(config, folds=list(map(str, there)))))
