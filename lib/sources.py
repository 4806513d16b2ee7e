"""Every input layout, read into one table, each image and label checked.

Nothing is dropped: a row that cannot be used is an error, and all errors are listed at once.
"""

import difflib
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from lib import rle
from lib.artifacts import PRESENCE, PROVENANCE, sha_of
from lib.config import Config, InputError

IMAGE_SUFFIXES = {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp"}
MASK_SUFFIX = "_mask"
KAGGLE_COLUMNS = ["subject", "img", "pixels"]
ERRORS_SHOWN = 20
READERS = 4

Grey = npt.NDArray[np.uint8]


class UnusableImage(Exception):
    """An image file that cannot be used; the message says why, without the file's name."""


def read_training_table(config: Config) -> pd.DataFrame:
    """Columns image, rle_mask, height, width, subject, group, sha; sorted by image.

    `subject` is "" where the table does not know it, `sha` that of the image file. Raises
    InputError that lists the first 20 of all images that cannot be used, and their count.
    """
    folder = _folder(config.data_folder, "data_folder")
    files = image_paths(folder)
    table, origin = _labels(config, folder, files)
    errors = _name_errors(table["image"], files, folder)
    table = table[~table["image"].duplicated() & table["image"].isin(list(files))]
    table = _with_files_read(table, files, errors)
    _raise_all(errors, f"{len(errors)} images of {origin} cannot be used:")
    _say_unlisted(table["image"], files, origin)
    return table.sort_values("image", ignore_index=True)


def read_test_table(config: Config) -> pd.DataFrame | None:
    """Columns image, path, in the order of the submission; None where there is no test set.

    The order is that of test_dataframe, else that of the names, their numbers read as numbers.
    """
    if config.data_folder_test == "None":
        return None
    if config.test_dataframe == "None" and config.data_folder_test == config.data_folder:
        return None
    folder = _folder(config.data_folder_test, "data_folder_test")
    files = image_paths(folder)
    if config.test_dataframe == "None":
        origin, names = str(folder), sorted(_image_stems(files), key=_natural)
    else:
        origin, names = config.test_dataframe, _test_names(config)
    if not names:
        raise InputError(f"{origin}: there is no test image in it")
    images = pd.Series(names, dtype=str)
    errors = _name_errors(images, files, folder)
    _raise_all(errors, f"{len(errors)} images of {origin} cannot be used:")
    _say_unlisted(images, files, origin)
    return pd.DataFrame({"image": images, "path": [files[image] for image in images]})


def with_paths(folds: pd.DataFrame, config: Config) -> pd.DataFrame:
    """The table of 01 with a column `path`; InputError where an image has gone or changed since."""
    folder = _folder(config.data_folder, "data_folder")
    files = image_paths(folder)
    errors = _name_errors(folds["image"], files, folder)
    _raise_all(errors, f"{len(errors)} images of folds.csv are not there:")
    folds = folds.assign(path=[files[image] for image in folds["image"]])
    changed = folds["image"][folds["sha"] != with_sha(folds)["sha"]]
    errors = [f"{image}: another file than 01_prepare_folds.py read" for image in changed]
    _raise_all(errors, f"{len(errors)} images of {folder} have changed: run 01_prepare_folds.py:")
    return folds


def with_sha(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column `sha`, read from the files of its column `path`."""
    return table.assign(
        sha=_in_threads(lambda row: sha_of(row.path.read_bytes()), table, "images", [])
    )


def check_images(table: pd.DataFrame) -> None:
    """Reads every image of the table once; InputError lists those that cannot be used."""
    errors: list[str] = []
    _in_threads(lambda row: read_image(row.path), table, "test images", errors)
    _raise_all(errors, f"{len(errors)} test images cannot be used:")


def image_paths(folder: Path) -> dict[str, Path]:
    """Image files of a folder by their name, and by their name without its suffix.

    Raises InputError where two files differ in the suffix only.
    """
    files = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
    paths: dict[str, Path] = {}
    for path in sorted(path for path in files if not path.name.startswith(".")):
        if other := paths.get(path.stem):
            raise InputError(f"{other} and {path.name}: which one is image {path.stem}? Keep one")
        paths[path.stem] = paths[path.name] = path
    return paths


def read_image(path: Path) -> Grey:
    """Grey image uint8 (height, width). Raises UnusableImage for any other kind of file.

    Three or four channels are read where they hold the same grey, as many programs store it.
    """
    try:
        with Image.open(path) as image:
            return _grey(image)
    except FileNotFoundError:
        raise UnusableImage("the file is missing") from None
    except UnidentifiedImageError:
        raise UnusableImage("not an image of a known format, or its end is missing") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnusableImage(f"damaged or truncated ({error})") from None


def read_mask(path: Path) -> Grey:
    """Mask uint8 0/1 (height, width) of a file that holds 0 and one other value."""
    mask = read_image(path)
    values = np.unique(mask)
    if not np.isin(values, [0, values[-1]]).all():
        shown = ", ".join(map(str, values[:5]))
        raise UnusableImage(f"a mask of 0 and one other value was expected, it holds {shown} ...")
    return (mask != 0).astype(np.uint8)


def _grey(image: Image.Image) -> Grey:
    if (frames := getattr(image, "n_frames", 1)) > 1:
        raise UnusableImage(f"{frames} pictures in one file: save each as its own")
    if image.mode == "1":
        return np.asarray(image, dtype=np.uint8) * 255
    if image.mode == "L":
        return np.asarray(image)
    if image.mode in ("P", "RGB", "RGBA", "LA"):
        return _same_in_all_channels(np.asarray(image.convert("RGBA")))
    raise UnusableImage(f"mode {image.mode}: 8-bit grey was expected: convert it (16 bits too)")


def _same_in_all_channels(pixels: Grey) -> Grey:
    """RGBA (height, width, 4) -> (height, width), where that loses nothing."""
    red, green, blue, alpha = np.moveaxis(pixels, -1, 0)
    if (alpha != 255).any():
        raise UnusableImage("has transparent pixels: save it as 8-bit grey")
    if (red != green).any() or (red != blue).any():
        raise UnusableImage("has colours: save it as 8-bit grey")
    return np.ascontiguousarray(red)


def _folder(path: str, name: str) -> Path:
    if path == "None":
        raise InputError(f"{name} is not set: give data=PATH, or {name}=FOLDER")
    if not Path(path).is_dir():
        raise InputError(f"{name}={path}: there is no such folder")
    return Path(path)


def _labels(config: Config, folder: Path, files: dict[str, Path]) -> tuple[pd.DataFrame, str]:
    """Columns image, rle_mask, subject, group, and where they come from.

    `rle_mask` is None where only a mask file tells.
    """
    if config.train_dataframe != "None":
        origin = config.train_dataframe
        table = _read_table(Path(origin), "train_dataframe")
        labels = _labels_of_table(table, origin, config)
    else:
        origin = str(folder)
        masked = {image for image in files if mask_path(image, files)}
        if not masked:
            raise InputError(
                f"{folder} has no *{MASK_SUFFIX} files and train_dataframe is not set: give "
                "data=PATH, or train_dataframe=TABLE"
            )
        labels = table = _labels_of_files(files)
    return _with_group(labels, table, config, origin), origin


def mask_path(image: str, files: dict[str, Path]) -> Path | None:
    """The mask file beside the image, such as 1_1_mask.tif beside 1_1.tif."""
    return files.get(files[image].stem + MASK_SUFFIX) if image in files else None


def _labels_of_files(files: dict[str, Path]) -> pd.DataFrame:
    images = sorted(_image_stems(files))
    subjects = [_subject_of(image) for image in images]
    return pd.DataFrame({"image": images, "rle_mask": None, "subject": subjects})


def _image_stems(files: dict[str, Path]) -> set[str]:
    """Names without suffix of the files that are not masks."""
    return {path.stem for path in files.values() if not _is_mask(path.stem, files)}


def _is_mask(stem: str, files: dict[str, Path]) -> bool:
    return stem.endswith(MASK_SUFFIX) and stem.removesuffix(MASK_SUFFIX) in files


def _subject_of(image: str) -> str:
    """The S of the competition's S_N; "" for other names."""
    match = re.fullmatch(r"(\d+)_\d+", image)
    return match[1] if match else ""


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts 2 before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _read_table(path: Path, name: str) -> pd.DataFrame:
    """All columns as texts; a missing value is "" (pandas would read the image 001 as 1)."""
    if not path.is_file():
        raise InputError(f"{name}={path}: there is no such file")
    try:
        if path.suffix in (".pq", ".parquet"):
            table = pd.read_parquet(path)
        else:
            table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a table that can be read ({error})") from None
    if table.empty:
        raise InputError(f"{path}: the table has no rows")
    for column in table.columns:
        if table[column].map(lambda value: isinstance(value, (list, np.ndarray))).any():
            raise InputError(f"{path}: column {column} holds lists; one value a row is built")
    table = table.reset_index(drop=True)  # a parquet file brings its own, which may repeat
    return table.astype(object).where(table.notna(), "").astype(str)


def _require_columns(table: pd.DataFrame, columns: list[str], origin: str) -> None:
    for column in columns:
        if column not in table.columns:
            near = difflib.get_close_matches(column, table.columns, n=1)
            raise InputError(
                f"{origin} has no column {column!r}, only {', '.join(table.columns)}"
                + (f"; did you mean {near[0]}?" if near else "")
            )


def _labels_of_table(table: pd.DataFrame, origin: str, config: Config) -> pd.DataFrame:
    """Columns image, rle_mask, subject of a table of the competition or of Hydrogen Torch."""
    if set(KAGGLE_COLUMNS) <= set(table.columns):
        image = table["subject"] + "_" + table["img"]
        return pd.DataFrame(
            {"image": image, "rle_mask": table["pixels"], "subject": table["subject"]}
        )
    _require_columns(table, [config.image_column, config.rle_mask_column], origin)
    classes = config.class_name_column
    if classes in table.columns and table[classes].nunique() > 1:
        raise InputError(
            f"{origin}: {classes} holds {', '.join(sorted(table[classes].unique())[:5])}: one "
            "class is built; keep the rows of one"
        )
    return pd.DataFrame(
        {
            "image": table[config.image_column],
            "rle_mask": table[config.rle_mask_column],
            "subject": table.get("subject", ""),
        }
    )


def _with_group(
    labels: pd.DataFrame, table: pd.DataFrame, config: Config, origin: str
) -> pd.DataFrame:
    """Adds `group`, what the folds may not split: a column of the table, or each image by itself.

    Where the table has no column `subject`, group_fold_column is taken for it.
    """
    column = config.group_fold_column
    unknown = (labels["subject"] == "").all()
    if unknown and column in table.columns and column != config.image_column:
        labels = labels.assign(subject=table[column])
    if config.validation_strategy == "kfold":
        return labels.assign(group=labels["image"])
    if column not in table.columns or (table[column] == "").all():
        raise InputError(
            f"{origin} does not tell {column!r}, which folds are grouped by; it has "
            f"{', '.join(table.columns)}: set group_fold_column to the column of the subjects. "
            "(validation_strategy=kfold goes without, but then frames of one person stand on "
            "both sides and flatter the score.)"
        )
    group = table[column]
    if (empty := group == "").any():
        names = ", ".join(labels.loc[empty, "image"].head(ERRORS_SHOWN))
        raise InputError(f"{origin}: {column} is empty for {empty.sum()} images: {names}")
    return labels.assign(group=group)


def _name_errors(images: pd.Series, files: dict[str, Path], folder: Path) -> list[str]:
    """What is wrong with the names, before any file is read."""
    errors = [f"{image}: stands in the table twice" for image in images[images.duplicated()]]
    once = images.drop_duplicates()
    paths = once[once.isin(list(files))].map(files)
    errors += [
        f"{path.stem}: the table names it and {path.name}" for path in paths[paths.duplicated()]
    ]
    for image in once:
        if image in (PRESENCE, PROVENANCE):
            errors.append(f"{image}: the name is kept for the pipeline's own use: rename it")
        elif image not in files:
            near = difflib.get_close_matches(image, files, n=1, cutoff=0.8)
            hint = f" (near: {near[0]})" if near and len(errors) < ERRORS_SHOWN else ""
            errors.append(f"{image}: there is no such image in {folder}{hint}")
    return errors


def _with_files_read(
    table: pd.DataFrame, files: dict[str, Path], errors: list[str]
) -> pd.DataFrame:
    """Adds height, width, sha and the run lengths that only a mask file told."""

    def examine(row: Any) -> dict[str, Any]:
        return _examine(files[row.image], row.rle_mask, mask_path(row.image, files))

    found = _in_threads(examine, table, "training images", errors)
    if errors:
        return table
    read = pd.DataFrame(found, index=table.index)
    return table.drop(columns="rle_mask").join(read)


def _examine(path: Path, rle_mask: str | None, mask_file: Path | None) -> dict[str, Any]:
    """One image and its label, read and held against each other; raises UnusableImage."""
    height, width = read_image(path).shape
    mask = _checked_mask(mask_file, (height, width)) if mask_file else None
    if rle_mask is None:
        if mask is None:
            raise UnusableImage(f"there is no mask {path.stem}{MASK_SUFFIX}{path.suffix}")
        rle_mask = rle.encode(mask)
    else:
        rle_mask = " ".join(rle_mask.split())
        labelled = rle.decode(rle_mask, (height, width))
        if mask is not None and (wrong := np.count_nonzero(labelled != mask)):
            assert mask_file is not None
            raise UnusableImage(f"table and {mask_file.name} differ in {wrong} pixels")
    return {
        "rle_mask": rle_mask,
        "height": height,
        "width": width,
        "sha": sha_of(path.read_bytes()),
    }


def _checked_mask(path: Path, shape: tuple[int, int]) -> Grey:
    try:
        mask = read_mask(path)
    except UnusableImage as error:
        raise UnusableImage(f"its mask {path.name}: {error}") from None
    if mask.shape != shape:
        sizes = f"{shape[0]}x{shape[1]}, its mask {path.name} {mask.shape[0]}x{mask.shape[1]}"
        raise UnusableImage(f"is {sizes} pixels (height x width)")
    return mask


def _in_threads(
    read: Callable[[Any], Any], table: pd.DataFrame, title: str, errors: list[str]
) -> list[Any]:
    """read(row) of every row that can be used, in their order; the other rows go to `errors`."""

    def attempt(row: Any) -> Any:
        try:
            return read(row)
        except (UnusableImage, rle.RleError) as error:
            return UnusableImage(f"{row.image}: {error}")

    with ThreadPoolExecutor(READERS) as pool:
        attempts = pool.map(attempt, table.itertuples())
        results = list(tqdm(attempts, f"reading {title}", len(table), disable=None, leave=False))
    errors += [str(result) for result in results if isinstance(result, UnusableImage)]
    return [result for result in results if not isinstance(result, UnusableImage)]


def _raise_all(errors: list[str], title: str) -> None:
    if errors:
        more = len(errors) - ERRORS_SHOWN
        lines = [*errors[:ERRORS_SHOWN], *([f"... and {more} more"] if more > 0 else [])]
        raise InputError("\n  ".join([title, *lines]))


def _test_names(config: Config) -> list[str]:
    table = _read_table(Path(config.test_dataframe), "test_dataframe")
    column = "img" if "img" in table.columns else config.image_column
    _require_columns(table, [column], config.test_dataframe)
    return table[column].tolist()


def _say_unlisted(images: pd.Series, files: dict[str, Path], origin: str) -> None:
    """Files that no row names are no error: a folder often holds the images of several tables."""
    used = {files[image].stem for image in images}
    unlisted = _image_stems(files) - used
    if unlisted:
        shown = ", ".join(sorted(unlisted)[:3])
        print(f"{len(unlisted)} image files are not in {origin} and stay unused: {shown} ...")
