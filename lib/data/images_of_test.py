"""The test images: which they are, each read once, and what of them was left out."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lib.artifacts.audit import quarantined_tests
from lib.config.fields import Config
from lib.data.archives import ArchiveError, unpacked
from lib.data.masks.extras import extras_among
from lib.data.masks.files import as_training_set, mask_paths, masks_beside
from lib.data.pictures.arrays import (
    PICTURE_SUFFIXES,
    ImageFile,
    composed,
    image_files,
    is_picture,
    names_of,
    read_picture,
)
from lib.data.pictures.clips import SUFFIXES as VIDEO_SUFFIXES
from lib.data.pictures.clips import frames_of
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
from lib.data.tables.cells import found_in, read_table, require_columns, with_image_column
from lib.runtime.errors import InputError


def read_test_images(config: Config, compared: bool = True) -> Images | None:
    """Reads every test image once: columns image, height, width, kind; None without a test set.

    Without their textures where they are not to be `compared` with other images.
    """
    if (listed := _list_test_images(config)) is None:
        return None
    for note in notes_on(listed.files.values()):
        print(note)
    unusable = name_errors(listed.names, listed.files, listed.folder)

    def examine(image: str) -> dict[str, Any]:
        picture = read_picture(listed.files[image])
        return {"image": image, **about(picture.pixels, compared), "kind": picture.kind}

    names = [name for name in dict.fromkeys(listed.names) if name not in unusable]
    images = images_of(in_threads(examine, names, "test images", unusable), unusable, [])
    stop_or_tell(images, config, f"test images of {listed.origin}")
    if config.test != "None":
        say_no_images(listed.folder, listed.files)
    elif config.data_folder_test != config.data_folder:
        say_unlisted(listed.names, listed.files, listed.origin)
    return images


def read_test_table(config: Config, left_out: Collection[str] = ()) -> pd.DataFrame | None:
    """Columns image, file, in the order of the submission; None where there is no test set.

    The order is that of test_dataframe, else (and of the images of `test`) that of the names, their
    numbers read as numbers.
    `left_out` are the images in quarantine, whose file is None.
    """
    if (listed := _list_test_images(config)) is None:
        return None
    errors = name_errors(listed.names, listed.files, listed.folder)
    wrong = {name: error for name, error in errors.items() if name not in left_out}
    raise_all(wrong, f"test images of {listed.origin} cannot be used")
    files = [None if name in left_out else listed.files[name] for name in listed.names]
    return pd.DataFrame({"image": listed.names, "file": pd.Series(files, dtype=object)})


def files_of_test_set(config: Config) -> set[Path]:
    """The files of the test set, its masks too, where its folders stand in the training images'."""
    images = Path(config.data_folder)
    inside: set[Path] = set()
    for folder in {config.data_folder_test, config.mask_folder_test} - {"None"}:
        test = Path(folder).resolve()
        if images.resolve() in test.parents:
            inside |= set(tree_of(images / test.relative_to(images.resolve())).files)
    return inside


def described_test_set(config: Config) -> list[str]:
    if config.test != "None":
        return [config.test]
    return [config.data_folder_test, config.test_dataframe]


def left_out_of_test(audit: dict[str, Any], config: Config) -> list[str]:
    """The test images in quarantine; InputError where they are of another test set.

    Those of `test`, if 01 did not see them, are read now, and the same InputError ends it.
    """
    if config.test != "None" and audit["test_set"] != described_test_set(config):
        new = read_test_images(config, compared=False)
        return list(new.unusable) if new else []
    images, now = quarantined_tests(config), described_test_set(config)
    if images and audit["test_set"] != now:
        raise InputError(
            f"quarantine.csv is of the test set {audit['test_set']}, not of {now}: "
            "run 01_prepare_folds.py"
        )
    return images


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
    masks = mask_paths(as_training_set(config))
    if config.test_dataframe == "None":
        found = [p for p in tree_of(folder).files if p not in masks and is_picture(p)]
        masks |= extras_among(found, masks).all
    files = image_files(folder, config.image_bits, masks)
    if config.test_dataframe == "None":
        origin, names = str(folder), sorted(names_of(files), key=_natural)
    else:
        origin, names = config.test_dataframe, names_of_test(config, files)
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
    files = image_files(place, config.image_bits, masks_beside(place))
    if not files:
        pictures, videos = (", ".join(sorted(kind)) for kind in (PICTURE_SUFFIXES, VIDEO_SUFFIXES))
        raise InputError(
            f"test={path}: there is no image in it. Known are {pictures}, DICOM files, a folder or "
            f".zip of them, and one video ({videos})"
        )
    _refuse_videos(place)
    return _Listed(sorted(names_of(files), key=_natural), files, place, str(path))


def _refuse_videos(folder: Path) -> None:
    beside = sorted(folder.iterdir()) if folder.is_dir() else []
    videos = [path.name for path in beside if path.suffix.lower() in VIDEO_SUFFIXES]
    if videos:
        raise InputError(
            f"{folder / videos[0]}: a video among images: give one by itself, test=PATH, or its "
            "frames as images"
        )


def names_of_test(config: Config, files: dict[str, ImageFile]) -> list[str]:
    """The images of test_dataframe, in its order, by their names in `files` where there are any."""
    path = Path(config.test_dataframe)
    table = read_table(path, "test_dataframe")
    if "img" in table.columns:
        table = table.rename(columns={"img": config.image_column})
    else:
        table = with_image_column(table, config, str(path), files)
    require_columns(table, [config.image_column], str(path))
    cells = table[config.image_column]
    names = [found_in(cell, files) or composed(cell) for cell in cells]
    rows_an_image = "class_id" in table.columns or config.class_name_column in table.columns
    return list(dict.fromkeys(names)) if rows_an_image else names


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts 2 before 10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)
    ]
