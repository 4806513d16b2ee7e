"""Tables and mask files of every layout -> the labels of each image, in the data's own words.

Read here, but not yet held against the images: lib/data/table.py does that.
"""

import re
from pathlib import Path

from lib.config.fields import Config
from lib.data.coco import labels_of_coco
from lib.data.label_tables import ONE_CLASS, Label, Labels, read_label_table
from lib.data.pictures import MASK_SUFFIX, PICTURE_SUFFIXES, ImageFile, composed, stem_of
from lib.runtime.errors import InputError


def read_labels(config: Config, files: dict[str, ImageFile]) -> Labels:
    """The labels that the settings point to, for `files` by name."""
    if config.train_dataframe == "None":
        labels = _labels_of_files(config, files)
    elif config.train_dataframe.lower().endswith(".json"):
        labels = labels_of_coco(Path(config.train_dataframe), config)
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
