"""Tables and mask files of every layout -> the labels of each image, in the data's own words.

Read here, but not yet held against the images: lib/data/table.py does that.
"""

import ast
import csv
import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from pycocotools import mask as coco

from lib import rle
from lib.config.fields import DEFAULTS, Config
from lib.data.pictures import MASK_SUFFIX, PICTURE_SUFFIXES, ImageFile, composed, stem_of
from lib.runtime.errors import InputError

KAGGLE_COLUMNS = ["subject", "img", "pixels"]
MOST_CLASSES = 50
ONE_CLASS = "nerve"
COCO_KEYS: dict[str, dict[str, Any]] = {
    "images": {"id": (int, str), "file_name": str, "height": int, "width": int},
    "annotations": {"image_id": (int, str), "category_id": (int, str), "segmentation": object},
    "categories": {"id": (int, str), "name": str},
}


@dataclass
class Label:
    """What is told about one image. Empty texts are what nobody tells."""

    subject: str = ""
    group: str = ""
    fold: str = ""
    # By class: run lengths, to be joined; none is an empty mask. No class: only files tell.
    runs: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)  # by class: a mask file
    size: tuple[int, int] | None = None  # height and width, where the labels tell
    validation: bool = False  # of validation_dataframe
    ours: bool = False  # `runs` are in the house's convention, whatever the settings say
    error: str = ""  # why the label cannot be used


class Labels(NamedTuple):
    by_image: dict[str, Label]
    classes: list[str]
    origin: str  # for a person


def read_labels(config: Config, files: dict[str, ImageFile]) -> Labels:
    """The labels that the settings point to, for `files` by name."""
    if config.train_dataframe == "None":
        labels = _labels_of_files(config, files)
    elif config.train_dataframe.lower().endswith(".json"):
        labels = _labels_of_coco(Path(config.train_dataframe), config)
    else:
        labels = read_label_table(Path(config.train_dataframe), "train_dataframe", config)
    if config.validation_dataframe != "None":
        _add_validation(labels, config)
    _add_mask_files(labels, config, files)
    return labels


def _add_validation(labels: Labels, config: Config) -> None:
    path = Path(config.validation_dataframe)
    held_out = read_label_table(path, "validation_dataframe", config)
    if both := held_out.by_image.keys() & labels.by_image.keys():
        names = ", ".join(sorted(both)[:3])
        raise InputError(
            f"{path}: {len(both)} images stand in train_dataframe too, such as {names}"
        )
    told = {
        name
        for label in held_out.by_image.values()
        for name, runs in label.runs.items()
        if any(text.strip() for text in runs)
    }
    if new := told - set(labels.classes):
        raise InputError(
            f"{path} tells the classes {', '.join(sorted(new))}, which {labels.origin} does not "
            f"(it has {', '.join(labels.classes)})"
        )
    for image, label in held_out.by_image.items():
        label.validation = True
        labels.by_image[image] = label


def read_label_table(path: Path, name: str, config: Config) -> Labels:
    """Of a table of the competition or of Hydrogen Torch; `name` is the setting that gave it."""
    table = read_table(path, name)
    if set(KAGGLE_COLUMNS) <= set(table.columns):
        return _labels_of_kaggle(table, config)
    return _labels_of_table(table, str(path), config)


def read_table(path: Path, name: str) -> pd.DataFrame:
    """All cells as texts, or lists of texts; a missing value is "".

    Columns are told by names, separated by commas, semicolons or tabs (pandas would read the image
    001 as 1, and an empty run length as no number).
    """
    if not path.is_file():
        raise InputError(f"{name}={path}: there is no such file")
    try:
        if path.suffix.lower() in (".pq", ".parquet"):
            table = pd.read_parquet(path)
        else:
            table = _read_csv(path)
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: not a table that can be read ({error})") from None
    if table.empty:
        raise InputError(f"{path}: the table has no rows")
    if (doubles := table.columns[table.columns.duplicated()]).size:
        raise InputError(f"{path}: the column {doubles[0]} stands there twice")
    # Its own index goes: a parquet file brings one, which may repeat.
    return table.reset_index(drop=True).map(_text)


def _read_csv(path: Path) -> pd.DataFrame:
    """Strict, where pandas would cut a row that is too long and fill one that is too short."""
    csv.field_size_limit(2**31 - 1)
    with path.open(encoding="utf-8-sig", newline="") as file:
        separator = max(",;\t", key=file.readline().count)
        file.seek(0)
        reader = csv.reader(file, delimiter=separator, skipinitialspace=True, strict=True)
        header = [name.strip() for name in next(reader, [])]
        rows = []
        for row in filter(None, reader):
            if len(row) != len(header):
                raise ValueError(
                    f"line {reader.line_num} has {len(row)} values, the header {len(header)} names"
                )
            rows.append(row)
    return pd.DataFrame(rows, columns=header, dtype=str)


def _text(value: Any) -> str | list[str]:
    """Of one cell: a text without blanks around it, or the texts of a list."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return [str(_text(item)) for item in value]
    if value is None or value is pd.NA or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():  # of a column with gaps
        value = int(value)
    return str(value).strip()


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
    return [str(_text(value)) for value in values]


def require_columns(table: pd.DataFrame, columns: Iterable[str], origin: str) -> None:
    for column in columns:
        if column not in table.columns:
            near = difflib.get_close_matches(column, table.columns, n=1)
            raise InputError(
                f"{origin} has no column {column!r}, only {', '.join(table.columns)}"
                + (f"; did you mean {near[0]}?" if near else "")
            )


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
    return _all_told(by_image, found or [ONE_CLASS])


def _all_told(by_image: dict[str, Label], classes: list[str]) -> list[str]:
    """The classes, of which each image that a table names now has run lengths, if none."""
    for label in by_image.values():
        for name in classes:
            label.runs.setdefault(name, [])
    return classes


def _labels_of_files(config: Config, files: dict[str, ImageFile]) -> Labels:
    """Every image of the folder; only mask files tell."""
    by_image = {image: Label() for image in sorted(image_stems(files))}
    folder = config.data_folder
    if config.mask_folder == "None":
        if not any(mask_beside(image, files) for image in by_image):
            raise InputError(
                f"{folder} has no *{MASK_SUFFIX} files, and neither train_dataframe nor "
                "mask_folder is set: give data=PATH, train_dataframe=TABLE or mask_folder=FOLDER"
            )
        _guess_subjects(by_image)
    return Labels(by_image, [ONE_CLASS], folder)


def _guess_subjects(by_image: dict[str, Label]) -> None:
    """The S of the competition's S_N, where all images are named so."""
    matches = {image: re.fullmatch(r"(\d+)_\d+", image) for image in by_image}
    if all(matches.values()):
        for image, match in matches.items():
            assert match
            by_image[image].subject = match[1]


def image_stems(files: dict[str, ImageFile]) -> set[str]:
    """Names without suffix of the files that are not masks."""
    stems = {stem_of(file) for file in files.values()}
    return {
        stem
        for stem in stems
        if not (stem.endswith(MASK_SUFFIX) and stem.removesuffix(MASK_SUFFIX) in stems)
    }


def mask_beside(image: str, files: dict[str, ImageFile]) -> Path | None:
    """The mask file beside the image, such as 1_1_mask.tif beside 1_1.tif."""
    if image not in files:
        return None
    mask = files.get(stem_of(files[image]) + MASK_SUFFIX)
    return mask.path if mask else None


def _add_mask_files(labels: Labels, config: Config, files: dict[str, ImageFile]) -> None:
    if config.mask_folder == "None":
        for image, label in labels.by_image.items():
            if len(labels.classes) == 1 and (mask := mask_beside(image, files)):
                label.files[labels.classes[0]] = mask
        return
    folders = mask_folders(Path(config.mask_folder))
    labels.classes[:] = list(folders)
    found = {name: _masks_in(folder) for name, folder in folders.items()}
    stems = {image: stem_of(files[image]) for image in labels.by_image if image in files}
    _say_without_image(found, set(stems.values()), config.mask_folder)
    for image, label in labels.by_image.items():
        stem = stems.get(image, image)
        label.files = {name: masks[stem] for name, masks in found.items() if stem in masks}
        label.runs = {}
        if not label.files:
            label.error = f"there is no mask {stem}.* in {config.mask_folder}"


def _say_without_image(found: dict[str, dict[str, Path]], stems: set[str], folder: str) -> None:
    alone = sorted({stem for masks in found.values() for stem in masks} - stems)
    if alone:
        print(f"{len(alone)} masks of {folder} have no image and stay unused: {alone[0]} ...")


def mask_folders(folder: Path) -> dict[str, Path]:
    """The folder of each class: the subfolders, or the folder itself for the only class."""
    if not folder.is_dir():
        raise InputError(f"mask_folder={folder}: there is no such folder")
    inner = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if _masks_in(folder) or not inner:
        return {ONE_CLASS: folder}
    return {path.name: path for path in inner}


def _masks_in(folder: Path) -> dict[str, Path]:
    """Mask files by the name of their image: a.png and a_mask.png are both of image a."""
    masks: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in PICTURE_SUFFIXES or path.name.startswith("."):
            continue
        stem = composed(path.stem).removesuffix(MASK_SUFFIX)
        if other := masks.get(stem):
            raise InputError(f"{other} and {path.name}: which one is the mask of {stem}? Keep one")
        masks[stem] = path
    return masks


def _labels_of_coco(path: Path, config: Config) -> Labels:
    """COCO's instances: polygons, uncompressed and compressed run lengths, joined by category.

    Format: https://cocodataset.org/#format-data. A subject is told by a key of the image's entry
    that is named as group_fold_column.
    """
    content = _read_coco(path)
    names = {category["id"]: str(category["name"]) for category in content["categories"]}
    by_id: dict[Any, Label] = {}
    by_image: dict[str, Label] = {}
    for entry in content["images"]:
        told = str(_text(entry.get(config.group_fold_column)))
        label = Label(
            subject=told,
            group=told,
            fold=str(_text(entry.get(config.fold_column))),
            size=(entry["height"], entry["width"]),
            ours=True,
        )
        image = composed(Path(str(entry["file_name"])).name)
        if image in by_image:
            label.error = "stands in the file twice"
        by_id[entry["id"]] = by_image[image] = label
    for annotation in content["annotations"]:
        _add_coco(annotation, by_id, names, path)
    used = sorted({name for label in by_image.values() for name in label.runs})
    classes = _all_told(by_image, used or sorted(names.values())[:1] or [ONE_CLASS])
    return Labels(by_image, classes, str(path))


def _read_coco(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"train_dataframe={path}: there is no such file")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a JSON file that can be read ({error})") from None
    for part, kinds in COCO_KEYS.items():
        entries = content.get(part) if isinstance(content, dict) else None
        if not isinstance(entries, list):
            raise InputError(f"{path}: not COCO: a list {part!r} was expected")
        for number, entry in enumerate(entries):
            found = entry if isinstance(entry, dict) else {}
            wrong = [key for key, kind in kinds.items() if not isinstance(found.get(key), kind)]
            if wrong:
                raise InputError(f"{path}: entry {number} of {part} lacks {', '.join(wrong)}")
    return content


def _add_coco(
    annotation: dict[str, Any], by_id: dict[Any, Label], names: dict[Any, str], path: Path
) -> None:
    label, name = by_id.get(annotation["image_id"]), names.get(annotation["category_id"])
    if label is None or name is None:
        what = "image_id" if label is None else "category_id"
        raise InputError(f"{path}: an annotation has {what} {annotation[what]}, which is not there")
    assert label.size is not None
    try:
        mask = coco_mask(annotation["segmentation"], label.size)
        label.runs.setdefault(name, []).append(rle.encode(mask))
    except (ValueError, TypeError, KeyError, IndexError) as error:
        label.error = f"an annotation of it cannot be read ({error})"


def coco_mask(segmentation: Any, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """A segmentation of COCO -> mask uint8 0/1 of `size` (height, width).

    Raises ValueError, TypeError or KeyError for what is none: pycocotools trusts what it is given.
    """
    if isinstance(segmentation, list):
        return _of_polygons(segmentation, size)
    if not isinstance(segmentation, dict):
        raise ValueError("a list of polygons or run lengths were expected")
    if tuple(segmentation["size"]) != size:
        raise ValueError(f"its size is {segmentation['size']}, the image's {list(size)}")
    counts = segmentation["counts"]
    lengths = _coco_counts(counts) if isinstance(counts, str) else counts
    if min(lengths) < 0 or sum(lengths) != size[0] * size[1]:
        raise ValueError(f"its run lengths cover {sum(lengths)} of {size[0] * size[1]} pixels")
    runs = coco.frPyObjects({"size": list(size), "counts": lengths}, *size)
    return np.asarray(coco.decode(runs), dtype=np.uint8)


def _coco_counts(text: str) -> list[int]:
    """The run lengths that COCO writes as a text, of which pycocotools checks nothing.

    Five bits a letter, the lowest first, a sixth where more follow; from the fourth length on the
    difference to the last but one (rleToString in COCO's maskApi.c).
    """
    lengths: list[int] = []
    number, shift = 0, 0
    for letter in text.encode("ascii"):
        bits = letter - 48
        number |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        number -= (1 << shift) if bits & 0x10 else 0
        lengths.append(number + (lengths[-2] if len(lengths) > 2 else 0))
        number, shift = 0, 0
    if shift:
        raise ValueError("its run lengths end in the middle of a number")
    return lengths


def _of_polygons(polygons: list[list[float]], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    if not polygons:
        return np.zeros(size, dtype=np.uint8)
    if any(len(polygon) < 6 or len(polygon) % 2 for polygon in polygons):
        raise ValueError("a polygon is a list of x, y of three points or more")
    # Beyond these pycocotools would fill the memory; a little outside of the image it may go.
    if not all(abs(value) <= 2 * max(size) for polygon in polygons for value in polygon):
        raise ValueError("a polygon leaves the image")
    runs = coco.merge(coco.frPyObjects(polygons, *size))
    return np.asarray(coco.decode(runs), dtype=np.uint8)
