"""The files of a run that the texts quote, by the names that a reader finds them by."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from lib.artifacts.caveats import marks
from lib.artifacts.decision import load_decision
from lib.artifacts.model import MODEL_SETTINGS, read_model
from lib.artifacts.run import Run
from lib.config.fields import FIELDS, Config
from lib.decision.results import Results
from lib.runtime.errors import InputError
from lib.runtime.files import existing
from tools.report.made_with import versions, without_path
from tools.report.run import read_run
from tools.report.tables import training_log
from tools.watch.speed import load_speed

GIVEN = "settings given to tools.print"
INSTALLED = "packages installed when this was written"
ALL_SPEEDS = "fold*/speed.csv"
SECONDS = "sum of training_seconds and validation_seconds"
SEEN, EPOCH_CHOSEN = "NOT OUT OF FOLD", "EPOCH CHOSEN ON THESE IMAGES"  # of lib/artifacts/caveats
PLACES = 6  # digits to which scores that are computed again have to be those of the file


def read_finished(folder: Path, overrides: list[str]) -> Results:
    """The results of a run that 04 has scored, with the content of its decision.json.

    InputError where that file has other scores than the probabilities give with these settings.
    """
    results = read_run(folder, overrides)
    decision = load_decision(results.config)
    again = json.loads(json.dumps(results.decision))
    if differing := [key for key in again if rounded(again[key]) != rounded(decision.get(key))]:
        raise InputError(
            f"{Run.of(results.config).decision} differs from what the probabilities give in "
            f"{', '.join(differing)}: give the key=value settings that 04_make_submission.py was "
            "given, or run it again"
        )
    if "inventory" not in results.audit:
        raise InputError(
            f"{Run.of(results.config).audit} is of an older version: run 01_prepare_folds.py again"
        )
    return results._replace(decision={"test_scores": None, "readers": None} | decision)


def rounded(content: Any) -> Any:
    """The same with fractions of PLACES digits: sums differ in the last from machine to machine."""
    if isinstance(content, dict):
        return {name: rounded(value) for name, value in content.items()}
    if isinstance(content, list):
        return [rounded(value) for value in content]
    return round(content, PLACES) if isinstance(content, float) else content


def files_of(results: Results) -> dict[str, Any]:
    """Contents by name, as tools.print.facts looks them up."""
    kept, given = settings_of(results.config)
    files = {
        "folds_audit.json": results.audit,
        "decision.json": results.decision,
        "config.yaml": kept,
        GIVEN: given,
        INSTALLED: versions(),
    }
    return files | _speeds(results.config)


def settings_of(config: Config) -> tuple[dict[str, Any], dict[str, Any]]:
    """Those of config.yaml in their sections, and by name those that this run was read with."""
    path = existing(Run.of(config).settings, "01_prepare_folds.py")
    kept: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    given = {
        name: getattr(config, name) for name in FIELDS if _kept(kept, name) != getattr(config, name)
    }
    return kept, given


def _kept(kept: dict[str, Any], name: str) -> Any:
    section = FIELDS[name].metadata["section"]
    return (kept.get(section, {}) if section else kept).get(name)


def _speeds(config: Config) -> dict[str, Any]:
    """The last row of each fold's speed.csv, and the seconds of all; none without such files."""
    tables = {
        f"fold{k}/speed.csv": load_speed(Run.of(config).speed(k)) for k in config.fold_numbers
    }
    there = {name: table for name, table in tables.items() if len(table)}
    if not there:
        return {}
    whole = pd.concat(there.values())
    seconds = float(whole[["training_seconds", "validation_seconds"]].to_numpy().sum())
    rows = {name: {"last row": table.iloc[-1].to_dict()} for name, table in there.items()}
    return rows | {ALL_SPEEDS: {SECONDS: seconds}}


def has_mark(results: Results, mark: str) -> bool:
    """Whether it stands beside the scores, whatever config.yaml says of the training."""
    return mark in marks(results.decision["caveats"])


def changed_settings(results: Results) -> list[str]:
    """What a network was trained with where config.yaml says something else, a line each."""
    config, lines = results.config, []
    for fold in Run.of(config).trained(config.fold_numbers):
        model = read_model(Run.of(config).model(fold))
        for name in MODEL_SETTINGS:
            there, here = getattr(model.config, name), getattr(config, name)
            if there != here:
                values = f"{without_path(there)}, {without_path(here)}"
                lines.append(f"fold {fold}, {name}: {values}")
    return lines


def epochs_of(config: Config) -> dict[str, int]:
    """The last epoch of each fold's log.csv, by the fold."""
    log = training_log(config)
    return {str(fold): int(last) for fold, last in log.groupby("fold")["epoch"].max().items()}
