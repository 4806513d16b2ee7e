"""The files that the steps hand on, in runs/<experiment_name>/: for each one path, save, load.

Probability files have lib/probabilities.py for themselves.
"""

import io
import json
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from lib import rle
from lib.config import (
    NETWORK_SETTINGS,
    TRAINING_SETTINGS,
    Config,
    InputError,
    differences,
    load_config,
    to_yaml,
    training_settings,
)
from lib.files import existing, save_json, save_table, sha_of, written_whole


def run_folder(config: Config) -> Path:
    return Path(config.runs_folder) / config.experiment_name


# config.yaml: every setting of the run


def save_config(config: Config) -> None:
    with written_whole(run_folder(config) / "config.yaml") as file:
        file.write(to_yaml(config).encode())


def with_drawn_seed(config: Config) -> Config:
    """Where the seed is -1, that of the run's config.yaml, else one drawn now; prints it."""
    if config.seed != -1:
        return config
    path = run_folder(config) / "config.yaml"
    if path.is_file():
        seed, origin = load_config(path).seed, f"kept in {path}"
    else:
        seed, origin = random.SystemRandom().randrange(1_000_000), "drawn"
    print(f"seed: {seed} ({origin})")
    return replace(config, seed=seed)


# folds.csv: one row an image


RLE = "rle_mask"
FOLD_COLUMNS = ["image", "height", "width", "subject", "group", "fold", "weight", "sha"]


def mask_columns(classes: Sequence[str]) -> list[str]:
    """The columns of run lengths: rle_mask for one class, else rle_mask_NAME for each."""
    return [RLE] if len(classes) == 1 else [f"{RLE}_{name}" for name in classes]


def masks_in(table: pd.DataFrame) -> list[str]:
    """The columns of run lengths that the table has."""
    return [name for name in table.columns if name == RLE or name.startswith(f"{RLE}_")]


def true_mask(row: Mapping[str, Any], column: str) -> rle.Mask:
    """Of a row of folds.csv: the mask (height, width) of its run lengths in `column`."""
    return rle.decode(row[column], (row["height"], row["width"]), row["image"])


def folds_path(config: Config) -> Path:
    return run_folder(config) / "folds.csv"


def save_folds(config: Config, folds: pd.DataFrame) -> None:
    """Columns FOLD_COLUMNS and the run lengths; `subject` is "" where it is not known.

    The fold is -1 for an image that every network is trained on and none is scored on.
    """
    save_table(folds_path(config), folds[["image", *masks_in(folds), *FOLD_COLUMNS[1:]]])


class Folds(NamedTuple):
    table: pd.DataFrame  # texts, but height, width, fold whole numbers, and weight
    sha: str  # of the file's content

    @property
    def masks(self) -> list[str]:
        """The columns of run lengths, one a class."""
        return masks_in(self.table)

    @property
    def classes(self) -> list[str]:
        """Names of the classes; [""] where there is only one."""
        return [name.removeprefix(RLE).removeprefix("_") for name in self.masks]

    @property
    def class_names(self) -> list[str]:
        """The same, the only one being called nerve."""
        return [name or "nerve" for name in self.classes]


def load_folds(config: Config) -> Folds:
    """The table of 01; InputError where it has not the folds that `folds` asks for."""
    path = existing(folds_path(config), "01_prepare_folds.py")
    content = path.read_bytes()
    table = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
    needed = {*FOLD_COLUMNS, *(masks_in(table) or [RLE])}
    if missing := needed - set(table.columns):
        raise InputError(f"{path} lacks the columns {sorted(missing)}: run 01_prepare_folds.py")
    if strange := set(map(str, config.fold_numbers)) - set(table["fold"]):
        raise InputError(
            f"{path} has the folds {sorted(set(table['fold']))}, not {sorted(strange)}: give the "
            "validation_strategy, n_folds and folds that 01_prepare_folds.py was run with, or run "
            "it again"
        )
    numbers = {"height": int, "width": int, "fold": int, "weight": float}
    return Folds(table.astype(numbers), sha_of(content))


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


# fold{k}/model.pt: weights, settings, fold, and the folds.csv it was trained on


def model_path(config: Config, fold: int) -> Path:
    return run_folder(config) / f"fold{fold}" / "model.pt"


# The settings that every model depends on; others, such as the number of workers, none knows.
MODEL_SETTINGS = sorted(NETWORK_SETTINGS | TRAINING_SETTINGS)


class Model(NamedTuple):
    """The content of a model.pt."""

    weights: dict[str, torch.Tensor]
    classes: list[str]
    config: Config  # of the settings it depends on, the others at their defaults
    fold: int
    folds_sha: str
    log: list[dict[str, float]]  # a row an epoch
    sha: str  # of the file
    code: str = ""  # version of what trained it; "" where the file is from before it was kept


def save_model(
    config: Config,
    fold: int,
    folds: Folds,
    weights: dict[str, torch.Tensor],
    log: list[dict[str, float]],
    code: str = "",
) -> None:
    """`folds` are those trained on, `code` the version of what trained it.

    The same model gives the same bytes.
    """
    names = sorted(NETWORK_SETTINGS | training_settings(config))
    content = {
        "weights": {name: tensor.cpu().contiguous() for name, tensor in weights.items()},
        "classes": folds.classes,
        "config": {name: getattr(config, name) for name in names},
        "fold": fold,
        "folds_sha": folds.sha,
        "code": code,
        # Names that are one object each, as pickle writes those that are two in another way.
        "log": [{sys.intern(name): value for name, value in row.items()} for row in log],
    }
    buffer = io.BytesIO()  # torch.save puts the name of a path into the file
    torch.save(content, buffer)
    with written_whole(model_path(config, fold)) as file:
        file.write(buffer.getbuffer())


def load_model(config: Config, fold: int, folds_sha: str) -> Model:
    """What save_model wrote; InputError for one of another folds.csv, fold or kind of network."""
    path = existing(model_path(config, fold), "02_train.py")
    model = read_model(path)
    if model.fold != fold:
        raise InputError(f"{path} is the model of fold {model.fold}: run 02_train.py again")
    if model.folds_sha != folds_sha:
        raise InputError(
            f"{path} was trained on another folds.csv, so images it has seen could be scored as "
            "unseen: run 02_train.py again"
        )
    if changed := differences(config, model.config, NETWORK_SETTINGS):
        raise InputError(
            f"{path} was trained with other settings (asked for, trained with):\n  "
            + "\n  ".join(changed)
        )
    return model


def read_model(path: Path) -> Model:
    """A checkpoint's content; InputError where the file is not one."""
    try:
        content = path.read_bytes()
        parts = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        settings = Config(**parts.pop("config"))
        return Model(**parts, config=settings, sha=sha_of(content))
    except Exception as error:  # torch.load raises what its many formats raise
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{path} is not a model of this version ({reason}): delete it and run 02_train.py"
        ) from error


# fold{k}/state.pt: all that a training needs to go on; state.before.pt: the one before


def state_path(config: Config, fold: int) -> Path:
    return model_path(config, fold).with_name("state.pt")


def save_state(config: Config, fold: int, state: dict[str, Any]) -> None:
    """Keeps the one before, which is deleted when the next is whole."""
    path = state_path(config, fold)
    with written_whole(path.with_name("state.new.pt")) as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # so torch's writer calls a full disk
            raise InputError(f"{path}: cannot be written; is the disk full? ({error})") from error
    if path.is_file():
        path.replace(path.with_name("state.before.pt"))
    path.with_name("state.new.pt").replace(path)


def delete_state_before(config: Config, fold: int) -> None:
    """Of a training that is finished, one state is enough."""
    state_path(config, fold).with_name("state.before.pt").unlink(missing_ok=True)


def load_state(config: Config, fold: int) -> dict[str, Any] | None:
    """The last state that is whole; says which are not. None where there is none."""
    path = state_path(config, fold)
    for candidate in (path, path.with_name("state.before.pt")):
        if not candidate.is_file():
            continue
        try:
            state: dict[str, Any] = torch.load(candidate, map_location="cpu", weights_only=True)
            return state
        except Exception as error:  # torch.load raises what its many formats raise
            reason = str(error).partition("\n")[0]
            print(f"{candidate} is damaged and is not used ({reason})")
    return None


# fold{k}/log.csv: a row an epoch


def log_path(config: Config, fold: int) -> Path:
    return model_path(config, fold).with_name("log.csv")


def save_log(config: Config, fold: int, rows: list[dict[str, float]]) -> None:
    save_table(log_path(config, fold), pd.DataFrame(rows))


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


# mask_pca.npz: the shapes that masks are projected on, where a rule does that


def shapes_path(config: Config) -> Path:
    return run_folder(config) / "mask_pca.npz"


def save_shapes(config: Config, shapes: Mapping[str, Any]) -> None:
    """Of each class by name, lib.shapes.Shapes or None: float32 NAME_mean, NAME_components.

    Where there are none, no file is left.
    """
    members = {
        f"{name}_{part}": array
        for name, found in shapes.items()
        if found is not None
        for part, array in found._asdict().items()
    }
    path = shapes_path(config)
    if not members:
        path.unlink(missing_ok=True)
        return
    with written_whole(path) as file:
        np.savez(file, allow_pickle=False, **members)


def load_shapes(config: Config) -> dict[str, npt.NDArray[np.float32]]:
    """The members of the file by their names; none where there is no file."""
    path = shapes_path(config)
    if not path.is_file():
        return {}
    with np.load(path) as members:
        return dict(members)
