"""What two runs left -> tables and settings that can be compared, and what is wrong with them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from lib.artifacts.caveats import Caveat, read_caveats
from lib.config.fields import FIELDS, Config, differences
from lib.config.read import load_config
from lib.runtime.errors import InputError
from lib.runtime.files import existing

KEYS = ["image", "class_id"]  # of a row of oof_iou.csv; the second where there are several

METRICS = ("iou", "dice")

# Settings that name a run and change nothing in it.
NAMES = {"experiment_name", "runs_folder"}

SCORES, FOLDS, SETTINGS = "oof_iou.csv", "folds.csv", "config.yaml"

DECISION = "decision.json"


def _table(path: Path, columns: list[str], step: str) -> pd.DataFrame:
    """All cells as texts; InputError for a missing file or column, and an image named twice."""
    try:
        table = pd.read_csv(existing(path, step), dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a table that can be read ({error})") from None
    if missing := set(columns) - set(table.columns):
        raise InputError(f"{path} lacks the columns {sorted(missing)}: run {step} again")
    doubled = table.duplicated([key for key in KEYS if key in table])
    if doubled.any():
        raise InputError(f"{path}: {table.loc[doubled, 'image'].iloc[0]} stands there twice")
    return table


def read_scores(run: Path, folds: pd.DataFrame) -> pd.DataFrame:
    """oof_iou.csv: image, class_id where there are several, subject, true_area, iou, dice."""
    path, numbers = run / SCORES, ["true_area", *METRICS]
    table = _table(path, ["image", "subject", "fold", *numbers], "04_make_submission.py")
    if (table["image"].map(folds["fold"]) != table["fold"]).any():
        raise InputError(f"{path} is of another folds.csv than {run / FOLDS}: run 02 to 04 again")
    for name in numbers:
        values = pd.to_numeric(table[name], errors="coerce")
        if not np.isfinite(values).all():
            image = table.loc[~np.isfinite(values), "image"].iloc[0]
            raise InputError(f"{path}: the {name} of {image} is no number: run 04 again")
        table = table.assign(**{name: values})
    return table[[*(key for key in KEYS if key in table), "subject", *numbers]]


def read_folds(run: Path) -> pd.DataFrame:
    """folds.csv by image: fold, sha of the pixels, and one text of size and true masks."""
    table = _table(run / FOLDS, ["image", "fold", "height", "width", "sha"], "01_prepare_folds.py")
    masks = sorted(name for name in table.columns if name.startswith("rle_mask"))
    truth = table[["height", "width", *masks]].agg(",".join, axis=1)
    return table[["fold", "sha"]].assign(truth=truth).set_index(table["image"])


def caveats(run: Path) -> list[Caveat]:
    """What 04 says is to be known of the scores of a run; nothing where it was not run."""
    path, step = run / DECISION, "04_make_submission.py"
    if not path.is_file():
        return []
    try:
        found = json.loads(existing(path, step).read_bytes())["caveats"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{path} is damaged: run {step} again") from None
    return read_caveats(found, path, step)


def settings_of(run: Path) -> Config:
    """Of config.yaml, and of the first trained model, which knows what 02 was told on top of it."""
    config = load_config(run / SETTINGS)
    for model in sorted(run.glob("fold*/model.pt"))[:1]:
        config = _as_trained(config, model.parent)
    return config


def settings_that_differ(a: Path, b: Path, warnings: list[str]) -> list[str]:
    """Of config.yaml, and of a trained model, which knows what 02 was told on top of it.

    What 03 and 04 were told on top is written nowhere.
    """
    try:
        of_a, of_b = load_config(a / SETTINGS), load_config(b / SETTINGS)
    except InputError as error:
        warnings.append(f"the settings are not compared: {error}")
        return []
    trained = ({path.parent.name for path in run.glob("fold*/model.pt")} for run in (a, b))
    for fold in sorted(set.intersection(*trained))[:1]:
        try:
            of_a, of_b = _as_trained(of_a, a / fold), _as_trained(of_b, b / fold)
        except InputError as error:
            warnings.append(f"the settings of the models are not compared: {error}")
    return differences(of_a, of_b, FIELDS.keys() - NAMES)


def _as_trained(config: Config, folder: Path) -> Config:
    from lib.artifacts.model import MODEL_SETTINGS, read_model  # loads torch, which takes seconds

    model = read_model(folder / "model.pt").config
    return replace(config, **{name: getattr(model, name) for name in MODEL_SETTINGS})
