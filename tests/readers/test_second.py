"""second_reader=: every kind of labels is read, and what does not fit is named."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from lib import rle
from lib.artifacts.run import Run
from lib.artifacts.second_reader import load_second_reader
from lib.config.fields import Config
from lib.data.table import read_training_images
from lib.readers.second import read_second_reader
from lib.runtime.errors import InputError
from tests.conftest import SHAPE, configured, step
from tests.data.test_labels import NAMES, NERVE, VESSEL, loaded, two_classes_in_rows, write_images

Masks = dict[str, np.ndarray]
NERVES = {"1_1": True, "1_2": True, "2_1": True, "2_3": False}
POINTS = [[10, 10], [40, 10], [40, 30], [10, 30]]
BOX = np.zeros(SHAPE, dtype=np.uint8)
BOX[10:30, 10:40] = 1


def masks_of_another() -> Masks:
    """Four of the images of the fixture `data`, labelled otherwise: a box, and nothing."""
    return {name: BOX if there else np.zeros_like(BOX) for name, there in NERVES.items()}


def folder_of_masks(place: Path, masks: Masks) -> Path:
    place.mkdir()
    for name, mask in masks.items():
        cv2.imwrite(str(place / f"{name}.png"), 255 * mask)
    return place


def folder_of_named_masks(place: Path, masks: Masks) -> Path:
    """As those of the first reader are called."""
    return folder_of_masks(place, {f"{name}_mask": mask for name, mask in masks.items()})


def table_of_run_lengths(place: Path, masks: Masks) -> Path:
    rows = [(f"{name}.tif", rle.encode(mask)) for name, mask in masks.items()]
    path = place.with_suffix(".csv")
    pd.DataFrame(rows, columns=["image", "rle_mask"]).to_csv(path, index=False)
    return path


def table_of_the_competition(place: Path, masks: Masks) -> Path:
    rows = [(*name.split("_"), rle.encode(mask)) for name, mask in masks.items()]
    path = place.with_suffix(".csv")
    pd.DataFrame(rows, columns=["subject", "img", "pixels"]).to_csv(path, index=False)
    return path


def labelme_folder(place: Path, masks: Masks) -> Path:
    """Files beside no picture."""
    place.mkdir()
    for name, mask in masks.items():
        shapes = [{"label": "nerve", "points": POINTS, "shape_type": "polygon"}]
        content: dict[str, Any] = {
            "version": "5.4.1",
            "flags": {},
            "imagePath": f"{name}.tif",
            "imageData": None,
            "imageHeight": SHAPE[0],
            "imageWidth": SHAPE[1],
            "shapes": shapes if mask.any() else [],
        }
        (place / f"{name}.json").write_text(json.dumps(content))
    return place


def coco_file(place: Path, masks: Masks) -> Path:
    images = [
        {"id": k, "file_name": f"{name}.tif", "height": SHAPE[0], "width": SHAPE[1]}
        for k, name in enumerate(masks)
    ]
    flat = [value for point in POINTS for value in point]
    box = {"area": 600, "bbox": [10, 10, 30, 20], "iscrowd": 0, "category_id": 1}
    annotations = [
        {"id": k, "image_id": k, "segmentation": [flat], **box}
        for k, mask in enumerate(masks.values())
        if mask.any()
    ]
    content = {"images": images, "annotations": annotations}
    path = place.with_suffix(".json")
    path.write_text(json.dumps(content | {"categories": [{"id": 1, "name": "nerve"}]}))
    return path


WAYS: list[Callable[[Path, Masks], Path]] = [
    folder_of_masks,
    folder_of_named_masks,
    table_of_run_lengths,
    table_of_the_competition,
    labelme_folder,
    coco_file,
]


def read(config: Config) -> pd.DataFrame:
    found = read_second_reader(config, read_training_images(config))
    assert found is not None
    return found


@pytest.mark.parametrize("way", WAYS)
def test_labels_of_every_kind_are_read_and_others_are_told(
    way: Callable[[Path, Masks], Path],
    settings: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    masks = masks_of_another()
    path = way(tmp_path / "second", masks | {"9_9": BOX})
    found = read(configured(settings, f"second_reader={path}")).set_index("image")
    out = capsys.readouterr().out
    assert "4 of 24 training images are labelled by" in out
    assert "9_9" in out
    assert "stay unused" in out
    for name, mask in masks.items():
        row = found.loc[name]
        assert (row["height"], row["width"]) == SHAPE
        got = rle.decode(row["rle_mask"], SHAPE)
        # The tools' polygons differ by the edge.
        apart = np.count_nonzero(got != mask)
        assert apart <= (120 if path.is_dir() or path.suffix == ".json" else 0), name
        assert got.any() == mask.any()
    if way in WAYS[:4]:
        assert list(found["rle_mask"]) == [rle.encode(masks[n]) for n in found.index]


def test_the_second_reader_changes_no_fold_and_no_training(
    finished: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(finished)
    before = Run.of(config).folds.read_bytes()
    path = folder_of_masks(tmp_path / "second", masks_of_another())
    config = configured(finished, f"second_reader={path}")
    for number in (1, 2, 3, 4):
        step(number).main(config)
    out = capsys.readouterr().out
    assert Run.of(config).folds.read_bytes() == before
    assert out.count("is trained already") == 2
    assert "readers: 4 images, 2 subjects with two people's labels" in out
    assert "presence: both mark" in out
    table = pd.read_csv(Run.of(config).readers)
    assert sorted(set(table["image"])) == sorted(NERVES)
    step(1).main(replace(config, second_reader="None"))
    assert load_second_reader(config) is None


@pytest.mark.parametrize("way", [folder_of_masks, table_of_run_lengths, coco_file])
def test_names_that_are_none_of_the_images_are_an_error_that_says_what_was_expected(
    way: Callable[[Path, Masks], Path], settings: list[str], tmp_path: Path
) -> None:
    path = way(tmp_path / "second", {"x1": BOX, "x2": BOX})
    config = configured(settings, f"second_reader={path}")
    with pytest.raises(InputError, match=r"^second_reader=.*x1.*1_1"):
        read(config)


def test_masks_of_another_size_are_an_error_by_name_and_can_be_left_out(
    settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masks = masks_of_another() | {"1_2": np.ones((30, 40), dtype=np.uint8)}
    path = folder_of_masks(tmp_path / "second", masks)
    config = configured(settings, f"second_reader={path}")
    with pytest.raises(InputError, match=r"1_2: is 60x80, its mask 1_2\.png 30x40 pixels"):
        read(config)
    found = read(replace(config, quarantine=True))
    assert sorted(found["image"]) == ["1_1", "2_1", "2_3"]
    assert "LEFT OUT: 1 labels of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", "there is no such file or folder"),
        ("empty", "a folder without masks"),
        ("a.zip", "unpack"),
    ],
)
def test_a_path_without_labels_is_named(
    name: str, message: str, settings: list[str], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.zip").touch()
    with pytest.raises(InputError, match=f"^second_reader=.*{name}: .*{message}"):
        read(configured(settings, f"second_reader={tmp_path / name}"))


def test_the_first_readers_labels_again_are_doubted(
    settings: list[str], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read(configured(settings, f"second_reader={data / 'train_masks.csv'}"))
    assert "holds the very masks that are trained on" in capsys.readouterr().out


def two_classes(tmp_path: Path, classes: dict[str, Masks]) -> Config:
    data = write_images(tmp_path / "data")
    two_classes_in_rows().to_csv(data / "train.csv", index=False)
    rows = [
        {"image": f"{name}.png", "class_id": of, "rle_mask": rle.encode(mask)}
        for of, masks in classes.items()
        for name, mask in masks.items()
    ]
    path = tmp_path / "second.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return loaded(data, f"second_reader={path}")


def test_two_classes_keep_their_names(tmp_path: Path) -> None:
    """The second reader has them in another order, and sees no vessel in some images."""
    found = read(two_classes(tmp_path, {"vessel": NERVE, "nerve": VESSEL})).set_index("image")
    assert list(found.filter(like="rle_mask").columns) == ["rle_mask_nerve", "rle_mask_vessel"]
    for name in NAMES:
        row = found.loc[f"{name}.png"]
        assert row["rle_mask_vessel"] == rle.encode(NERVE[name])
        assert row["rle_mask_nerve"] == rle.encode(VESSEL[name])


def test_other_classes_are_an_error_that_names_both(tmp_path: Path) -> None:
    config = two_classes(tmp_path, {"nerve": NERVE})
    with pytest.raises(InputError, match="its classes are nerve, those to train on nerve, vessel"):
        read(config)


def test_files_of_the_same_names_that_are_no_images_confuse_nothing(tmp_path: Path) -> None:
    """The first reader's masks lie below the folder of the images, and are called as these are."""
    data = write_images(tmp_path / "data")
    folder_of_masks(data / "masks", NERVE)
    path = tmp_path / "second.csv"
    rows = [(f"{name}.png", rle.encode(mask)) for name, mask in VESSEL.items()]
    pd.DataFrame(rows, columns=["image", "rle_mask"]).to_csv(path, index=False)
    folders = [f"data_folder={data}", f"mask_folder={data / 'masks'}", f"second_reader={path}"]
    found = read(loaded(data, *folders))
    assert found["rle_mask"].tolist() == [rle.encode(VESSEL[name]) for name in sorted(NAMES)]
