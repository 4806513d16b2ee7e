"""The labels of a second person, read as those to train on are: second_reader.csv."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd

from lib.artifacts.folds import masks_in
from lib.config.fields import Config
from lib.data.formats import format_of
from lib.data.label import Labels
from lib.data.labels import read_labels
from lib.data.masks.files import mask_paths
from lib.data.pictures.arrays import ImageFile, image_files, is_picture
from lib.data.pictures.reading import Images, stop_or_tell
from lib.data.pictures.tree import tree_of
from lib.data.table import read_more_labels
from lib.runtime.errors import InputError


def read_second_reader(config: Config, images: Images) -> pd.DataFrame | None:
    """Columns image, height, width and run lengths, of the training images that both labelled.

    `images` are those to train on. None where there is no second reader. InputError for labels that
    cannot be used, for other classes, and where no image is labelled by both.
    """
    if config.second_reader == "None":
        return None
    files = _files(images.table, config)
    print(f"second reader  what follows is of the labels of {config.second_reader}")
    with _of_second_reader(config):
        theirs = _settings(config)
        labels = _labels(files, theirs, images)
        found = read_more_labels(files, labels, theirs)
        stop_or_tell(found, config, f"labels of {config.second_reader}")
    names = dict(zip(images.table["file"], images.table["image"], strict=True))
    table = found.table.assign(image=found.table["file"].map(names))
    table = table.sort_values("image", ignore_index=True)
    _say(table, images.table, config)
    return table


def _files(table: pd.DataFrame, config: Config) -> dict[str, ImageFile]:
    """The training images by every name that means but one of them."""
    ours = set(table["file"])
    paths = {file.path for file in ours}
    folder = Path(config.data_folder)
    others = {path for path in tree_of(folder).files if path not in paths}
    found = image_files(folder, config.image_bits, others)
    return {name: file for name, file in found.items() if file in ours}


def _settings(config: Config) -> Config:
    """Those under which the second reader's labels are read as if they were the first."""
    path = Path(config.second_reader)
    if not path.exists():
        raise InputError("there is no such file or folder")
    if path.suffix.lower() == ".zip":
        raise InputError("an archive: unpack it and name the folder")
    pictures = path.is_dir() and format_of(tree_of(path)) is None
    if pictures and not any(map(is_picture, tree_of(path).files)):
        raise InputError("a folder without masks, and without a labelling tool's files")
    return replace(
        config,
        train_dataframe="None" if pictures else str(path),
        mask_folder=str(path) if pictures else "None",
        validation_dataframe="None",
    )


def _labels(files: dict[str, ImageFile], theirs: Config, images: Images) -> Labels:
    """The second reader's labels of images to train on; those of other images are told."""
    pictures = theirs.mask_folder != "None"
    masks = mask_paths(theirs) if pictures else set()
    labels = read_labels(theirs, files, masks, expected=images.classes)
    told = {name: label for name, label in labels.by_image.items() if label.masks or not pictures}
    known = {name: label for name, label in told.items() if name in files}
    others = sorted(told.keys() - known.keys())
    if not known:
        ours = ", ".join(images.table["image"].head(3))
        raise InputError(
            f"none of its {len(others)} images is one to train on: it names "
            f"{', '.join(others[:3])}; names such as {ours} were expected"
        )
    if others:
        print(
            f"second reader  {len(others)} images of {theirs.second_reader} are none to train on "
            f"and stay unused: {', '.join(others[:3])} ..."
        )
    return _in_classes(labels._replace(by_image=known), images.classes)


def _in_classes(labels: Labels, classes: list[str]) -> Labels:
    """The labels with the classes to train on, in their order; InputError where they differ.

    Where both have one class, its name does not matter.
    """
    if sorted(labels.classes) == sorted(classes):
        return labels._replace(classes=classes)
    if len(labels.classes) > 1 or len(classes) > 1:
        raise InputError(
            f"its classes are {', '.join(labels.classes)}, those to train on "
            f"{', '.join(classes)}: name them alike, and give each class a row or a mask, an "
            "empty one where it is not seen"
        )
    return labels


def _say(table: pd.DataFrame, ours: pd.DataFrame, config: Config) -> None:
    both = ours.set_index("image").loc[table["image"]]
    print(
        f"second reader  {len(table)} of {len(ours)} training images are labelled by "
        f"{config.second_reader} too: 04 tells how far both agree, and nothing is trained on it"
    )
    mine, theirs = both[masks_in(ours)].to_numpy(), table[masks_in(table)].to_numpy()
    if (theirs != "").any() and (mine == theirs).all():
        print(
            f"WARNING: {config.second_reader} holds the very masks that are trained on: is it the "
            "first reader's?"
        )


@contextmanager
def _of_second_reader(config: Config) -> Iterator[None]:
    """Errors name the setting that the labels are from."""
    path = config.second_reader
    try:
        yield
    except InputError as error:
        text = str(error)
        for name in ("train_dataframe", "mask_folder"):
            text = text.replace(f"{name}={path}: ", "")
        raise InputError(f"second_reader={path}: {text}") from None
