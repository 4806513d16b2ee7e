"""Lists of names beside the images, such as train.txt, val.txt and test.txt -> the data settings.

    ImageSets/Segmentation/train.txt · splits/val_list.txt · test.csv with a column of names alone

What a list is, its content tells: it names images. Lists to train on act as a
table that tells names alone, the list of test images as the table of the test set.
"""

import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from lib.config.fields import Config
from lib.data.images_of_test import files_of_test_set
from lib.data.masks.files import mask_paths
from lib.data.pictures.arrays import ImageFile, composed, image_files, stem_of_path
from lib.data.pictures.tree import Tree
from lib.data.tables.cells import IMAGES, LABELS, found_in, read_table, small, tails
from lib.runtime.errors import InputError

PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
    "trainval": "train and val",
}
WORDS = re.compile("[a-z]+")
VOC = "Segmentation"  # Pascal VOC's folder of the lists that are meant here, of several
SUFFIXES = (".txt", ".csv", ".tsv")
Tell = Callable[[str], object]


class NameList(NamedTuple):
    path: Path
    part: str  # of PARTS
    names: list[str]
    images: frozenset[ImageFile]  # those to choose from that it names


def settle(
    tree: Tree, found: Mapping[str, str], said: Collection[str], tell: Tell
) -> dict[str, str]:
    """`found`, the data settings of a layout, with the lists of the tree in them.

    What a list does is told. `said` are settings that a person gave, which win. Raises ValueError
    where two lists of a part differ, or a test list and a test folder.
    """
    paths = [path for path in tree.ending(*SUFFIXES) if part_of(path) and is_list(path)]
    if not paths:
        return dict(found)
    settled: dict[str, Any] = dict(found)
    config = Config(**settled)
    files = image_files(
        Path(config.data_folder), without=mask_paths(config) | files_of_test_set(config)
    )
    lists = [_read(path, files) for path in paths]
    test = None
    if "test_dataframe" not in said:
        test = _one([one for one in lists if one.part == "test"], "test_dataframe")
        settled |= _test_set(test, config) if test else {}
    if config.mask_folder != "None" and "train_dataframe" not in said:
        settled |= _training_set([one for one in lists if one.part != "test"], config)
    for one in lists:
        tell(f"list           {one.path}: {_meaning(one, test, settled, said)}")
    return settled


def part_of(path: Path) -> str:
    """train, val, test, or "train and val", where one word of the file's name says so; else ""."""
    parts = [PARTS[word] for word in WORDS.findall(path.stem.casefold()) if word in PARTS]
    return parts[0] if len(parts) == 1 else ""


def is_list(path: Path) -> bool:
    """Whether it tells names alone: no labels."""
    if path.suffix.lower() not in SUFFIXES or path.name.startswith("sample_submission"):
        return False
    if not path.is_file():
        return False
    about = path.stat()
    return about.st_size > 0 and _is_list(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=64)
def _is_list(path: Path, _modified: int, _size: int) -> bool:
    try:
        table = read_table(path, "list")
    except InputError:
        return False
    columns = {small(column) for column in table.columns}
    named = len(columns) == 1 or bool(columns & set(IMAGES.names))
    return named and not columns & LABELS


def read_beside(path: Path) -> list[Path]:
    """The lists to train on beside a list to train on: val.txt beside train.txt."""
    if part_of(path) != "train" or not is_list(path):
        return []
    kin = [other for other in path.parent.iterdir() if other.suffix == path.suffix]
    return sorted(
        other
        for other in kin
        if part_of(other) == "val" and _form(other) == _form(path) and is_list(other)
    )


def _form(path: Path) -> str:
    """The file's name without the word of its part: _list.txt of train_list.txt."""
    return WORDS.sub(lambda word: "" if word[0] in PARTS else word[0], path.name.casefold())


def _read(path: Path, files: Mapping[str, ImageFile]) -> NameList:
    table = read_table(path, "list")
    usual = [column for name in IMAGES.names for column in table if small(column) == name]
    names = [str(cell) for cell in table[(usual or list(table.columns))[0]]]
    found = {name: found_in(name, files) for name in names}
    if not any(found.values()):
        _refuse_stacks(path, names, files)
    return NameList(
        path, part_of(path), names, frozenset(files[name] for name in found.values() if name)
    )


def _refuse_stacks(path: Path, names: list[str], files: Mapping[str, ImageFile]) -> None:
    """ValueError for a list of files, each of which holds several images."""
    stacks = {composed(file.path.name) for file in files.values() if file.frame is not None}
    stems = {stem_of_path(Path(name)): name for name in stacks}
    for name in names:
        own = tails(name)[-1][0] if tails(name) else ""
        if own in stacks or own in stems:
            raise ValueError(
                f"{path} names {name}, which is a file of several images ({stem_of_path(Path(own))}"
                "_1, ...): write a line for each of them, or move test files into a folder test/"
            )


def _one(lists: list[NameList], setting: str) -> NameList | None:
    """The list of a part; ValueError where several differ."""
    lists = [one for one in lists if one.images]
    of_voc = [one for one in lists if one.path.parent.name == VOC]
    plain = [one for one in of_voc or lists if one.path.stem.casefold() in PARTS]
    lists = plain or of_voc or lists
    if len({one.images for one in lists}) > 1:
        raise ValueError(
            f"which list counts, {lists[0].path} or {lists[1].path}? Set {setting}=PATH, or "
            f"{setting}=None for none of them"
        )
    return lists[0] if lists else None


def _test_set(test: NameList, config: Config) -> dict[str, str]:
    if config.data_folder_test not in ("None", config.data_folder):
        others = image_files(Path(config.data_folder_test))
        if all(found_in(name, others) for name in test.names):
            return {}  # of a folder of tests, whose images have the names of others
        if Path(config.data_folder_test) not in Path(config.data_folder).parents:
            raise ValueError(
                f"{test.path} names {len(test.images)} images of {config.data_folder}, and "
                f"{config.data_folder_test} holds test images too: set test_dataframe={test.path} "
                f"data_folder_test={config.data_folder}, or test_dataframe=None"
            )
    return {
        "test_dataframe": str(test.path),
        "data_folder_test": config.data_folder,
        "mask_folder_test": config.mask_folder,
    }


def _training_set(lists: list[NameList], config: Config) -> dict[str, str]:
    """Of masks that are pictures; elsewhere the table or the tool's file tells the images."""
    if config.train_dataframe != "None":
        return {}
    kinds = ("train", "train and val")
    by_kind = ([one for one in lists if one.part == kind] for kind in kinds)
    chosen = next(filter(None, (_one(of, "train_dataframe") for of in by_kind)), None)
    return {"train_dataframe": str(chosen.path)} if chosen else {}


def _meaning(
    one: NameList, test: NameList | None, settled: Mapping[str, str], said: Collection[str]
) -> str:
    """What is done with the list, for a person."""
    images, names = len(one.images), len(set(one.names))
    count = f"{images} images" if images == names else f"{images} images and {names - images} lost"
    if one.part == "test":
        if "test_dataframe" in said:
            return "not used, for test_dataframe is set"
        if settled["test_dataframe"] == str(one.path):
            return f"{count}, the test set: never trained on (test_dataframe=None: trained on)"
        return "not used: it names no image that could be trained on"
    if not images:
        return "not used: it names no image that is here"
    both = len(one.images & test.images) if test else 0
    less = f", but for the {both} that are test images too" if both else ""
    read = Path(settled["train_dataframe"])
    if "train_dataframe" in said or one.path not in (read, *read_beside(read)):
        return f"{count}: train and val are trained on together, in folds{less}"
    return (
        f"{count}, trained on: train and val together, in folds{less}; images of no list are left "
        "out (train_dataframe=None: trained on)"
    )
