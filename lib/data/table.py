"""The images and labels of every layout, read once and held against each other: ONE table.

Nothing is dropped silently. An image that cannot be used is an error, and all of them are listed at
once; with `quarantine: true` it is left out and kept in quarantine.csv with the reason.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from lib import rle
from lib.artifacts.folds import mask_columns, masks_in, true_mask
from lib.config.fields import Config
from lib.data import two_readings
from lib.data.images_of_test import files_of_test_set, names_of_test
from lib.data.label import Label, Labels
from lib.data.labels import read_labels
from lib.data.lists import is_list
from lib.data.masks.box import box_of
from lib.data.masks.extras import Extras, extras_among
from lib.data.masks.files import mask_paths
from lib.data.masks.fitting import LOOKED_AT, fits
from lib.data.masks.plausible import judged, measured
from lib.data.masks.shifts import places
from lib.data.people import people_of
from lib.data.pictures.arrays import (
    Grey,
    ImageFile,
    Stamp,
    UnusableImage,
    file_at,
    files_of_image,
    image_files,
    is_picture,
    path_in,
    read_picture,
    sha_of_image,
    spacing_of,
    stamp_of,
)
from lib.data.pictures.dicom_notes import notes_on
from lib.data.pictures.reading import (
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
from lib.data.pictures.tree import tree_of
from lib.runtime.errors import InputError

ORDER_CHECKED = 50  # masks whose reading by rows is compared with that by columns
ORDERS = {"columns": "rows", "rows": "columns"}


def read_training_images(
    config: Config,
    what: str = "images",
    only: Collection[ImageFile] | None = None,
    expected: Sequence[str] = (),
) -> Images:
    """Reads every image and label once; the table is sorted by image.

    Columns image, file, path, one of run lengths a class (`mask_columns`), height, width, subject,
    told_group, told_fold, validation (bool), kind, bits_used, components, sha, spacing. What nobody
    tells is "". `what` they are, for a person. InputError lists the first 20 images that cannot be
    used, and their count. What test_dataframe names is left out; with `only`, all but these files.
    `expected` are classes that are known, of which the masks may show some.
    """
    folder = folder_of(config.data_folder, "data_folder")
    masks = mask_paths(config)
    no_images = masks | files_of_test_set(config)
    extras = _extras(masks, no_images, config)
    for line in extras.lines():
        print(line)
    no_images |= extras.all
    files = image_files(folder, config.image_bits, no_images)
    tests = {files[name] for name in _test_names_beside(config, files) if name in files}
    without = tests if only is None else set(files.values()) - set(only)
    if without == set(files.values()) and without:
        raise InputError(
            f"{config.test_dataframe} names all images of {folder}, and none is left to train on: "
            "set test_dataframe=None"
        )
    labels = _labels(files, masks, config, without, expected)
    config, settled = two_readings.settled(labels, config)
    unusable = name_errors(labels.by_image, files, folder)
    unusable |= {name: label.error for name, label in labels.by_image.items() if label.error}
    rows = _rows(files, labels, unusable, config)
    _add_people(rows, config)
    doubts = judged(rows, mask_columns(labels.classes), config)
    twice = sum(row["twice"] for row in rows)
    for row in rows:
        del row["shapes"], row["places"], row["fits"], row["twice"]
    images = images_of(rows, dict(sorted(unusable.items())), labels.classes)
    stop_or_tell(images, config, f"{what} of {labels.origin}")
    two_readings.say(twice, config)
    if only is None:
        _say_unused(files, labels, no_images, config)
    _check_bits(images.table["bits_used"], config)
    if config.train_dataframe != "None" and config.mask_folder == "None":
        doubts = doubts + _doubts_of_order(images.table, labels.by_image, config)
    return images._replace(doubts=doubts, settled=settled)


def read_more_labels(files: dict[str, ImageFile], labels: Labels, config: Config) -> Images:
    """Further labels of images, held against them as `read_training_images` does with the first.

    The names of `labels` are among `files`. Labels that cannot be used are `unusable`.
    """
    unusable = {name: label.error for name, label in labels.by_image.items() if label.error}
    rows = _rows(files, labels, unusable, config)
    judged(rows, mask_columns(labels.classes), config)
    return images_of(rows, dict(sorted(unusable.items())), labels.classes)


def _extras(masks: set[Path], no_images: set[Path], config: Config) -> Extras:
    """Pictures that are made of images; none where a table of labels names the images."""
    if config.train_dataframe != "None" and not is_list(Path(config.train_dataframe)):
        return Extras({}, {})
    found = tree_of(Path(config.data_folder)).files
    return extras_among([p for p in found if p not in no_images and is_picture(p)], masks)


def _labels(
    files: dict[str, ImageFile],
    masks: set[Path],
    config: Config,
    without: set[ImageFile],
    expected: Sequence[str],
) -> Labels:
    """All labels, and what was taken for what; InputError where there are none."""
    for note in notes_on(files.values()):
        print(note)
    labels = read_labels(config, files, masks, without, expected)
    if not labels.by_image:
        say_no_images(Path(config.data_folder), files, masks)
        raise InputError(f"{labels.origin} tells of no image")
    _say_taken(labels, config)
    if config.invert_masks and len(labels.classes) > 1:
        raise InputError(
            f"invert_masks: true: masks of several classes, {', '.join(labels.classes)}, have no "
            "inverse: invert them before"
        )
    return labels


def _rows(
    files: dict[str, ImageFile], labels: Labels, unusable: dict[str, str], config: Config
) -> list[dict[str, Any]]:
    """A row each image that can be used; why others cannot goes to `unusable`."""
    names = sorted(labels.by_image.keys() - unusable.keys())
    looked_at = set(names[:: max(1, len(names) // LOOKED_AT)])

    def examine(image: str) -> dict[str, Any]:
        label, file = labels.by_image[image], files[image]
        row = _examine(file, label, labels.classes, config, image in looked_at)
        path = path_in(Path(config.data_folder), file)
        return {"image": image, "path": path, "validation": label.validation, **row, "file": file}

    return in_threads(examine, names, "training images", unusable)


def _say_unused(
    files: dict[str, ImageFile], labels: Labels, no_images: set[Path], config: Config
) -> None:
    tabled = {path for label in labels.by_image.values() for path in label.files.values()}
    files = {name: file for name, file in files.items() if file.path not in tabled}
    say_unlisted([*labels.by_image, *_test_names_beside(config, files)], files, labels.origin)
    say_no_images(Path(config.data_folder), files, no_images | tabled)


def _say_taken(labels: Labels, config: Config) -> None:
    """In one line what was taken for what, for a person to object."""
    masks = "" if config.mask_folder == "None" else f"masks of {config.mask_folder}"
    what = "names" if is_list(Path(config.train_dataframe)) else "labels"
    table = "" if config.train_dataframe == "None" else f"{what} of {config.train_dataframe}"
    found = [f"{len(labels.by_image)} images of {config.data_folder}", masks, table]
    if not (masks or table):
        found.append("masks beside them")
    folder = Path(config.data_folder)
    if config.data_folder_test != "None" and Path(config.data_folder_test) not in (
        folder,
        *folder.parents,
    ):
        found.append(f"test images of {config.data_folder_test}")
    print(f"data           {', '.join(filter(None, found))}")


def _add_people(rows: list[dict[str, Any]], config: Config) -> None:
    """The subject of each row, where no row tells one."""
    if any(row["subject"] or row["told_group"] for row in rows) and not config.subject_pattern:
        return
    people = people_of({row["image"]: row["path"] for row in rows}, config)
    for row in rows:
        row["subject"] = people.by_image.get(row["image"], row["subject"])
    if people.told:
        count = len(set(people.by_image.values()))
        print(f"people         {count}, from {people.told}; subject_pattern can say otherwise")


def with_files(folds: pd.DataFrame, config: Config) -> pd.DataFrame:
    """The table of 01 with a column `file`; InputError where an image has gone or changed since."""
    folder, files = folder_of(config.data_folder, "data_folder"), files_told(folds, config)
    if "path" in folds.columns:
        gone = {
            name: f"there is no {path}"
            for name, file in files.items()
            for path in files_of_image(file.path)
            if not path.is_file()
        }
    else:
        gone = name_errors(folds["image"], files, folder)
    raise_all(gone, "images of folds.csv are not there")
    told = [files[image] for image in folds["image"]]
    folds = folds.assign(file=pd.Series(told, folds.index, object))
    now = with_sha(folds)
    changed = folds["image"][folds["sha"] != now["sha"]]
    another = dict.fromkeys(changed, "another file than 01_prepare_folds.py read")
    raise_all(another, f"images of {folder} have changed: run 01_prepare_folds.py")
    return now


def files_told(folds: pd.DataFrame, config: Config) -> dict[str, ImageFile]:
    """Of rows of folds.csv: the file of each image, which may have gone since."""
    folder = folder_of(config.data_folder, "data_folder")
    if "path" in folds.columns:
        paths = zip(folds["image"], folds["path"], strict=True)
        return {image: file_at(folder, path, config.image_bits) for image, path in paths}
    return image_files(folder, config.image_bits)  # of a run made before there was that column


def with_sha(table: pd.DataFrame) -> pd.DataFrame:
    """The table with columns `sha`, read from the files of its column `file`, and `stamp`.

    The stamp is from before the file was read, so that a change meanwhile is seen too.
    """
    found = in_threads(_stamp_and_sha, table["file"].tolist(), "images", {})
    stamps = pd.Series([stamp for stamp, _ in found], table.index, object)
    return table.assign(sha=[sha for _, sha in found], stamp=stamps)


def _stamp_and_sha(file: ImageFile) -> tuple[list[Stamp], str]:
    try:
        return stamp_of(file), sha_of_image(file)
    except OSError as error:
        raise InputError(f"{file.path}: cannot be read ({error.strerror})") from None


def _examine(
    file: ImageFile, label: Label, classes: list[str], config: Config, look: bool
) -> dict[str, Any]:
    """One image and its label, read and held against each other; raises UnusableImage.

    `look` says whether the mask is held against the edges in the picture too.
    """
    stamp, picture = stamp_of(file), read_picture(file)
    shape = (picture.pixels.shape[0], picture.pixels.shape[1])
    if label.size not in (None, shape):
        raise UnusableImage(f"is {_by(shape)} pixels, its labels are of {_by(label.size)}")
    if label.drawn_size not in (None, shape):
        sizes = f"{_by(shape)}, its mask {label.drawn_from} {_by(label.drawn_size)}"
        raise UnusableImage(f"is {sizes} pixels (height x width)")
    masks = [_mask(name, shape, label, config) for name in classes]
    if "" in label.drawn:
        together = two_readings.joined(label.drawn[""], shape)
        two_readings.require_same(np.maximum.reduce(masks), together, label, config)
    texts = dict(zip(mask_columns(classes), map(rle.encode, masks), strict=True))
    sha = sha_of_image(file)
    if stamp_of(file) != stamp:
        raise UnusableImage("changed while it was read")
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
        "shapes": [measured(mask) for mask in masks],
        "places": [places(picture.pixels, mask) if look and mask.any() else None for mask in masks],
        "fits": [fits(picture.pixels, mask) for mask in masks if look and mask.any()],
        "twice": bool(label.drawn and label.runs),
        "sha": sha,
        "spacing": " ".join(f"{mm:.6g}" for mm in spacing_of(file) or ()),
    }


def _by(shape: tuple[int, int] | None) -> str:
    return f"{shape[0]}x{shape[1]}" if shape else ""


def _components(mask: Grey) -> int:
    if not mask.any():
        return 0
    return cv2.connectedComponents(mask[box_of(mask)])[0] - 1


def _mask(name: str, shape: tuple[int, int], label: Label, config: Config) -> Grey:
    """The mask of one class, from run lengths, files, or both, which must agree then."""
    order, start = ("columns", 1) if label.ours else (config.rle_order, config.rle_start)
    mask = _joined(label.runs.get(name, []), shape, order, start)
    if config.invert_masks and mask.any():
        mask = 1 - mask
    if name not in label.drawn:
        return mask
    drawn = _joined(label.drawn[name], shape, "columns", 1)
    if config.invert_masks:
        drawn = 1 - drawn
    if name in label.runs:
        two_readings.require_same(mask, drawn, label, config)
    return drawn


def _joined(runs: list[str], shape: tuple[int, int], order: str, start: int) -> Grey:
    try:
        return two_readings.joined(runs, shape, order, start)
    except rle.RleError as error:
        zero = start == 1 and any("0" in text.split()[::2] for text in runs)
        hint = " (where pixels are counted from 0, set rle_start=0)" if zero else ""
        raise UnusableImage(f"{error}{hint}") from None


def _test_names_beside(config: Config, files: dict[str, ImageFile]) -> list[str]:
    """The test images that stand in the folder of the training images."""
    if config.data_folder_test != config.data_folder or config.test_dataframe == "None":
        return []
    return names_of_test(config, files)


def _check_bits(used: pd.Series, config: Config) -> None:
    """Says so where files of 16 bits use fewer, and would be dark."""
    used = used[used > 0]
    if len(used) and used.max() < config.image_bits:
        print(
            f"WARNING: {len(used)} images of 16 bits use {used.max()} at most, and are read as "
            f"dark pictures of {config.image_bits}: set image_bits={max(8, used.max())}"
        )


def _doubts_of_order(table: pd.DataFrame, labels: dict[str, Label], config: Config) -> list[str]:
    """Whether the masks are far smoother with their run lengths read the other way."""
    columns = masks_in(table)
    told = ~table["image"].map(lambda image: labels[image].ours)
    rows = table[(table[columns] != "").any(axis=1) & told].head(ORDER_CHECKED)
    edges, others = 0, 0
    for row in rows.to_dict("records"):
        for column in columns:
            mask = true_mask(row, column)
            edges += _edges(mask)
            others += _edges(rle.read_the_other_way(mask, config.rle_order))
    if others >= edges / 2:
        return []
    other = ORDERS[config.rle_order]
    doubt = (
        f"read by {config.rle_order}, as rle_order says, the masks have {edges} "
        f"pixels of outline in {len(rows)} images; read by {other}, {others}. They were most "
        f"likely written by {other}: set rle_order={other}."
    )
    print(f"WARNING: {doubt}")
    return [doubt]


def _edges(mask: Grey) -> int:
    """Pairs of neighbours of which one is inside the mask."""
    return sum(int(np.count_nonzero(np.diff(mask, axis=axis))) for axis in (0, 1))
