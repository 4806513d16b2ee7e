"""Tables, files of labelling tools and mask pictures -> the labels of each image.

Read here, but not yet held against the images: lib/data/table.py does that.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from lib.config.fields import Config
from lib.data.formats import FORMATS, format_of
from lib.data.formats.refused import refused_in
from lib.data.label import ONE_CLASS, Label, Labels
from lib.data.labels_of_tool import labels_of_tool
from lib.data.lists import read_beside
from lib.data.masks.files import add_mask_files
from lib.data.pictures.arrays import ImageFile, names_of
from lib.data.pictures.tree import tree_of
from lib.data.tables.labels import read_label_table
from lib.runtime.errors import InputError


def read_labels(
    config: Config,
    files: dict[str, ImageFile],
    masks: Collection[Path],
    without: Collection[ImageFile] = (),
    expected: Sequence[str] = (),
) -> Labels:
    """The labels that the settings point to, for `files` by name; `masks` are the mask files.

    Those of the images `without` are left out. `expected` are classes that are known.
    """
    if config.train_dataframe == "None":
        labels = _labels_of_files(config, files, masks)
    elif reader := format_of(tree_of(Path(config.train_dataframe))):
        labels = labels_of_tool(reader, files, config)
    elif config.train_dataframe.lower().endswith((".json", ".ndjson", ".xml", ".yaml")):
        known = ", ".join(module.NAME for module in FORMATS)
        why = refused_in(tree_of(Path(config.train_dataframe))) or (
            f"there is no such file, or it holds no labels of a known tool ({known})"
        )
        raise InputError(f"train_dataframe={config.train_dataframe}: {why}")
    else:
        labels = _labels_of_table(Path(config.train_dataframe), config, files)
    labels = labels._replace(
        by_image={shortest(name, files): label for name, label in labels.by_image.items()}
    )
    if config.validation_dataframe != "None":
        _add_validation(labels, files, config)
    add_mask_files(labels, files, masks, config, without, expected)
    return labels


def _labels_of_table(path: Path, config: Config, files: dict[str, ImageFile]) -> Labels:
    """Of lists of names, those that stand beside it too: val.txt beside train.txt."""
    labels = read_label_table(path, "train_dataframe", config, files)
    alone = config.mask_folder == "None" or config.validation_dataframe != "None"
    for other in [] if alone else read_beside(path):
        more = read_label_table(other, "train_dataframe", config, files)
        labels = Labels(
            more.by_image | labels.by_image, labels.classes, f"{labels.origin} and {other.name}"
        )
    return labels


def shortest(path: str, files: dict[str, ImageFile]) -> str:
    """images/a.png -> a.png, where no other image is called so."""
    name, end = path, path
    while "/" in end:
        end = end.partition("/")[2]
        if files.get(end) == files.get(path, ""):
            name = end
    return name


def _add_validation(labels: Labels, files: dict[str, ImageFile], config: Config) -> None:
    path = Path(config.validation_dataframe)
    held_out = read_label_table(path, "validation_dataframe", config, files)
    held_out_names = {shortest(name, files) for name in held_out.by_image}
    if both := held_out_names & labels.by_image.keys():
        names = ", ".join(sorted(both)[:3])
        raise InputError(
            f"{path}: {len(both)} images stand in train_dataframe too, such as {names}"
        )
    told = {
        name
        for label in held_out.by_image.values()
        for name, runs in label.runs.items()
        if any(text.strip() for text in runs)
    } | {name for label in held_out.by_image.values() for name in label.files}
    if new := told - set(labels.classes):
        raise InputError(
            f"{path} tells the classes {', '.join(sorted(new))}, which {labels.origin} does not "
            f"(it has {', '.join(labels.classes)})"
        )
    for image, label in held_out.by_image.items():
        label.validation = True
        labels.by_image[shortest(image, files)] = label


def _labels_of_files(
    config: Config, files: dict[str, ImageFile], masks: Collection[Path]
) -> Labels:
    """Every image of the folder; only mask files tell."""
    folder = config.data_folder
    if not masks:
        place = folder if config.mask_folder == "None" else config.mask_folder
        raise InputError(
            f"{place} holds no mask of an image: name the folder of the masks, mask_folder=FOLDER, "
            "or the table or file of the labels, train_dataframe=PATH"
        )
    return Labels({name: Label() for name in sorted(names_of(files))}, [ONE_CLASS], folder)
