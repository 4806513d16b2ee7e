"""folds.csv: one row an image."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from lib import rle
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.runtime.errors import InputError
from lib.runtime.files import existing, save_table, sha_of, stable_hash

RLE = "rle_mask"

FOLD_COLUMNS = ["image", "height", "width", "subject", "group", "fold", "weight", "sha"]
WHERE = ["path", "spacing"]  # which runs made before there were these columns lack


def mask_columns(classes: Sequence[str]) -> list[str]:
    """The columns of run lengths: rle_mask for one class, else rle_mask_NAME for each."""
    return [RLE] if len(classes) == 1 else [f"{RLE}_{name}" for name in classes]


def masks_in(table: pd.DataFrame) -> list[str]:
    """The columns of run lengths that the table has."""
    return [name for name in table.columns if name == RLE or name.startswith(f"{RLE}_")]


def true_mask(row: Mapping[str, Any], column: str) -> rle.Mask:
    """Of a row of folds.csv: the mask (height, width) of its run lengths in `column`."""
    return rle.decode(row[column], (row["height"], row["width"]), row["image"])


def save_folds(config: Config, folds: pd.DataFrame) -> None:
    """Columns FOLD_COLUMNS and the run lengths; `subject` is "" where it is not known.

    `path` is the image's file, below data_folder; `spacing` its millimetres a pixel, down and
    across, "" where its file does not tell. The fold is -1 for an image that every network
    is trained on and none is scored on.
    """
    columns = ["image", *masks_in(folds), *FOLD_COLUMNS[1:], *(c for c in WHERE if c in folds)]
    save_table(Run.of(config).folds, folds[columns], summed=True)


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
    path = Run.of(config).folds
    others = sorted(Path(config.runs_folder).glob("*/config.yaml"))
    if not path.is_file() and others:
        raise InputError(
            f"{path} is missing: run 01_prepare_folds.py first, or name a run that is there, such "
            f"as --config {others[0]}"
        )
    path = existing(path, "01_prepare_folds.py")
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


TRAINING_ONLY = -1  # the fold of an image that is never held out


def mask_areas(table: pd.DataFrame, column: str) -> npt.NDArray[np.float64]:
    """Pixels of each row's mask."""
    pixels = [sum(map(int, text.split()[1::2])) for text in table[column]]
    return np.array(pixels, dtype=np.float64)


def training_rows(table: pd.DataFrame, fold: int, config: Config) -> pd.DataFrame:
    """The rows that the network of `fold` is trained on."""
    others = (table["fold"] != fold) | config.train_validation_data
    return _sampled(table[others & (table["weight"] > 0)], "Train", config)


def unseen_rows(table: pd.DataFrame, fold: int, config: Config) -> pd.DataFrame:
    """The rows that the network of `fold` is scored on."""
    return _sampled(table[table["fold"] == fold], "Validation", config)


def _sampled(rows: pd.DataFrame, name: str, config: Config) -> pd.DataFrame:
    """The share data_sample of the rows, as their names decide; at least one."""
    if config.data_sample == 1 or name not in config.data_sample_choice:
        return rows.reset_index(drop=True)
    hashes = rows["image"].map(lambda image: stable_hash("sample", image))
    chosen = hashes.sort_values(kind="stable").index[
        : max(1, round(config.data_sample * len(rows)))
    ]
    return rows.loc[chosen.sort_values()].reset_index(drop=True)
