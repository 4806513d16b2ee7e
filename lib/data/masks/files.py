"""Mask files: which they are, of which image and class, and the run lengths that they hold."""

import re
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import yaml

from lib.config.fields import Config
from lib.data.label import ONE_CLASS, Label, Labels
from lib.data.masks.extras import copies_among
from lib.data.masks.folders import is_of_test, sorted_out
from lib.data.masks.pairs import Paired, beside, paired
from lib.data.masks.values import Classes, Drawn, classes_of, drawn, runs_by_class, value_of
from lib.data.pictures.arrays import (
    MASK_SUFFIX,
    ImageFile,
    UnusableImage,
    images_of_file,
    is_picture,
    names_of,
    stem_of,
)
from lib.data.pictures.tree import json_in, require_printable, tree_of
from lib.runtime.errors import InputError
from lib.runtime.progress import progress
from lib.runtime.threads import READERS

NAME_FILES = ("dataset.json", "labelmap.txt", "classes.txt", "data.yaml", "labels.txt")


def mask_paths(config: Config) -> set[Path]:
    """The mask files: those of mask_folder, else those beside the images, as 1_1_mask.tif.

    Where one folder holds images and masks, the masks are told by what they hold.
    """
    images = Path(config.data_folder)
    if config.mask_folder == "None":
        return _beside(images, only_mask=config.train_dataframe != "None")
    masks = Path(config.mask_folder)
    if not masks.is_dir():
        raise InputError(f"mask_folder={masks}: there is no such folder")
    tree = tree_of(masks)
    if images != masks and masks not in images.parents:
        found = [path for path in tree.files if is_picture(path)]
    else:
        found = sorted_out(tree).masks
    for path in found:
        require_printable(path)
    found = sorted(set(found) - copies_among(found).keys())
    of_training = {path for path in found if not is_of_test(path, masks)}
    return of_training or set(found)


def _beside(folder: Path, only_mask: bool) -> set[Path]:
    """Files named as another one of their folder with _mask added, or another word of masks."""
    by_folder: dict[Path, dict[str, Path]] = {}
    for path in tree_of(folder).files if folder.is_dir() else []:
        if is_picture(path):
            require_printable(path)
            by_folder.setdefault(path.parent, {})[stem_of(ImageFile(path))] = path
    return {
        paths[stem]
        for paths in by_folder.values()
        for stem in (_with_suffix(paths) if only_mask else beside(paths))
    }


def _with_suffix(stems: Collection[str]) -> list[str]:
    return [
        stem
        for stem in stems
        if stem.endswith(MASK_SUFFIX) and stem.removesuffix(MASK_SUFFIX) in stems
    ]


def masks_beside(folder: Path) -> set[Path]:
    """Mask files among images to predict, as 1_mask.tif beside 1.tif."""
    return _beside(folder, only_mask=True)


def as_training_set(config: Config) -> Config:
    """The settings under which the test set and its labels are read as those to train on are."""
    return replace(
        config,
        data_folder=config.data_folder_test,
        train_dataframe=config.test_dataframe,
        mask_folder=config.mask_folder_test,
        data_folder_test=config.data_folder,
        test_dataframe="None",
        validation_dataframe="None",
        quarantine=True,
    )


def add_mask_files(
    labels: Labels,
    files: dict[str, ImageFile],
    masks: Collection[Path],
    config: Config,
    without: Collection[ImageFile] = (),
    expected: Sequence[str] = (),
) -> None:
    """Gives each label what the mask files of its image hold; those `without` go.

    `expected` are the classes of other masks of the same make.
    """
    images = {image: files[image] for image in labels.by_image if image in files}
    given = {path for label in labels.by_image.values() for path in label.files.values()}
    if len(labels.classes) > 1 and config.mask_folder == "None":
        masks = ()  # those beside the images tell no class
    # A mask of an image that is left out must not find another one, of a name like it.
    told = set(images.values())
    others = {name: file for name, file in names_of(files).items() if file not in told}
    pairs = paired(
        images | others, (file for path in sorted(masks) for file in images_of_file(path))
    )
    for image in [*others, *(image for image, file in images.items() if file in without)]:
        labels.by_image.pop(image, None)
        pairs.by_image.pop(image, None)
    if config.mask_folder != "None":
        _say_unused(pairs, config.mask_folder)
    if _tells_runs(labels, config):
        _read_beside_runs(labels, pairs, config)
        return
    if config.mask_folder != "None":
        labels.classes[:] = [ONE_CLASS]
        for label in labels.by_image.values():
            label.runs = {}
    for label in labels.by_image.values():
        only = labels.classes == [ONE_CLASS]
        named = {"" if only else name: [ImageFile(path)] for name, path in label.files.items()}
        label.masks = named
    for image, by_class in pairs.by_image.items():
        if not labels.by_image[image].files:  # a table's paths win
            labels.by_image[image].masks |= by_class
    if pairs.by_image or given:
        _read(labels, pairs, config, expected)
    elif config.mask_folder != "None" and masks:
        raise InputError(
            f"no mask of {config.mask_folder} has the name of an image of {config.data_folder}: "
            f"{min(masks).name} is one, {next(iter(images), 'none')} the other"
        )
    if config.train_dataframe == "None" or config.mask_folder != "None":
        _name_missing(labels, files, config)


def _tells_runs(labels: Labels, config: Config) -> bool:
    """Whether a table tells the masks that mask_folder holds."""
    if config.mask_folder == "None" or config.rle_mask_column == "None":
        return False
    return any(
        text for label in labels.by_image.values() for of in label.runs.values() for text in of
    ) and not any(label.ours for label in labels.by_image.values())


def _read_beside_runs(labels: Labels, pairs: Paired, config: Config) -> None:
    """What the mask files hold, by the table's classes; "" is all of them where names differ."""
    read = {image: Label(masks=pairs.by_image.get(image, {})) for image in labels.by_image}
    found = Labels(read, [ONE_CLASS], labels.origin)
    _read(found, pairs, config)
    one = len(found.classes) == len(labels.classes) == 1
    alike = one or found.classes == labels.classes
    if not alike:
        print(f"classes        {', '.join(labels.classes)}, from {labels.origin}, count")
    for image, label in labels.by_image.items():
        drawn, masks = read[image].drawn, read[image]
        united = [text for texts in drawn.values() for text in texts]
        together = {labels.classes[0] if one else "": united} if drawn else {}
        label.drawn = drawn if alike and not one else together
        label.drawn_size, label.drawn_from = masks.drawn_size, masks.drawn_from
        label.error = label.error or masks.error


def _say_unused(pairs: Paired, folder: str) -> None:
    if pairs.unused:
        print(
            f"{len(pairs.unused)} masks of {folder} have no image and stay unused: "
            f"{min(pairs.unused).name} ..."
        )


def _read(labels: Labels, pairs: Paired, config: Config, expected: Sequence[str] = ()) -> None:
    """The run lengths of all mask files, by class."""
    wanted = [
        file for label in labels.by_image.values() for of in label.masks.values() for file in of
    ]
    with ThreadPoolExecutor(READERS) as pool:
        found = progress(pool.map(_attempt, wanted), "reading masks", len(wanted))
        by_file = dict(zip(wanted, found, strict=True))
    good = {file: mask for file, mask in by_file.items() if isinstance(mask, Drawn)}
    names = sorted({name for label in labels.by_image.values() for name in label.masks})
    meant = {name: _classes(name, labels, good, config, expected) for name in names}
    for label in labels.by_image.values():
        for name, of in label.masks.items():
            for file in _without_pages(label, of, by_file):
                _take(label, file, by_file[file], name, meant[name])
    told = meant[""].told if names == [""] else pairs.classes_from
    if names == [""] and told and not meant[""].names:
        print(f"classes        {told} (names in a classes.txt beside them make them classes)")
    _settle_classes(labels, told, expected)


def _without_pages(
    label: Label, files: Sequence[ImageFile], by_file: Mapping[ImageFile, Drawn | str]
) -> list[ImageFile]:
    """The first page of each file alone, where all are one mask, as colours are."""
    first: dict[Path, ImageFile] = {}
    for file in files:
        if by_file[first.setdefault(file.path, file)] != by_file[file]:
            label.error = (
                f"its mask {file.path.name} holds several pictures that differ, and the image is "
                "one: save the mask of the image alone"
            )
    return list(first.values())


def _attempt(file: ImageFile) -> Drawn | str:
    try:
        return drawn(file)
    except UnusableImage as error:
        return str(error)


def _classes(
    name: str,
    labels: Labels,
    good: dict[ImageFile, Drawn],
    config: Config,
    expected: Sequence[str],
) -> Classes:
    masks = [
        good[file]
        for label in labels.by_image.values()
        for file in label.masks.get(name, [])
        if file in good
    ]
    folder = config.data_folder if config.mask_folder == "None" else config.mask_folder
    known, origin = names_of_values(Path(folder)) if name == "" else ({}, "")
    if name == "" and len(expected) > 1:
        told = known or {value: of for of in expected if (value := value_of(of)) is not None}
        known = {value: of for value, of in told.items() if of in expected}
        if {value for mask in masks for value in mask.runs} <= known.keys():
            return Classes(known, "the images to train on")
    return classes_of(masks, known, origin)


def _take(label: Label, file: ImageFile, mask: Drawn | str, name: str, meant: Classes) -> None:
    """Adds the mask to the label, under its class."""
    if isinstance(mask, str):
        label.error = label.error or f"its mask {file.path.name}: {mask}"
        return
    if name and meant.names:
        values = ", ".join(map(str, sorted(mask.runs)[:3]))
        label.error = label.error or (
            f"its mask {file.path.name} of the class {name} holds several values, {values}: a mask "
            "in the folder of a class holds 0 and one other"
        )
        return
    label.drawn_size = mask.shape
    for of, texts in runs_by_class(mask, meant.names).items():
        label.drawn.setdefault(name or of, []).extend(texts)
    label.drawn_from = file.path.name


def _settle_classes(labels: Labels, told: str, expected: Sequence[str]) -> None:
    """The classes that masks tell; an image with a mask and no file of one has none of it."""
    found = sorted({name for label in labels.by_image.values() for name in label.drawn} - {""})
    drawn = [label for label in labels.by_image.values() if label.masks]
    if found and set(found) < set(expected):
        labels.classes[:] = expected
    if len(labels.classes) == 1 and len(found) <= 1:
        for label in drawn:
            label.drawn = {labels.classes[0]: [text for of in label.drawn.values() for text in of]}
        return
    if len(labels.classes) == 1:
        labels.classes[:] = found
        print(f"classes        {', '.join(found)}, from {told}")
    for label in drawn:
        label.drawn |= {name: label.drawn.get(name, []) for name in labels.classes}
    if all("" not in label.masks for label in drawn):  # each class has files of its own
        _say_lacking(drawn, labels.classes)


def _say_lacking(drawn: Sequence[Label], classes: Sequence[str]) -> None:
    for name in classes:
        if lacking := sum(name not in label.masks for label in drawn):
            print(
                f"WARNING: {lacking} of {len(drawn)} images with a mask have no file of {name}, "
                "and count as empty there"
            )


def _name_missing(labels: Labels, files: dict[str, ImageFile], config: Config) -> None:
    """An image without a mask file is an error, or with missing_mask=empty a negative."""
    place = config.data_folder if config.mask_folder == "None" else config.mask_folder
    for image, label in labels.by_image.items():
        if label.masks or label.error or image not in files:
            continue
        if config.missing_mask == "empty":
            label.runs = {name: [] for name in labels.classes}
        else:
            label.error = (
                f"there is no mask of {image} in {place} (missing_mask=empty: it shows no nerve)"
            )


def names_of_values(folder: Path) -> tuple[dict[int, str], str]:
    """Names of the values of masks, by value, from a file in the folder or in one above; and which.

    nnU-Net's dataset.json, CVAT's labelmap.txt, a classes.txt with a name a line, a data.yaml.
    """
    for place in (folder, *folder.parents[:2]):
        for name in NAME_FILES:
            path = place / name
            if path.is_file() and (found := _names_in(path)):
                return found, name
    return {}, ""


def _names_in(path: Path) -> dict[int, str]:
    if path.suffix == ".json":
        content = json_in(path)
        labels = content.get("labels") if isinstance(content, dict) else None
        return _by_number(labels) if isinstance(labels, dict) else {}
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    if path.suffix == ".yaml":
        try:
            names = (yaml.safe_load(text) or {}).get("names", {})
        except (yaml.YAMLError, AttributeError, ValueError, TypeError, RecursionError):
            return {}
        return _by_number(dict(enumerate(names)) if isinstance(names, list) else names)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if path.name == "labelmap.txt":
        found = {}
        for line in lines:
            if match := re.match(r"([^#:][^:]*):(\d+),(\d+),(\d+)", line):
                red, green, blue = map(int, match.groups()[1:])
                grey = red == green == blue
                found[red if grey else (red << 16) + (green << 8) + blue] = match[1]
        return found
    return dict(enumerate(lines))


def _by_number(names: dict[object, object]) -> dict[int, str]:
    """{"nerve": 1} or {"1": "nerve"} -> {1: "nerve"}."""
    found = {}
    for key, value in names.items():
        number, name = (key, value) if str(key).isdigit() else (value, key)
        if str(number).isdigit():
            found[int(str(number))] = str(name)
    return found
