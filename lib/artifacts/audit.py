"""folds_audit.json: the inventory, and what the folds share; quarantine.csv: what was left out."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from lib.artifacts.folds import Folds, folds_path
from lib.artifacts.run import run_folder
from lib.config.fields import (
    Config,
)
from lib.runtime.errors import InputError
from lib.runtime.files import existing, save_json, save_table, sha_of

# folds_audit.json: the inventory, and what the folds share; quarantine.csv, duplicates.csv,
# contradictions.csv: the images it counts


def audit_path(config: Config) -> Path:
    return run_folder(config) / "folds_audit.json"


def save_audit(config: Config, audit: dict[str, Any]) -> None:
    """With the sha of the folds.csv it is of."""
    sha = sha_of(folds_path(config).read_bytes())
    save_json(audit_path(config), {"folds_sha": sha} | audit)


def load_audit(config: Config, folds: Folds) -> dict[str, Any]:
    path = existing(audit_path(config), "01_prepare_folds.py")
    try:
        audit: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError:
        audit = {}
    if audit.get("folds_sha") != folds.sha:
        raise InputError(f"{path} is of another folds.csv: run 01_prepare_folds.py again")
    return audit


def quarantine_path(config: Config) -> Path:
    return run_folder(config) / "quarantine.csv"


def save_quarantine(config: Config, train: dict[str, str], test: dict[str, str]) -> None:
    """Columns part, image, reason: a row an image that was left out."""
    rows = [
        {"part": part, "image": image, "reason": reason}
        for part, images in (("train", train), ("test", test))
        for image, reason in images.items()
    ]
    save_table(quarantine_path(config), pd.DataFrame(rows, columns=["part", "image", "reason"]))


def quarantined_tests(config: Config) -> list[str]:
    """The test images that 01 left out."""
    path = existing(quarantine_path(config), "01_prepare_folds.py")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return table["image"][table["part"] == "test"].tolist()
