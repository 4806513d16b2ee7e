"""Tables of the competition, of Hydrogen Torch and of others -> the labels of each image."""

import ast
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from lib.config.fields import DEFAULTS, Config
from lib.data.label import ONE_CLASS, Label, Labels, all_told
from lib.data.pictures.arrays import ImageFile, composed
from lib.data.tables import run_lengths
from lib.data.tables.cells import (
    CELL_LIMIT,
    IMAGES,
    IMAGES_WITH_CLASS,
    LABELS,
    MOST_CLASSES,
    SUBJECTS,
    Recognised,
    columns_in,
    found_in,
    holds_runs,
    is_nothing,
    read_table,
    recognised,
    require_columns,
    small,
    text_of,
)
from lib.data.tables.mask_files import MaskFiles, Readers
from lib.data.tables.runs import settle_runs
from lib.runtime.errors import InputError

KAGGLE_COLUMNS = ["subject", "img", "pixels"]


def told_by(path: Path) -> str:
    """What a table tells of images: "labels", "people" alone, or "" for nothing; none of tests."""
    if path.name.startswith(("test", "sample_submission", "submission", "valid")):
        return ""
    try:
        columns = {small(column) for column in columns_in(path)}
    except InputError:
        return "labels" if path.name.startswith("train") else ""  # to be told what is wrong
    if set(KAGGLE_COLUMNS) <= columns:
        return "labels"
    if not columns & {*IMAGES.names, *IMAGES_WITH_CLASS}:
        return ""
    if columns & LABELS:
        return "labels"
    return "people" if columns & set(SUBJECTS.names) else ""


def tells_runs(path: Path) -> bool:
    """Whether a table of labels has run lengths, and not the paths of mask files."""
    table = read_table(path, "train_dataframe")
    return set(KAGGLE_COLUMNS) <= set(table.columns) or holds_runs(table, DEFAULTS)


def read_label_table(
    path: Path, name: str, config: Config, files: dict[str, ImageFile] | None = None
) -> Labels:
    """Of a table of the competition, of Hydrogen Torch, or with columns of other usual names.

    `name` is the setting that gave it. The images stand by their names in `files` where those are
    given and hold them, else as the table writes them.
    """
    table = read_table(path, name)
    if _is_of_kaggle(table, files or {}):
        labels = _labels_of_kaggle(table, str(path), config)
    else:
        labels = _labels_of_table(table, path, config, files or {})
    settle_runs(labels, config, files or {})
    return labels


def _is_of_kaggle(table: pd.DataFrame, files: Mapping[str, ImageFile]) -> bool:
    """Frame 3 of subject 1 is the image 1_3 there; elsewhere img may be the whole name."""
    if not set(KAGGLE_COLUMNS) <= set(table.columns):
        return False
    frames = table["subject"].map(str) + "_" + table["img"].map(str)
    return frames.isin(list(files)).any() or not table["img"].map(str).isin(list(files)).any()


def _labels_of_kaggle(table: pd.DataFrame, origin: str, config: Config) -> Labels:
    by_image: dict[str, Label] = {}
    for row in table.to_dict("records"):
        image = f"{row['subject']}_{row['img']}"
        if image in by_image:
            by_image[image].error = "stands in the table twice"
            continue
        label = by_image[image] = Label(
            subject=row["subject"],
            group=row.get(config.group_fold_column, ""),
            fold=row.get(config.fold_column, ""),
        )
        values = run_lengths.joined(_values(label, row["pixels"], "pixels", origin)) or [""]
        _add_runs(label, [ONE_CLASS] * len(values), values)
    return Labels(by_image, [ONE_CLASS], origin)


def _labels_of_table(
    table: pd.DataFrame, path: Path, config: Config, files: Mapping[str, ImageFile]
) -> Labels:
    """One or several rows an image; class and mask one a row, or parallel lists."""
    origin = str(path)
    told = recognised(table, config, origin, files)
    columns = [config.image_column]
    if told.labels:
        columns.append(config.rle_mask_column)
    if config.class_name_column != DEFAULTS.class_name_column:
        columns.append(config.class_name_column)
    require_columns(table, [c for c in columns if c not in told.table.columns], origin)
    table = told.table
    _require_texts(table, config, origin)
    by_image = _by_image(table, origin, config, files)
    masks = MaskFiles(path.parent if told.mask_files else None)
    readers = Readers(table, config)
    for row in table.to_dict("records"):
        image = by_image[row[config.image_column]]
        _tell_row(image.label, row, config)
        if not told.labels:
            continue
        names, values = _named(image.label, row, told, origin, config)
        readers.add(image.name, image.label, names, row)
        if told.mask_files:
            masks.add(image.label, names, values, files.get(image.name))
        else:
            _add_runs(image.label, names, values)
    masks.say_empty(origin)
    labels = {image.name: image.label for image in by_image.values()}
    return Labels(labels, _classes(labels, origin, config), origin)


class _Image(NamedTuple):
    name: str
    label: Label


def _by_image(
    table: pd.DataFrame, origin: str, config: Config, files: Mapping[str, ImageFile]
) -> dict[str, _Image]:
    """Of each cell that names an image: its name in `files`, and its label, still empty."""
    cells = list(dict.fromkeys(table[config.image_column]))
    found = {cell: found_in(cell, files) for cell in cells}
    padded = _padded([cell for cell in cells if found[cell] is None], files)
    if padded and all(found[c] or c in padded for c in cells) and not _any_zero_ahead(cells):
        cell = next(iter(padded))
        print(f"{origin}: leading zeros were lost, {cell} is read as {padded[cell]}, and so on")
        found |= padded
        padded = {}
    labels: dict[str, _Image] = {}
    first: dict[str, str] = {}
    for cell in cells:
        name = found[cell] or composed(cell)
        other = first.setdefault(name, cell)
        labels[cell] = labels[other] if other != cell else _Image(name, Label())
        if composed(other) != composed(cell):
            labels[cell].label.error = f"{other} and {cell} of the table are the same file"
        if cell in padded:
            labels[cell].label.error = (
                f"there is no such image, but {padded[cell]}: leading zeros were lost where the "
                "table was saved: write the names as texts"
            )
    return labels


def _padded(cells: list[str], files: Mapping[str, ImageFile]) -> dict[str, str]:
    """7 -> 007, where the images whose names are numbers have three digits each, and 007 is one."""
    widths = {len(name) for name in files if name.isdecimal()}
    if len(widths) != 1:
        return {}
    width = widths.pop()
    return {c: c.zfill(width) for c in cells if c.isdecimal() and c.zfill(width) in files}


def _any_zero_ahead(cells: Iterable[str]) -> bool:
    """Then the names are texts, of which only some lost their zeros."""
    return any(cell.isdecimal() and cell[0] == "0" and cell != "0" for cell in cells)


def _tell_row(label: Label, row: dict[str, str], config: Config) -> None:
    subject = "subject" if "subject" in row else config.group_fold_column
    _tell(label, "subject", "" if subject == config.image_column else row.get(subject, ""))
    _tell(label, "group", row.get(config.group_fold_column, ""))
    _tell(label, "fold", row.get(config.fold_column, ""))


def _named(
    label: Label, row: dict[str, str | list[str]], told: Recognised, origin: str, config: Config
) -> tuple[list[str], list[str]]:
    """The classes of a row, and as many run lengths or paths."""
    names = _listed(row.get(config.class_name_column, ""), config.class_name_column, origin)
    values = _values(label, row.get(config.rle_mask_column, ""), config.rle_mask_column, origin)
    if len(names) == 1 and not told.mask_files:
        values = run_lengths.joined(values)
    if all(map(is_nothing, [*names, *values])):  # [] and "" are nothing, in either column
        return [""], [""]
    values = values or [""] * len(names)
    if len(names) != len(values):
        label.error = f"{len(names)} classes and {len(values)} run lengths in one row"
        return [], []
    for place, (name, value) in enumerate(zip(names, values, strict=True)):
        # A guessed class, such as the diagnosis, of rows that show none is no class.
        if is_nothing(value) and (told.class_guessed or is_nothing(name)):
            names[place] = ""
    return names, values


def _values(label: Label, cell: str | list[str], column: str, origin: str) -> list[str]:
    if len(cell) == CELL_LIMIT and isinstance(cell, str):
        label.error = (
            f"its cell has {CELL_LIMIT:,} characters, the most that a spreadsheet keeps: it was "
            "cut there: take the table as it was before a spreadsheet saved it"
        )
        return [""]
    return _listed(cell, column, origin)


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
    except (ValueError, SyntaxError, RecursionError, MemoryError):  # the last two of ((((((
        values = None
    if not isinstance(values, list) or re.search(r"""['"]\s+['"]""", cell):
        raise InputError(
            f"{origin}: column {column} holds {cell[:60]!r}: not a list like ['a', 'b']"
        )
    return [str(text_of(value)) for value in values]


def _add_runs(label: Label, names: list[str], cells: list[str]) -> None:
    for name, cell in zip(names, cells, strict=True):
        label.runs.setdefault(name, []).append(cell)


def _classes(by_image: dict[str, Label], origin: str, config: Config) -> list[str]:
    """The names of the classes, sorted; rows that name none hold no mask, or that of the one."""
    told = {name for label in by_image.values() for name in (*label.runs, *label.files)}
    found = sorted(told - {""})
    if len(found) > MOST_CLASSES:
        raise InputError(
            f"{origin}: {config.class_name_column} holds {len(found)} classes, such as "
            f"{', '.join(found[:3])}: set class_name_column to the column of the classes"
        )
    only = found[0] if found else ONE_CLASS
    for label in by_image.values():
        nameless, file = label.runs.pop("", []), label.files.pop("", None)
        if len(found) <= 1:
            label.runs.setdefault(only, []).extend(nameless)
            if file:
                label.files.setdefault(only, file)
        elif file or not all(map(is_nothing, nameless)):
            label.error = f"has a mask without a class, and there are {', '.join(found)}"
        for name in label.files:
            label.runs.pop(name, None)
    return all_told(by_image, found or [ONE_CLASS])
