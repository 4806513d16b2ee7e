"""Tables of the competition and of Hydrogen Torch -> the labels of each image, in their words."""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from lib.config.fields import DEFAULTS, Config
from lib.data.pictures import ImageFile, composed
from lib.data.tables import read_table, require_columns, text_of
from lib.runtime.errors import InputError

KAGGLE_COLUMNS = ["subject", "img", "pixels"]
MOST_CLASSES = 50
ONE_CLASS = "nerve"


@dataclass
class Label:
    """What is told about one image. Empty texts are what nobody tells."""

    subject: str = ""
    group: str = ""
    fold: str = ""
    # By class: run lengths, to be joined; none is an empty mask. No class: only files tell.
    runs: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)  # by class: a mask file that a table names
    masks: dict[str, list[ImageFile]] = field(default_factory=dict)  # by class: all mask files
    drawn: dict[str, list[str]] = field(default_factory=dict)  # by class: what they hold, as `runs`
    drawn_size: tuple[int, int] | None = None  # height and width of the mask files
    drawn_from: str = ""  # the name of the last of them
    size: tuple[int, int] | None = None  # height and width, where the labels tell
    validation: bool = False  # of validation_dataframe
    ours: bool = False  # `runs` are in the house's convention, whatever the settings say
    error: str = ""  # why the label cannot be used


class Labels(NamedTuple):
    by_image: dict[str, Label]
    classes: list[str]
    origin: str  # for a person


def is_label_table(path: Path) -> bool:
    """Whether the table tells of labels, and is none of a test set."""
    if path.name.startswith(("test", "sample_submission", "submission")):
        return False
    try:
        columns = set(read_table(path, "train_dataframe").columns)
    except InputError:
        return path.name.startswith("train")  # to be told what is wrong with it
    return set(KAGGLE_COLUMNS) <= columns or "rle_mask" in columns


def read_label_table(path: Path, name: str, config: Config) -> Labels:
    """Of a table of the competition or of Hydrogen Torch; `name` is the setting that gave it."""
    table = read_table(path, name)
    if set(KAGGLE_COLUMNS) <= set(table.columns):
        return _labels_of_kaggle(table, config)
    return _labels_of_table(table, str(path), config)


def _labels_of_kaggle(table: pd.DataFrame, config: Config) -> Labels:
    by_image: dict[str, Label] = {}
    for row in table.to_dict("records"):
        image = f"{row['subject']}_{row['img']}"
        if image in by_image:
            by_image[image].error = "stands in the table twice"
            continue
        by_image[image] = Label(
            subject=row["subject"],
            group=row.get(config.group_fold_column, ""),
            fold=row.get(config.fold_column, ""),
            runs={ONE_CLASS: [row["pixels"]]},
        )
    return Labels(by_image, [ONE_CLASS], config.train_dataframe)


def _labels_of_table(table: pd.DataFrame, origin: str, config: Config) -> Labels:
    """One or several rows an image; class and run lengths one a row, or parallel lists."""
    columns = [config.image_column]
    if config.mask_folder == "None":
        columns.append(config.rle_mask_column)
    if config.class_name_column != DEFAULTS.class_name_column:
        columns.append(config.class_name_column)
    require_columns(table, columns, origin)
    _require_texts(table, config, origin)
    subject = "subject" if "subject" in table.columns else config.group_fold_column
    by_image: dict[str, Label] = {}
    for row in table.to_dict("records"):
        label = by_image.setdefault(composed(row[config.image_column]), Label())
        _tell(label, "subject", "" if subject == config.image_column else row.get(subject, ""))
        _tell(label, "group", row.get(config.group_fold_column, ""))
        _tell(label, "fold", row.get(config.fold_column, ""))
        names, runs = (
            _listed(row.get(column, ""), column, origin)
            for column in (config.class_name_column, config.rle_mask_column)
        )
        _add_runs(label, names, runs)
    classes = _classes(by_image, origin, config)
    return Labels(by_image, classes, origin)


def _require_texts(table: pd.DataFrame, config: Config, origin: str) -> None:
    """Only classes and run lengths may be lists."""
    texts = {config.image_column, "subject", config.group_fold_column, config.fold_column}
    for column in texts & set(table.columns):
        lists = table[column].map(lambda cell: isinstance(cell, list))
        if lists.any():
            cell = table.loc[lists, column].iloc[0]
            raise InputError(f"{origin}: column {column} holds the list {cell}: one value a row")


def _tell(label: Label, name: str, value: str) -> None:
    """Rows of one image must tell the same."""
    before = getattr(label, name)
    if before and value and before != value and not label.error:
        label.error = f"its rows tell two values of {name}: {before} and {value}"
    setattr(label, name, before or value)


def _listed(cell: str | list[str], column: str, origin: str) -> list[str]:
    """The values of a cell that may hold several; a text may write a list, as in Python."""
    if isinstance(cell, list):
        return cell
    if not cell.startswith("["):
        return [cell]
    try:
        values = ast.literal_eval(cell)
    except (ValueError, SyntaxError):
        values = None
    if not isinstance(values, list) or re.search(r"""['"]\s+['"]""", cell):
        raise InputError(
            f"{origin}: column {column} holds {cell[:60]!r}: not a list like ['a', 'b']"
        )
    return [str(text_of(value)) for value in values]


def _add_runs(label: Label, names: list[str], runs: list[str]) -> None:
    if not any(names) and not any(runs):  # [] and "" are nothing, in either column
        names, runs = [""], [""]
    if len(names) != len(runs):
        label.error = f"{len(names)} classes and {len(runs)} run lengths in one row"
        return
    for name, text in zip(names, runs, strict=True):
        label.runs.setdefault(name, []).append(text)


def _classes(by_image: dict[str, Label], origin: str, config: Config) -> list[str]:
    """The names of the classes, sorted; rows that name none hold no mask, or that of the one."""
    found = sorted({name for label in by_image.values() for name in label.runs} - {""})
    if len(found) > MOST_CLASSES:
        raise InputError(
            f"{origin}: {config.class_name_column} holds {len(found)} classes, such as "
            f"{', '.join(found[:3])}: set class_name_column to the column of the classes"
        )
    only = found[0] if found else ONE_CLASS
    for label in by_image.values():
        nameless = label.runs.pop("", [])
        if len(found) <= 1:
            label.runs.setdefault(only, []).extend(nameless)
        elif any(text.strip() for text in nameless):
            label.error = f"has a mask without a class, and there are {', '.join(found)}"
    return all_told(by_image, found or [ONE_CLASS])


def all_told(by_image: dict[str, Label], classes: list[str]) -> list[str]:
    """The classes, of which each image that a table names now has run lengths, if none."""
    for label in by_image.values():
        for name in classes:
            label.runs.setdefault(name, [])
    return classes
