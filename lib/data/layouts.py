"""A folder or zip of data -> the data settings that describe it."""

import json
from collections.abc import Iterable
from pathlib import Path

from lib.config.fields import Config
from lib.config.read import load_config
from lib.data.archives import unpacked

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
    ),
    "None",
)
LAYOUTS = """\
known layouts, as a folder or its zip:
    the competition's: train/, train_masks.csv, test/, sample_submission.csv
    Hydrogen Torch's: train.pq (or .csv), images/, test.pq (or .csv) where there is a test set
    COCO: one .json file with images, annotations and categories; images/; test/
    masks as pictures: images/, masks/ (or masks/CLASS/ for each of several), test/"""


def load_settings(path: Path, overrides: Iterable[str] = ()) -> Config:
    """The settings of a YAML file and of `key=value` words, data=PATH among them."""
    return load_config(path, overrides, find_layout)


def find_layout(data: Path, unpack_into: Path) -> dict[str, str]:
    """Recognises the layout of a folder or zip and gives all data settings, by name, that fit it.

    A zip is unpacked below `unpack_into`, once. Raises ValueError that says what was looked for, or
    what is wrong with the zip.
    """
    if data.suffix.lower() == ".zip":
        if not data.is_file():
            raise ValueError(f"data={data}: there is no such file")
        return find_layout(unpacked(data, unpack_into), unpack_into)
    if not data.is_dir():
        kind = (
            "neither a folder nor a .zip: unpack it" if data.exists() else "there is no such folder"
        )
        raise ValueError(f"data={data}: {kind}")
    if (data / "train").is_dir():
        return NONE | _kaggle(data)
    if (data / "images").is_dir():
        for layout in (_hydrogen_torch, _coco, _mask_pictures):
            if found := layout(data):
                return NONE | found
    holds = ", ".join(sorted(path.name for path in data.iterdir())[:10]) or "nothing"
    raise ValueError(f"data={data}: its layout is not known; it holds {holds}; {LAYOUTS}")


def _kaggle(folder: Path) -> dict[str, str]:
    has_test = (folder / "test").is_dir() or (folder / "sample_submission.csv").is_file()
    return {
        "train_dataframe": _file_or_none(folder, "train_masks.csv"),
        "data_folder": str(folder / "train"),
        "test_dataframe": _file_or_none(folder, "sample_submission.csv"),
        "data_folder_test": str(folder / ("test" if has_test else "train")),
    }


def _hydrogen_torch(folder: Path) -> dict[str, str]:
    table = _file_or_none(folder, *TRAIN)
    return {} if table == "None" else _images_of(folder) | {"train_dataframe": table}


def _coco(folder: Path) -> dict[str, str]:
    tables = [path for path in sorted(folder.glob("*.json")) if _is_coco(path)]
    if len(tables) > 1:
        names = " and ".join(path.name for path in tables)
        raise ValueError(f"data={folder}: which one holds the labels, {names}? Keep one")
    if not tables:
        return {}
    return _images_of(folder) | {"train_dataframe": str(tables[0])}


def _mask_pictures(folder: Path) -> dict[str, str]:
    if not (folder / "masks").is_dir():
        return {}
    return _images_of(folder) | {"mask_folder": str(folder / "masks")}


def _images_of(folder: Path) -> dict[str, str]:
    """images/ to train on; of the test set a table, or the pictures of test/."""
    return {
        "data_folder": str(folder / "images"),
        "test_dataframe": _file_or_none(folder, *TEST),
        "data_folder_test": str(folder / ("test" if (folder / "test").is_dir() else "images")),
    }


def _is_coco(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"images", "annotations"} <= content.keys()


def _file_or_none(folder: Path, *names: str) -> str:
    """The first of the names that is a file there, else Hydrogen Torch's word for none."""
    return next((str(folder / name) for name in names if (folder / name).is_file()), "None")
