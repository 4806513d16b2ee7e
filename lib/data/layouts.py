"""A folder or zip of data -> the data settings that describe it."""

import os
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lib.config.fields import Config
from lib.config.read import load_config
from lib.data.archives import unpacked
from lib.data.formats import FORMATS, found
from lib.data.lists import Tell, settle
from lib.data.masks import folders as picture_folders
from lib.data.masks.folders import is_of_test
from lib.data.nearest import missing
from lib.data.pictures.arrays import MASK_SUFFIX, is_picture
from lib.data.pictures.tree import Tree, tree_of
from lib.data.tables.cells import TABLES
from lib.data.tables.labels import tells_runs, told_by

TRAIN = ("train.pq", "train.parquet", "train.csv")
TEST = ("test.pq", "test.parquet", "test.csv")
NONE = dict.fromkeys(
    (
        "train_dataframe",
        "validation_dataframe",
        "test_dataframe",
        "data_folder",
        "data_folder_test",
        "mask_folder",
        "mask_folder_test",
    ),
    "None",
)
LAYOUTS = """\
known layouts, as a folder or its zip (docs/data.md shows them all):
    the competition's: train/, train_masks.csv, test/, sample_submission.csv
    a table of images and run lengths, or of images and mask files: train.csv, .pq
    a labelling tool's file or files, such as COCO's: labels.json, images/
    masks as pictures: images/, masks/; or a_mask.png beside a.png; in any folders"""


def load_settings(path: Path, overrides: Iterable[str] = (), tell: Tell = str) -> Config:
    """The settings of a YAML file and of `key=value` words, data=PATH among them.

    `tell` gets what is done with lists of names, a line each.
    """
    return load_config(path, overrides, partial(find_layout, tell=tell))


def find_layout(
    data: Path, unpack_into: Path, said: Mapping[str, Any] = MappingProxyType({}), tell: Tell = str
) -> dict[str, str]:
    """Recognises the layout of a folder or zip and gives all data settings, by name, that fit it.

    A zip is unpacked below `unpack_into`, once. `said` are settings that win over what is found;
    a table that one of them names for validation or the test set is none to train on.
    Raises ValueError that says what was looked for, or what is wrong with the zip.
    """
    if data.suffix.lower() == ".zip":
        if not data.is_file():
            raise ValueError(f"data={data}: there is no such file")
        return find_layout(unpacked(data, unpack_into), unpack_into, said, tell)
    if not data.is_dir():
        if data.exists():
            raise ValueError(f"data={data}: neither a folder nor a .zip: unpack it")
        raise ValueError(f"data={data}: there is no such folder")
    if "data_folder" in said and {"mask_folder", "train_dataframe"} & said.keys():
        return NONE
    tree, table = _without_named(tree_of(data), said), said.get("train_dataframe")
    if table not in (None, "None") and "data_folder" not in said and not _kaggle(tree):
        return settle(tree, NONE | _images_of(tree), said, tell)
    pictures, tables = (
        partial(find, one_reading="mask_folder" not in said)
        for find in (picture_folders.find, _table)
    )
    by_files = () if table == "None" else (tables, _labelling_tool)
    for layout in (_kaggle, *by_files, pictures):
        if fitting := layout(tree):
            if layout is pictures:
                for line in picture_folders.sorted_out(tree).extras.lines(fitting["data_folder"]):
                    tell(line)
            if layout is _labelling_tool and "mask_folder" not in said:
                _say_masks_beside(tree, fitting["train_dataframe"], tell)
            return settle(tree, NONE | fitting, said, tell)
    if zips := tree.ending(".zip"):
        raise ValueError(f"data={data}: it holds the archive {zips[0].name}: give data={zips[0]}")
    holds = ", ".join(sorted({path.relative_to(data).parts[0] for path in tree.files})[:10])
    raise ValueError(
        f"data={data}: its layout is not known; it holds {holds or 'nothing'}; {missing(tree)}; "
        f"{LAYOUTS}"
    )


def _without_named(tree: Tree, said: Mapping[str, Any]) -> Tree:
    named = (Path(said.get(name, "None")) for name in ("validation_dataframe", "test_dataframe"))
    other = {path.resolve() for path in named}
    names = {path.name for path in other}
    files = [path for path in tree.files if path.name not in names or path.resolve() not in other]
    return Tree(tree.root, files)


def _kaggle(tree: Tree) -> dict[str, str]:
    """Images, and masks beside them, right in train/."""
    folder, train = tree.root, tree.root / "train"
    pictures = [path for path in tree.files if path.parent == train and is_picture(path)]
    table = _file_or_none(folder, "train_masks.csv")
    if not pictures:
        return {}
    if table == "None":
        masked = any(path.stem.endswith(MASK_SUFFIX) for path in pictures)
        places = {path.relative_to(folder).parts[0] for path in tree.files if is_picture(path)}
        if not masked or places - {"train", "test"}:  # a folder such as val/ is trained on too
            return {}
    has_test = (folder / "test").is_dir() or (folder / "sample_submission.csv").is_file()
    return {
        "train_dataframe": table,
        "data_folder": str(folder / "train"),
        "test_dataframe": _file_or_none(folder, "sample_submission.csv"),
        "data_folder_test": str(folder / ("test" if has_test else "train")),
    }


def _table(tree: Tree, one_reading: bool) -> dict[str, str]:
    """train.csv, or the only table of labels; the images in images/, else in all folders.

    A table of people alone stands beside masks that are pictures.
    """
    told = {path: told_by(path) for path in tree.ending(*TABLES)}
    tables = [path for path, what in told.items() if what == "labels" or path.name in TRAIN]
    people = [path for path, what in told.items() if what == "people"]
    if not tables and len(people) == 1:
        tables = people
    named = [path for path in tables if path.name in TRAIN]
    if len(named or tables) > 1:
        names = " and ".join(map(str, named or tables))
        raise ValueError(f"which table holds the labels, {names}? Set train_dataframe=TABLE")
    if not tables:
        return {}
    table = (named or tables)[0]
    if told[table] != "labels":
        return _images_of(tree) | picture_folders.find(tree) | {"train_dataframe": str(table)}
    return _images_of(tree) | _masks_too(tree, table, one_reading) | {"train_dataframe": str(table)}


def _masks_too(tree: Tree, table: Path, one_reading: bool) -> dict[str, str]:
    """Folders of masks of the images whose run lengths a table tells: both are read."""
    try:
        beside = picture_folders.find(tree, one_reading) if tells_runs(table) else {}
    except ValueError as error:
        raise ValueError(f"{error}, or mask_folder=None for the labels of {table} alone") from None
    place = beside.get("data_folder", "")
    if beside.get("mask_folder") == place:  # masks beside the images, which are looked for anyway
        return {}
    test = beside.get("data_folder_test", "None")
    images = [path for path in picture_folders.sorted_out(tree).images if beside]
    if any(not path.is_relative_to(place) and not path.is_relative_to(test) for path in images):
        beside.pop("data_folder", None)
    return beside


def _labelling_tool(tree: Tree) -> dict[str, str]:
    places = {module.NAME: found(module, tree) for module in FORMATS}
    told = {name: path for name, path in places.items() if path is not None}
    if len(told) > 1:
        both = " and ".join(f"{path} ({name})" for name, path in told.items())
        raise ValueError(f"which one holds the labels, {both}? Set train_dataframe=PATH")
    return _images_of(tree) | {"train_dataframe": str(*told.values())} if told else {}


def _say_masks_beside(tree: Tree, labels: str, tell: Tell) -> None:
    """A tool's outlines and mask pictures of the same images differ along the edges."""
    if masks := picture_folders.find(tree, one_reading=False).get("mask_folder"):
        tell(
            f"masks          of {masks}: not used, for {labels} tells the labels "
            "(train_dataframe=None: the masks do)"
        )


def _images_of(tree: Tree) -> dict[str, str]:
    """images/ to train on, else all folders; of the test set a table, or the pictures of test/."""
    folder = tree.root
    images = folder / "images" if (folder / "images").is_dir() else folder
    tests = [path for path in tree.files if is_picture(path) and is_of_test(path, folder)]
    table = _file_or_none(folder, *TEST)
    place = os.path.commonpath([path.parent for path in tests]) if tests else str(images)
    return {
        "data_folder": str(images),
        "test_dataframe": table,
        "data_folder_test": place if tests or table != "None" or images != folder else "None",
    }


def _file_or_none(folder: Path, *names: str) -> str:
    """The first of the names that is a file there, else Hydrogen Torch's word for none."""
    return next((str(folder / name) for name in names if (folder / name).is_file()), "None")
