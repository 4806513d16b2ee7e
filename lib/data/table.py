"""The images and labels of every layout, read once and held against each other: ONE table.

Nothing is dropped silently. An image that cannot be used is an error, and all of them are listed at
once; with `quarantine: true` it is left out and kept in quarantine.csv with the reason.
"""

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from lib import rle
from lib.artifacts.folds import mask_columns, masks_in, true_mask
from lib.artifacts.probabilities import PRESENCE, PROVENANCE
from lib.config.fields import Config
from lib.data.archives import ArchiveError, unpacked
from lib.data.clips import SUFFIXES as VIDEO_SUFFIXES
from lib.data.clips import frames_of
from lib.data.labels import Label, image_stems, read_labels, read_table, require_columns
from lib.data.pictures import (
    MASK_SUFFIX,
    PICTURE_SUFFIXES,
    Grey,
    ImageFile,
    UnusableImage,
    composed,
    image_files,
    read_mask,
    read_picture,
    sha_of_image,
    stem_of,
)
from lib.data.thumbnails import SHAPE, thumbnail
from lib.runtime.errors import InputError
from lib.runtime.progress import progress

ERRORS_SHOWN = 20
READERS = 4
ORDER_CHECKED = 50  # masks whose reading by rows is compared with that by columns
ORDERS = {"columns": "rows", "rows": "columns"}


class Images(NamedTuple):
    """All that 01 knows of the images of a folder."""

    table: pd.DataFrame  # a row an image that can be used
    thumbnails: npt.NDArray[np.uint8]  # (rows, height, width), for lib/folds/duplicates.py
    unusable: dict[str, str]  # the others: why
    classes: list[str]  # of the masks


def read_training_images(config: Config) -> Images:
    """Reads every image and label once; the table is sorted by image.

    Columns image, file, one of run lengths a class (`mask_columns`), height, width, subject,
    told_group, told_fold, validation (bool), kind, components, sha. What nobody tells is "".
    InputError lists the first 20 images that cannot be used, and their count.
    """
    folder = folder_of(config.data_folder, "data_folder")
    files = image_files(folder, config.image_bits)
    labels = read_labels(config, files)
    if not labels.by_image:
        _say_no_images(folder, files)
        raise InputError(f"{labels.origin} tells of no image (no folder in a folder is read)")
    unusable = _name_errors(labels.by_image, files, folder)
    unusable |= {name: label.error for name, label in labels.by_image.items() if label.error}

    def examine(image: str) -> dict[str, Any]:
        label = labels.by_image[image]
        row = _examine(files[image], label, labels.classes, config)
        return {"image": image, "file": files[image], "validation": label.validation, **row}

    names = sorted(labels.by_image.keys() - unusable.keys())
    rows = _in_threads(examine, names, "training images", unusable)
    images = _images(rows, unusable, labels.classes)
    _stop_or_tell(images, config, f"images of {labels.origin}")
    _say_unlisted([*labels.by_image, *_test_names_beside(config)], files, labels.origin)
    _say_no_images(folder, files)
    _check_bits(images.table["kind"], config)
    if config.train_dataframe != "None" and config.mask_folder == "None":
        _check_order(images.table, labels.by_image, config)
    return images


def read_test_images(config: Config) -> Images | None:
    """Reads every test image once: columns image, height, width, kind; None without a test set."""
    if (listed := _list_test_images(config)) is None:
        return None
    unusable = _name_errors(listed.names, listed.files, listed.folder)

    def examine(image: str) -> dict[str, Any]:
        picture = read_picture(listed.files[image])
        return {"image": image, **_about(picture.pixels), "kind": picture.kind}

    names = [name for name in dict.fromkeys(listed.names) if name not in unusable]
    images = _images(_in_threads(examine, names, "test images", unusable), unusable, [])
    _stop_or_tell(images, config, f"test images of {listed.origin}")
    if config.test != "None":
        _say_no_images(listed.folder, listed.files)
    elif config.data_folder_test != config.data_folder:
        _say_unlisted(listed.names, listed.files, listed.origin)
    return images


def read_test_table(config: Config, left_out: Collection[str] = ()) -> pd.DataFrame | None:
    """Columns image, file, in the order of the submission; None where there is no test set.

    The order is that of test_dataframe, else (and of the images of `test`) that of the names, their
    numbers read as numbers.
    `left_out` are the images in quarantine, whose file is None.
    """
    if (listed := _list_test_images(config)) is None:
        return None
    errors = _name_errors(listed.names, listed.files, listed.folder)
    wrong = {name: error for name, error in errors.items() if name not in left_out}
    raise_all(wrong, f"test images of {listed.origin} cannot be used")
    files = [None if name in left_out else listed.files[name] for name in listed.names]
    return pd.DataFrame({"image": listed.names, "file": pd.Series(files, dtype=object)})


def with_files(folds: pd.DataFrame, config: Config) -> pd.DataFrame:
    """The table of 01 with a column `file`; InputError where an image has gone or changed since."""
    folder = folder_of(config.data_folder, "data_folder")
    files = image_files(folder, config.image_bits)
    raise_all(_name_errors(folds["image"], files, folder), "images of folds.csv are not there")
    folds = folds.assign(file=pd.Series([files[i] for i in folds["image"]], folds.index, object))
    changed = folds["image"][folds["sha"] != with_sha(folds)["sha"]]
    another = dict.fromkeys(changed, "another file than 01_prepare_folds.py read")
    raise_all(another, f"images of {folder} have changed: run 01_prepare_folds.py")
    return folds


def with_sha(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column `sha`, read from the files of its column `file`."""
    return table.assign(sha=_in_threads(sha_of_image, table["file"].tolist(), "images", {}))


def folder_of(path: str, name: str) -> Path:
    if path == "None":
        raise InputError(f"{name} is not set: give data=PATH, or {name}=FOLDER")
    if not Path(path).is_dir():
        raise InputError(f"{name}={path}: there is no such folder")
    return Path(path)


def raise_all(errors: Mapping[str, str], title: str) -> None:
    """InputError of the first 20 of {image: what is wrong}, and their count; none where empty."""
    if errors:
        lines = [f"{image}: {error}" for image, error in list(errors.items())[:ERRORS_SHOWN]]
        if (more := len(errors) - ERRORS_SHOWN) > 0:
            lines.append(f"... and {more} more")
        raise InputError("\n  ".join([f"{len(errors)} {title}:", *lines]))


class _Listed(NamedTuple):
    names: list[str]
    files: dict[str, ImageFile]
    folder: Path
    origin: str


def _list_test_images(config: Config) -> _Listed | None:
    if config.test != "None":
        return _list_new_images(Path(config.test), config)
    if config.data_folder_test == "None":
        return None
    if config.test_dataframe == "None" and config.data_folder_test == config.data_folder:
        return None
    folder = folder_of(config.data_folder_test, "data_folder_test")
    files = image_files(folder, config.image_bits)
    if config.test_dataframe == "None":
        origin, names = str(folder), sorted(image_stems(files), key=_natural)
    else:
        origin, names = config.test_dataframe, _test_names(config)
    if not names:
        raise InputError(f"{origin}: there is no test image in it")
    return _Listed(names, files, folder, origin)


def _list_new_images(path: Path, config: Config) -> _Listed:
    """Those of a folder, zip or video, or the one: `test`, which has no table."""
    place, unpack_into = path, Path(config.runs_folder) / ".unpacked"
    if not path.exists():
        raise InputError(f"test={path}: there is no such file or folder")
    if path.suffix.lower() == ".zip":
        try:
            place = unpacked(path, unpack_into)
        except ArchiveError as error:
            raise InputError(f"test={error}") from error
    elif path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
        place = frames_of(path, unpack_into, incomplete=config.quarantine)
    files = image_files(place, config.image_bits)
    if not files:
        pictures, videos = (", ".join(sorted(kind)) for kind in (PICTURE_SUFFIXES, VIDEO_SUFFIXES))
        raise InputError(
            f"test={path}: there is no image in it. Known are {pictures}, DICOM files, a folder or "
            f".zip of them (folders in it are not looked into), and one video ({videos})"
        )
    _refuse_videos(place)
    return _Listed(sorted(image_stems(files), key=_natural), files, place, str(path))


def _refuse_videos(folder: Path) -> None:
    beside = sorted(folder.iterdir()) if folder.is_dir() else []
    videos = [path.name for path in beside if path.suffix.lower() in VIDEO_SUFFIXES]
    if videos:
        raise InputError(
            f"{folder / videos[0]}: a video among images: give one by itself, test=PATH, or its "
            "frames as images"
        )


def _test_names(config: Config) -> list[str]:
    path = Path(config.test_dataframe)
    table = read_table(path, "test_dataframe")
    column = "img" if "img" in table.columns else config.image_column
    require_columns(table, [column], str(path))
    names = table[column].map(composed).tolist()
    rows_an_image = "class_id" in table.columns or config.class_name_column in table.columns
    return list(dict.fromkeys(names)) if rows_an_image else names


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts 2 before 10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)
    ]


def _name_errors(
    images: Iterable[str], files: dict[str, ImageFile], folder: Path
) -> dict[str, str]:
    """What is wrong with the names, before any file is read."""
    errors: dict[str, str] = {}
    named: dict[ImageFile, str] = {}
    seen: set[str] = set()
    for image in images:
        if image in (PRESENCE, PROVENANCE):
            errors[image] = "the name is kept for the pipeline's own use: rename it"
        elif image not in files:
            errors[image] = f"there is no such image in {folder}{_near(image, files, errors)}"
        elif (other := named.setdefault(files[image], image)) == image and image in seen:
            errors[image] = "stands in the table twice"
        elif other != image:
            errors[image] = errors[other] = f"{other} and {image} are the same file"
        seen.add(image)
    return errors


def _near(image: str, files: dict[str, ImageFile], errors: dict[str, str]) -> str:
    """A hint, for as many as are shown: it takes a while."""
    if len(errors) >= ERRORS_SHOWN:
        return ""
    near = [name for name in files if name.casefold() == image.casefold()]
    near = near or difflib.get_close_matches(image, files, n=1, cutoff=0.8)
    return f" (near: {near[0]})" if near else ""


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
        **_about(picture.pixels),
        "subject": label.subject or file.subject,
        "loop": file.path.name if file.frame is not None else "",
        "told_group": label.group,
        "told_fold": label.fold,
        "kind": picture.kind,
        "components": max(_components(mask) for mask in masks),
        "sha": sha_of_image(file),
    }


def _about(pixels: Grey) -> dict[str, Any]:
    return {
        "height": pixels.shape[0],
        "width": pixels.shape[1],
        "thumbnail": thumbnail(pixels),
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


def _in_threads(
    read: Callable[[Any], Any], items: list[Any], title: str, unusable: dict[str, str]
) -> list[Any]:
    """read(item) of every item that can be used, in their order; the others go to `unusable`."""

    def attempt(item: Any) -> Any:
        try:
            return read(item)
        except UnusableImage as error:
            return error

    with ThreadPoolExecutor(READERS) as pool:
        attempts = pool.map(attempt, items)
        results = list(progress(attempts, f"reading {title}", len(items)))
    good = []
    for item, result in zip(items, results, strict=True):
        if isinstance(result, UnusableImage):
            unusable[item] = str(result)
        else:
            good.append(result)
    return good


def _images(rows: list[dict[str, Any]], unusable: dict[str, str], classes: list[str]) -> Images:
    thumbnails = [row.pop("thumbnail") for row in rows]
    stacked = np.stack(thumbnails) if thumbnails else np.zeros((0, *SHAPE), dtype=np.uint8)
    return Images(pd.DataFrame(rows), stacked, unusable, classes)


def _stop_or_tell(images: Images, config: Config, what: str) -> None:
    if not images.unusable:
        return
    if not config.quarantine:
        raise_all(images.unusable, f"{what} cannot be used (quarantine=true leaves them out)")
    if images.table.empty:
        raise_all(images.unusable, f"{what} cannot be used, and no other is left")
    print(f"QUARANTINE: {len(images.unusable)} {what} cannot be used and are left out, such as")
    for image, reason in list(images.unusable.items())[:3]:
        print(f"  {image}: {reason}")


def _test_names_beside(config: Config) -> list[str]:
    """The test images that stand in the folder of the training images."""
    if config.data_folder_test != config.data_folder or config.test_dataframe == "None":
        return []
    return _test_names(config)


def _say_unlisted(images: Iterable[str], files: dict[str, ImageFile], origin: str) -> None:
    """Files that no row names are no error: a folder often holds the images of several tables."""
    used = {stem_of(files[image]) for image in images if image in files}
    unlisted = image_stems(files) - used
    if unlisted:
        shown = ", ".join(sorted(unlisted)[:3])
        print(f"{len(unlisted)} image files are not in {origin} and stay unused: {shown} ...")


def _say_no_images(folder: Path, files: dict[str, ImageFile]) -> None:
    """Subfolders and files of other kinds, which a person may take for images."""
    if not folder.is_dir():
        return
    known = {file.path for file in files.values()}
    others = sorted(p.name for p in folder.iterdir() if p not in known and p.name[0] != ".")
    if others:
        print(f"{len(others)} files or folders in {folder} are no images: {others[0]} ...")


def _check_bits(kinds: pd.Series, config: Config) -> None:
    """Says so where files of 16 bits use fewer, and would be dark."""
    used = kinds.str.extract(r"16-bit grey, (\d+) used")[0].dropna().astype(int)
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
