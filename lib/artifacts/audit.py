"""folds_audit.json: the inventory, and what the folds share; quarantine.csv: what was left out."""

import json
from typing import Any

import pandas as pd

from lib.artifacts.caveats import read_caveats
from lib.artifacts.folds import Folds
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.runtime.errors import InputError
from lib.runtime.files import existing, save_json, save_table, sha_of


def save_audit(config: Config, audit: dict[str, Any]) -> None:
    """With the sha of the folds.csv it is of."""
    sha = sha_of(Run.of(config).folds.read_bytes())
    save_json(Run.of(config).audit, {"folds_sha": sha} | audit, summed=True)


def load_audit(config: Config, folds: Folds) -> dict[str, Any]:
    """InputError too where a table beside it, which a person reads, is not as it was written."""
    run = Run.of(config)
    path = existing(run.audit, "01_prepare_folds.py")
    for table in (run.duplicates, run.contradictions, run.quarantine):
        if table.is_file():
            existing(table, "01_prepare_folds.py")
    try:
        audit: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError:
        audit = {}
    if audit.get("folds_sha") != folds.sha:
        raise InputError(f"{path} is of another folds.csv: run 01_prepare_folds.py again")
    read_caveats(audit.get("leaks"), path, "01_prepare_folds.py")
    return audit


def save_quarantine(config: Config, train: dict[str, str], test: dict[str, str]) -> None:
    """Columns part, image, reason: a row an image that was left out."""
    rows = [
        {"part": part, "image": image, "reason": reason}
        for part, images in (("train", train), ("test", test))
        for image, reason in images.items()
    ]
    table = pd.DataFrame(rows, columns=["part", "image", "reason"])
    save_table(Run.of(config).quarantine, table, summed=True)


def quarantined_tests(config: Config) -> list[str]:
    """The test images that 01 left out."""
    path = existing(Run.of(config).quarantine, "01_prepare_folds.py")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return table["image"][table["part"] == "test"].tolist()
