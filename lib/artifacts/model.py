"""fold{k}/model.pt: weights, settings, fold, and the folds.csv it was trained on."""

import io
import sys
from pathlib import Path
from typing import NamedTuple

import torch

from lib.artifacts.folds import Folds
from lib.artifacts.run import Run
from lib.config.fields import (
    NETWORK_SETTINGS,
    TRAINING_SETTINGS,
    Config,
    differences,
    training_settings,
)
from lib.runtime.errors import InputError
from lib.runtime.files import existing, sha_of, written_whole

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
    encoder_sha: str = ""  # of the file of weights its encoder began with; "" where none is known


def save_model(
    config: Config,
    fold: int,
    folds: Folds,
    weights: dict[str, torch.Tensor],
    log: list[dict[str, float]],
    code: str = "",
    encoder_sha: str = "",
) -> None:
    """`folds` are those trained on, `code` the version of what trained it.

    `encoder_sha` is that of the file of weights which its encoder began with.

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
        "encoder_sha": encoder_sha,
        # Names that are one object each, as pickle writes those that are two in another way.
        "log": [{sys.intern(name): value for name, value in row.items()} for row in log],
    }
    buffer = io.BytesIO()  # torch.save puts the name of a path into the file
    torch.save(content, buffer)
    with written_whole(Run.of(config).model(fold), summed=True) as file:
        file.write(buffer.getbuffer())


def load_model(config: Config, fold: int, folds_sha: str) -> Model:
    """What save_model wrote; InputError for one of another folds.csv, fold or kind of network."""
    path = existing(Run.of(config).model(fold), "02_train.py")
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
    """A checkpoint's content; InputError where the file is not one, or not as it was written."""
    existing(path, "02_train.py")
    try:
        content = path.read_bytes()
        fields = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        settings = Config(**fields.pop("config"))
        return Model(**fields, config=settings, sha=sha_of(content))
    except Exception as error:  # torch.load raises what its many formats raise
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{path} is not a model of this version ({reason}): delete it and run 02_train.py"
        ) from error
