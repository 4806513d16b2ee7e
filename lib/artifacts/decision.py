"""decision.json: the rule and its scores."""

import json
from pathlib import Path
from typing import Any

from lib.artifacts.model import model_path
from lib.artifacts.run import run_folder
from lib.config.fields import (
    Config,
)
from lib.runtime.errors import InputError
from lib.runtime.files import existing, save_json, sha_of

# decision.json: the rule and its scores


def decision_path(config: Config) -> Path:
    return run_folder(config) / "decision.json"


def save_decision(config: Config, decision: dict[str, Any]) -> None:
    """With the sha of each fold's model that it was chosen for."""
    save_json(decision_path(config), decision | {"models": _model_shas(config)})


def load_decision(config: Config) -> dict[str, Any]:
    """InputError where it was not chosen for the present models."""
    path = existing(decision_path(config), "04_make_submission.py")
    try:
        decision: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError:
        decision = {}
    if decision.get("models") != _model_shas(config):
        raise InputError(
            f"{path} was chosen for other models than the present: run 03_infer.py and "
            "04_make_submission.py"
        )
    if "way" not in decision:
        raise InputError(f"{path} is of an older version: run 04_make_submission.py")
    return decision


def _model_shas(config: Config) -> dict[str, str]:
    paths = {str(fold): model_path(config, fold) for fold in config.fold_numbers}
    return {fold: sha_of(path.read_bytes()) for fold, path in paths.items() if path.is_file()}
