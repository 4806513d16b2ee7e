"""Lists of names beside the images say what is trained on and what is the test set."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib import rle
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.data.images_of_test import read_test_table
from lib.data.layouts import load_settings
from lib.data.table import read_training_images
from lib.runtime.errors import InputError
from tests.conftest import REPOSITORY, configured, step
from tests.data.test_layouts import IMAGES, NAMES, folders, pages, save

SPLIT = {"train": NAMES[:6], "val": NAMES[6:9], "test": NAMES[9:]}
TRAINED = SPLIT["train"] + SPLIT["val"]


def write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def loaded(folder: Path, *more: str, told: list[str] | None = None) -> Config:
    tell = (told if told is not None else []).append
    return load_settings(REPOSITORY / "config.yaml", [f"data={folder}", *more], tell)


def trained_on(config: Config) -> list[str]:
    return [name.partition(".")[0] for name in read_training_images(config).table["image"]]


def held_out(config: Config) -> list[str]:
    table = read_test_table(config)
    return [] if table is None else [name.partition(".")[0] for name in table["image"]]


@pytest.mark.parametrize(
    ("place", "line", "header"),
    [
        ("{}.txt", "{}", ""),
        ("{}.txt", "{}.png", ""),
        ("ImageSets/Segmentation/{}.txt", "{}", ""),
        ("splits/{}_list.txt", "images/{0}.png masks/{0}.png", ""),
        ("{}.csv", "{}.png", "image"),
        ("{}.csv", "{}", "name"),
        ("{}.csv", "/home/me/{}.png", ""),
    ],
)
def test_train_and_val_are_trained_on_and_test_is_not(
    tmp_path: Path, place: str, line: str, header: str
) -> None:
    folders()(tmp_path)
    for part, names in SPLIT.items():
        rows = [line.format(name) for name in names]
        write(tmp_path / place.format(part), [header, *rows] if header else rows)
    save(tmp_path / "images" / "unlisted.png", IMAGES["11"][0])  # which has no mask
    told: list[str] = []
    config = loaded(tmp_path, told=told)
    assert trained_on(config) == TRAINED
    assert held_out(config) == SPLIT["test"]
    assert len(told) == 3
    assert "3 images, the test set: never trained on" in "".join(told)
    assert "6 images, trained on: train and val together, in folds" in "".join(told)


def test_settings_overrule_lists(tmp_path: Path) -> None:
    folders()(tmp_path)
    write(tmp_path / "train.txt", SPLIT["train"])
    write(tmp_path / "test.txt", SPLIT["test"])
    assert trained_on(loaded(tmp_path)) == SPLIT["train"]
    assert trained_on(loaded(tmp_path, "train_dataframe=None")) == TRAINED
    config = loaded(tmp_path, "train_dataframe=None", "test_dataframe=None")
    assert trained_on(config) == NAMES
    assert held_out(config) == []


def test_what_stands_in_both_lists_is_held_out(tmp_path: Path) -> None:
    folders()(tmp_path)
    write(tmp_path / "train.txt", NAMES)
    write(tmp_path / "test.txt", SPLIT["test"])
    told: list[str] = []
    assert trained_on(loaded(tmp_path, told=told)) == TRAINED
    assert "but for the 3 that are test images too" in "".join(told)


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_name_without_an_image_is_an_error_that_names_it(tmp_path: Path, part: str) -> None:
    folders()(tmp_path)
    write(tmp_path / f"{part}.txt", [*SPLIT[part], "gone"])
    config = loaded(tmp_path)
    with pytest.raises(InputError, match="gone: there is no such image"):
        trained_on(config)
        held_out(config)


def test_a_table_of_labels_is_divided_by_the_test_list_and_scored(
    tmp_path: Path, settings: list[str]
) -> None:
    folder = tmp_path / "data"
    shutil.rmtree(folder)
    rows = []
    for name, (image, mask) in IMAGES.items():
        save(folder / "images" / f"{name}.png", image)
        rows.append((name, rle.encode(mask)))
    pd.DataFrame(rows, columns=["image", "rle_mask"]).to_csv(folder / "train.csv", index=False)
    write(folder / "test.txt", SPLIT["test"])
    config = configured(settings)
    step(1).main(config)
    folds = pd.read_csv(Run.of(config).folds, dtype=str)
    labels = pd.read_csv(Run.of(config).test_labels, dtype=str, keep_default_na=False)
    assert folds["image"].tolist() == TRAINED
    assert labels["image"].tolist() == SPLIT["test"]
    assert labels["rle_mask"].tolist() == [rle.encode(IMAGES[n][1]) for n in SPLIT["test"]]


def test_masks_of_listed_test_images_are_scored_and_found_by_no_other_image(
    tmp_path: Path, settings: list[str]
) -> None:
    """The mask a_2 would fit the image a, were a_2 none."""
    folder = tmp_path / "data"
    shutil.rmtree(folder)
    for number, (image, mask) in enumerate(list(IMAGES.values())[:8]):
        for name, drawn in ((f"p{number}", mask), (f"p{number}_2", np.flipud(mask))):
            save(folder / "images" / f"{name}.png", image)
            save(folder / "masks" / f"{name}.png", 255 * drawn)
    write(folder / "train.txt", [f"p{number}" for number in range(8)])
    write(folder / "test.txt", [f"p{number}_2" for number in range(8)])
    config = configured(settings)
    step(1).main(config)
    folds = pd.read_csv(Run.of(config).folds, dtype=str, keep_default_na=False)
    assert folds["image"].tolist() == [f"p{number}" for number in range(8)]
    truth = [rle.encode(mask) for _, mask in list(IMAGES.values())[:8]]
    assert folds["rle_mask"].tolist() == truth
    assert len(pd.read_csv(Run.of(config).test_labels)) == 8


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"fold0/test": NAMES[:4], "fold1/test": NAMES[4:8]}, r"which list counts, .*fold0.* or "),
        ({"test": NAMES}, "names all images of .* set test_dataframe=None"),
    ],
)
def test_lists_that_leave_no_choice_are_refused_with_the_setting(
    tmp_path: Path, lists: dict[str, list[str]], message: str
) -> None:
    folders()(tmp_path)
    for name, names in lists.items():
        write(tmp_path / f"{name}.txt", names)
    with pytest.raises(InputError, match=message):
        trained_on(loaded(tmp_path))
    assert trained_on(loaded(tmp_path, "test_dataframe=None")) == NAMES


def test_a_test_list_of_training_images_beside_a_test_folder_is_refused(tmp_path: Path) -> None:
    folders("train/images/{}.png", "train/masks/{}.png")(tmp_path)
    save(tmp_path / "test" / "images" / "t1.png", IMAGES["11"][0])
    write(tmp_path / "test.txt", ["t1"])
    assert held_out(loaded(tmp_path)) == ["t1"]
    write(tmp_path / "test.txt", ["t1", "11"])
    with pytest.raises(InputError, match=r"names 1 images of .* test_dataframe=None"):
        loaded(tmp_path)


def test_a_list_of_stacks_is_refused(tmp_path: Path) -> None:
    pages(tmp_path)
    write(tmp_path / "test.txt", ["loop4"])
    with pytest.raises(InputError, match=r"names loop4, which is a file of several images"):
        loaded(tmp_path)


def test_texts_that_name_no_image_are_told_and_change_nothing(tmp_path: Path) -> None:
    folders()(tmp_path)
    write(tmp_path / "test.txt", ["notes on the test"])
    write(tmp_path / "train.txt", ["0 0.1 0.2"])
    told: list[str] = []
    assert trained_on(loaded(tmp_path, told=told)) == NAMES
    assert ["not used" in line for line in told] == [True, True]
