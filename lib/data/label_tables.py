"""Tables of the competition, of Hydrogen Torch and of others -> the labels of each image."""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from os.path import isfile
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from lib.config.fields import DEFAULTS, Config
from lib.data import run_lengths
from lib.data.pictures import ImageFile, UnusableImage, composed, read_image
from lib.data.tables import (
    CELL_LIMIT,
    IMAGES,
    IMAGES_WITH_CLASS,
    MASK_FILES,
    MOST_CLASSES,
    RUNS,
    SUBJECTS,
    Recognised,
    found_in,
    is_nothing,
    read_table,
    recognised,
    require_columns,
    small,
    tails,
    text_of,
)
from lib.data.tree import tree_of
from lib.runtime.errors import InputError

KAGGLE_COLUMNS = ["subject", "img", "pixels"]
ONE_CLASS = "nerve"
READER = re.compile(r"(reader|annotator|rater|expert|observer|user)(_id|_name)?")
RELATIVE_AT_LEAST = 3  # masks: one that does not ascend may be a slip
SIZES_CHECKED = 20  # images whose size tells whether such masks fit


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


def told_by(path: Path) -> str:
    """What a table tells of images: "labels", "people" alone, or "" for nothing; none of tests."""
    if path.name.startswith(("test", "sample_submission", "submission", "valid")):
        return ""
    try:
        columns = {small(column) for column in read_table(path, "train_dataframe").columns}
    except InputError:
        return "labels" if path.name.startswith("train") else ""  # to be told what is wrong
    if set(KAGGLE_COLUMNS) <= columns:
        return "labels"
    if not columns & {*IMAGES.names, *IMAGES_WITH_CLASS}:
        return ""
    if columns & {*RUNS.names, *MASK_FILES.names}:
        return "labels"
    return "people" if columns & set(SUBJECTS.names) else ""


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
    _settle_runs(labels, config, files or {})
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
    if config.mask_folder == "None":
        columns.append(config.rle_mask_column)
    if config.class_name_column != DEFAULTS.class_name_column:
        columns.append(config.class_name_column)
    require_columns(table, [c for c in columns if c not in told.table.columns], origin)
    table = told.table
    _require_texts(table, config, origin)
    by_image = _by_image(table, origin, config, files)
    masks = _MaskFiles(path.parent if told.mask_files else None)
    readers = _Readers(table, config)
    for row in table.to_dict("records"):
        image = by_image[row[config.image_column]]
        _tell_row(image.label, row, config)
        if config.mask_folder != "None":
            continue
        names, values = _named(image.label, row, told, origin, config)
        readers.add(image, names, row)
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
    except (ValueError, SyntaxError):
        values = None
    if not isinstance(values, list) or re.search(r"""['"]\s+['"]""", cell):
        raise InputError(
            f"{origin}: column {column} holds {cell[:60]!r}: not a list like ['a', 'b']"
        )
    return [str(text_of(value)) for value in values]


def _add_runs(label: Label, names: list[str], cells: list[str]) -> None:
    for name, cell in zip(names, cells, strict=True):
        label.runs.setdefault(name, []).append(cell)


class _MaskFiles:
    """The mask files that a table names, which lie below its folder or beside it."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder or Path()
        self.by_name: dict[str, list[Path]] = {}
        self.folders: set[str] = set()
        self.empty = 0
        for path in tree_of(folder).files if folder else []:
            self.by_name.setdefault(composed(path.name), []).append(path)
            self.folders.add(composed(path.parent.name))

    def add(
        self, label: Label, names: list[str], cells: list[str], image: ImageFile | None
    ) -> None:
        for name, cell in zip(names, cells, strict=True):
            if is_nothing(cell):
                self.empty += 1
                label.runs.setdefault(name, [])
            elif (path := self.found(cell, image)) is None:
                label.error = f"its mask {cell} is not there, or several are, in {self.folder}"
            elif (other := label.files.setdefault(name, path)) != path:
                label.error = f"its rows name two masks, {other.name} and {path.name}: keep one"

    def found(self, cell: str, image: ImageFile | None) -> Path | None:
        """By the path as it is, else by as many of its last parts as tell it; never the image."""
        if Path(cell).is_absolute() and isfile(cell):
            return Path(cell)
        own = image.path if image else None
        ends = tails(composed(cell))
        if not ends:
            return None
        alike = [path for path in self.by_name.get(ends[-1][-1], []) if path != own]
        if len(ends) > 1 and ends[-2][0] in self.folders:
            ends.pop()  # its folder is here: what is not in it is missing
        for parts in ends:
            for place in (self.folder, self.folder.parent):
                path = place.joinpath(*parts)
                if path != own and isfile(path):
                    return path
            if fitting := [path for path in alike if _ends(path, parts)]:
                return fitting[0] if len(fitting) == 1 else None
        return None

    def say_empty(self, origin: str) -> None:
        if self.empty:
            print(f"{origin}: {self.empty} rows name no mask file: their masks are empty")


def _ends(path: Path, parts: tuple[str, ...]) -> bool:
    return tuple(map(composed, path.parts[-len(parts) :])) == parts


class _Readers:
    """Who marked which class of an image, where a column tells."""

    def __init__(self, table: pd.DataFrame, config: Config) -> None:
        used = {config.image_column, config.rle_mask_column, config.class_name_column}
        used |= {config.group_fold_column, config.fold_column}
        self.columns = [c for c in table.columns if READER.fullmatch(small(c)) and c not in used]
        self.marks: dict[str, list[tuple[str, str]]] = {}

    def add(self, image: _Image, names: list[str], row: dict[str, str]) -> None:
        """Two readers of one class make an error of the label: their masks are no parts of one."""
        reader = ", ".join(filter(None, (str(row[column]) for column in self.columns)))
        marks = self.marks.setdefault(image.name, [])
        for name in names:
            for other, marked in marks:
                if reader and other != reader and (name == marked or "" in (name, marked)):
                    image.label.error = (
                        f"two readers marked it, {other} and {reader} (by the column "
                        f"{', '.join(self.columns)}): keep the rows of one"
                    )
            if reader:
                marks.append((reader, name))


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


def all_told(by_image: dict[str, Label], classes: list[str]) -> list[str]:
    """The classes, each of which now has a file or run lengths, if none, of every image."""
    for label in by_image.values():
        for name in classes:
            if name not in label.files:
                label.runs.setdefault(name, [])
    return classes


def _settle_runs(labels: Labels, config: Config, files: Mapping[str, ImageFile]) -> None:
    """Cells of every form -> pairs; then what only all rows together tell."""
    for label in labels.by_image.values():
        for cells in label.runs.values():
            cells[:] = _pairs(label, cells, config)
    _read_relative(labels, files)
    _join(labels)


def _pairs(label: Label, cells: list[str], config: Config) -> list[str]:
    pairs = []
    for cell in cells:
        try:
            text, size = run_lengths.pairs_of(cell, config)
        except run_lengths.RunLengthError as error:
            label.error = label.error or str(error)
            continue
        if size and label.size not in (None, size):
            label.error = f"its cells tell two sizes, {label.size} and {size}"
        label.size = size or label.size
        pairs.append(text)
    return pairs


def _read_relative(labels: Labels, files: Mapping[str, ImageFile]) -> None:
    """Starts that count from the end of the run before, where the table has such."""
    masks = {
        text: image
        for image, label in labels.by_image.items()
        for texts in label.runs.values()
        for text in texts
        if len(run_lengths.numbers_in(text)) > 2
    }
    falling = {text: image for text, image in masks.items() if not run_lengths.is_ascending(text)}
    if len(falling) < max(RELATIVE_AT_LEAST, len(masks) / 2) or not _fit(falling, files):
        return
    relative = "starts count from the end of the run before: relative run lengths"
    if len(falling) < len(masks):
        ascending = next(image for text, image in masks.items() if text not in falling)
        raise InputError(
            f"{labels.origin}: in {len(falling)} of {len(masks)} masks {relative}; in the others, "
            f"such as that of {ascending}, they ascend: write all starts as counted from the first "
            "pixel, by adding up each run length and the start behind it"
        )
    print(f"{labels.origin}: {relative}, as in SIIM-ACR; they are read so")
    for label in labels.by_image.values():
        for texts in label.runs.values():
            texts[:] = [run_lengths.cumulated(t) if t in falling else t for t in texts]


def _fit(falling: Mapping[str, str], files: Mapping[str, ImageFile]) -> bool:
    """Whether masks of relative starts stay inside of their pictures, of which some are read."""
    inside: list[bool] = []
    for text, image in falling.items():
        if image in files and len(inside) < SIZES_CHECKED:
            try:
                pixels = read_image(files[image]).size
            except UnusableImage:
                continue
            inside.append(run_lengths.end_of(run_lengths.cumulated(text)) <= pixels + 1)
    return all(inside)


def _join(labels: Labels) -> None:
    """Several rows of one image and class are parts of one mask, where they do not overlap."""
    rows: Counter[str] = Counter()
    for image, label in labels.by_image.items():
        for name, texts in label.runs.items():
            told = [text for text in texts if text]
            if len(told) < 2:
                continue
            rows[image] += 1
            if run_lengths.two_that_overlap(told) and not label.error:
                label.error = (
                    f"has two rows whose masks of {name} overlap: two readers? Keep one's rows"
                )
    joined = [image for image in rows if not labels.by_image[image].error]
    if joined:
        print(
            f"{labels.origin}: {len(joined)} images have several rows: their masks are joined "
            f"({joined[0]} ...)"
        )
