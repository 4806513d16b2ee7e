"""The images and labels of every layout, read once and held against each other: ONE table.

Nothing is dropped silently. An image that cannot be used is an error, and all of them are listed at
once; with `quarantine: true` it is left out and kept in quarantine.csv with the reason.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from lib import rle
from lib.artifacts.folds import mask_columns, masks_in, true_mask
from lib.config.fields import Config
from lib.data.label_tables import Label
from lib.data.labels import read_labels
from lib.data.pictures import (
    MASK_SUFFIX,
    Grey,
    ImageFile,
    UnusableImage,
    image_files,
    read_mask,
    read_picture,
    sha_of_image,
)
from lib.data.reading import (
    Images,
    about,
    folder_of,
    images_of,
    in_threads,
    name_errors,
    raise_all,
    say_no_images,
    say_unlisted,
    stop_or_tell,
)
from lib.data.test_images import test_names
from lib.runtime.errors import InputError

ORDER_CHECKED = 50  # masks whose reading by rows is compared with that by columns
ORDERS = {"columns": "rows", "rows": "columns"}


def read_training_images(config: Config) -> Images:
    """Reads every image and label once; the table is sorted by image.

    Columns image, file, one of run lengths a class (`mask_columns`), height, width, subject,
    told_group, told_fold, validation (bool), kind, bits_used, components, sha. What nobody tells
    is "". InputError lists the first 20 images that cannot be used, and their count.
    """
    folder = folder_of(config.data_folder, "data_folder")
    files = image_files(folder, config.image_bits)
    labels = read_labels(config, files)
    if not labels.by_image:
        say_no_images(folder, files)
        raise InputError(f"{labels.origin} tells of no image (no folder in a folder is read)")
    unusable = name_errors(labels.by_image, files, folder)
    unusable |= {name: label.error for name, label in labels.by_image.items() if label.error}

    def examine(image: str) -> dict[str, Any]:
        label = labels.by_image[image]
        row = _examine(files[image], label, labels.classes, config)
        return {"image": image, "file": files[image], "validation": label.validation, **row}

    names = sorted(labels.by_image.keys() - unusable.keys())
    rows = in_threads(examine, names, "training images", unusable)
    images = images_of(rows, unusable, labels.classes)
    stop_or_tell(images, config, f"images of {labels.origin}")
    say_unlisted([*labels.by_image, *_test_names_beside(config)], files, labels.origin)
    say_no_images(folder, files)
    _check_bits(images.table["bits_used"], config)
    if config.train_dataframe != "None" and config.mask_folder == "None":
        _check_order(images.table, labels.by_image, config)
    return images


def with_files(folds: pd.DataFrame, config: Config) -> pd.DataFrame:
    """The table of 01 with a column `file`; InputError where an image has gone or changed since."""
    folder = folder_of(config.data_folder, "data_folder")
    files = image_files(folder, config.image_bits)
    raise_all(name_errors(folds["image"], files, folder), "images of folds.csv are not there")
    folds = folds.assign(file=pd.Series([files[i] for i in folds["image"]], folds.index, object))
    changed = folds["image"][folds["sha"] != with_sha(folds)["sha"]]
    another = dict.fromkeys(changed, "another file than 01_prepare_folds.py read")
    raise_all(another, f"images of {folder} have changed: run 01_prepare_folds.py")
    return folds


def with_sha(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column `sha`, read from the files of its column `file`."""
    return table.assign(sha=in_threads(sha_of_image, table["file"].tolist(), "images", {}))


def _examine(file: ImageFile, label: Label, classes: list[str], config: Config) -> dict[str, Any]:
    """One image and its label, read and held against each other; raises UnusableImage."""
    picture = read_picture(file)
    shape = (picture.pixels.shape[0], picture.pixels.shape[1])
    if label.size not in (None, shape):
        raise UnusableImage(f"is {_by(shape)} pixels, its labels are of {_by(label.size)}")
    if not (label.runs or label.files):
        raise UnusableImage(f"there is no mask {file.path.stem}{MASK_SUFFIX}{file.path.suffix}")
    masks = [_mask(name, shape, label, config) for name in classes]
    texts = dict(zip(mask_columns(classes), map(rle.encode, masks), strict=True))
    return {
        **texts,
        **about(picture.pixels),
        "subject": label.subject or file.subject,
        "loop": file.path.name if file.frame is not None else "",
        "told_group": label.group,
        "told_fold": label.fold,
        "kind": picture.kind,
        "bits_used": picture.bits_used,
        "components": max(_components(mask) for mask in masks),
        "sha": sha_of_image(file),
    }


def _by(shape: tuple[int, int] | None) -> str:
    return f"{shape[0]}x{shape[1]}" if shape else ""


def _components(mask: Grey) -> int:
    if not mask.any():
        return 0
    return cv2.connectedComponents(mask)[0] - 1


def _mask(name: str, shape: tuple[int, int], label: Label, config: Config) -> Grey:
    """The mask of one class, from run lengths, a file, or both, which must agree then."""
    order, start = ("columns", 1) if label.ours else (config.rle_order, config.rle_start)
    runs = [text for text in label.runs.get(name, []) if text.strip()]
    mask = np.zeros(shape, dtype=np.uint8)
    for text in runs:
        mask |= _decoded(text, shape, order, start)
    if name not in label.files:
        return mask
    path = label.files[name]
    drawn = _checked_mask(path, shape)
    if name in label.runs and (wrong := np.count_nonzero(drawn != mask)):
        raise UnusableImage(f"table and {path.name} differ in {wrong} pixels")
    return drawn


def _decoded(text: str, shape: tuple[int, int], order: str, start: int) -> Grey:
    try:
        return rle.decode_as(text, shape, order, start)
    except rle.RleError as error:
        zero = start == 1 and "0" in text.split()[::2]
        hint = " (where pixels are counted from 0, set rle_start=0)" if zero else ""
        raise UnusableImage(f"{error}{hint}") from None


def _checked_mask(path: Path, shape: tuple[int, int]) -> Grey:
    try:
        mask = read_mask(path)
    except UnusableImage as error:
        raise UnusableImage(f"its mask {path.name}: {error}") from None
    if mask.shape != shape:
        sizes = f"{_by(shape)}, its mask {path.name} {mask.shape[0]}x{mask.shape[1]}"
        raise UnusableImage(f"is {sizes} pixels (height x width)")
    return mask


def _test_names_beside(config: Config) -> list[str]:
    """The test images that stand in the folder of the training images."""
    if config.data_folder_test != config.data_folder or config.test_dataframe == "None":
        return []
    return test_names(config)


def _check_bits(used: pd.Series, config: Config) -> None:
    """Says so where files of 16 bits use fewer, and would be dark."""
    used = used[used > 0]
    if len(used) and used.max() < config.image_bits:
        print(
            f"WARNING: {len(used)} images of 16 bits use {used.max()} at most, and are read as "
            f"dark pictures of {config.image_bits}: set image_bits={max(8, used.max())}"
        )


def _check_order(table: pd.DataFrame, labels: dict[str, Label], config: Config) -> None:
    """Says so where the masks are far smoother with their run lengths read the other way."""
    columns = masks_in(table)
    told = ~table["image"].map(lambda image: labels[image].ours)
    rows = table[(table[columns] != "").any(axis=1) & told].head(ORDER_CHECKED)
    edges, others = 0, 0
    for row in rows.to_dict("records"):
        for column in columns:
            mask = true_mask(row, column)
            edges += _edges(mask)
            others += _edges(rle.read_the_other_way(mask, config.rle_order))
    if others < edges / 2:
        other = ORDERS[config.rle_order]
        print(
            f"WARNING: read by {config.rle_order}, as rle_order says, the masks have {edges} "
            f"pixels of outline in {len(rows)} images; read by {other}, {others}. They were most "
            f"likely written by {other}: set rle_order={other}."
        )


def _edges(mask: Grey) -> int:
    """Pairs of neighbours of which one is inside the mask."""
    return sum(int(np.count_nonzero(np.diff(mask, axis=axis))) for axis in (0, 1))
