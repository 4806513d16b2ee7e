"""decision.json: the rule and its scores."""

import json
from typing import Any

from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.runtime.errors import InputError
from lib.runtime.files import existing, save_json, sha_of


def save_decision(config: Config, decision: dict[str, Any]) -> None:
    """With the sha of each fold's model that it was chosen for."""
    save_json(Run.of(config).decision, decision | {"models": _model_shas(config)}, summed=True)


def load_decision(config: Config) -> dict[str, Any]:
    """InputError where it was not chosen for the present models."""
    path = existing(Run.of(config).decision, "04_make_submission.py")
    try:
        decision: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError:
        decision = {}
    if decision.get("models") != _model_shas(config):
        raise InputError(
            f"{path} was chosen for other models than the present: run 03_infer.py and "
            "04_make_submission.py"
        )
    if not {"inference", "quality"} <= decision.keys():
        raise InputError(f"{path} is of an older version: run 04_make_submission.py")
    return decision


def _model_shas(config: Config) -> dict[str, str]:
    run = Run.of(config)
    trained = run.trained(config.fold_numbers)
    return {str(fold): sha_of(run.model(fold).read_bytes()) for fold in trained}
