"""What a run was made with: settings, hardware, versions, files."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lib.artifacts.probabilities import Probabilities
from lib.artifacts.run import Run
from lib.config.fields import DEFAULTS, FIELDS, Config
from lib.decision.results import Results
from lib.runtime.files import sha_of
from tools.compare.files import NAMES
from tools.watch.speed import load_speed

PACKAGES = ("torch", "segmentation-models-pytorch", "timm", "albumentations", "numpy")


def speeds(config: Config) -> list[dict[str, Any]]:
    """Of each fold whose speed.csv is there, what it says last."""
    found = []
    for fold in config.fold_numbers:
        path = Run.of(config).speed(fold)
        table = load_speed(path)
        if len(table):
            found.append({"fold": fold, **table.iloc[-1].to_dict()})
    return found


def other_settings(config: Config) -> list[dict[str, str]]:
    """Settings that are not those of the reference experiment, but for the run's name."""
    return [
        {
            "name": name,
            "value": without_path(getattr(config, name)),
            "reference": without_path(getattr(DEFAULTS, name)),
            "about": item.metadata["about"],
        }
        for name, item in FIELDS.items()
        if name not in NAMES and getattr(config, name) != getattr(DEFAULTS, name)
    ]


def without_path(value: Any) -> str:
    """As text; of a path of this machine, or a list of them, the last name only."""
    if isinstance(value, list) and value and isinstance(value[0], str):
        return str(list(map(without_path, value)))
    text = str(value)
    return Path(text).name if Path(text).is_absolute() else text


def versions() -> dict[str, str]:
    return {"Python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def hashes(results: Results) -> dict[str, str]:
    """Of what the scores were made from, and of the submission."""
    found = {"folds.csv": results.folds.sha}
    for fold in results.config.fold_numbers:
        path = Run.of(results.config).oof(fold)
        with Probabilities(path) as probabilities:
            origins = probabilities.provenance["models"]
        for origin, sha in origins.items():
            run = results.config.ensemble and f"{without_path(origin)}/{path.name}"
            found[run or f"fold{origin}/model.pt"] = sha
    for name in ("oof_iou.csv", "decision.json", "submission.csv"):
        path = Run.of(results.config).folder / name
        if path.is_file():
            found[name] = sha_of(path.read_bytes())
    return found
