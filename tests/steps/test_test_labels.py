"""Labels of the test set: found in every layout, scored by 04, and asked by nobody before."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from pycocotools import mask as mask_api

from lib import rle
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.data.images_of_test import read_test_table
from lib.data.labels_of_test import read_test_labels
from lib.data.layouts import load_settings
from lib.data.table import read_training_images
from lib.decision.measures import measures_of
from lib.runtime.errors import InputError
from tests.conftest import REPOSITORY, SHAPE, chain, configured, step, tiny_image

NERVE = {"id": 1, "name": "nerve"}
NERVES = {f"{number}": number != 2 for number in (1, 2, 3)}


def label_the_test(data: Path) -> dict[str, np.ndarray]:
    """Masks beside the three test images; the truth by image."""
    masks = {}
    for name, there in NERVES.items():
        masks[name] = tiny_image(900 + int(name), nerve=there)[1]
        cv2.imwrite(str(data / "test" / f"{name}_mask.tif"), 255 * masks[name])
    return masks


def test_labelled_test_images_are_scored_and_choose_nothing(
    settings: list[str], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(settings, "epochs=1")
    folder = chain(config)
    before = json.loads((folder / "decision.json").read_text())
    submission = (folder / "submission.csv").read_bytes()
    assert before["test_scores"] is None
    truth = label_the_test(data)
    for number in (1, 2, 3, 4):
        step(number).main(config)
    told = capsys.readouterr().out
    assert "test labels    3 test images: 04 scores them" in told
    assert (folder / "submission.csv").read_bytes() == submission
    after = json.loads((folder / "decision.json").read_text())
    assert {**before, "test_scores": None} == {**after, "test_scores": None}

    rows = pd.read_csv(folder / "test_iou.csv", dtype={"image": str})
    masks = pd.read_csv(folder / "submission.csv", dtype=str, keep_default_na=False)
    for row in rows.to_dict("records"):
        pixels = masks.set_index("img").loc[row["image"], "pixels"]
        mask, true = rle.decode(pixels, truth[row["image"]].shape), truth[row["image"]]
        both, either = np.count_nonzero(mask & true), np.count_nonzero(mask | true)
        assert row["iou"] == pytest.approx(both / either if either else 1)
        expected = measures_of(true, mask, None, config)
        assert {key: row[key] for key in expected} == pytest.approx(expected, nan_ok=True, rel=1e-5)
    assert after["test_scores"]["all"]["iou"] == pytest.approx(rows["iou"].mean())
    measures = after["test_scores"]["measures"]["all"]
    assert measures["every_mask"]["assd"]["mean"] == pytest.approx(rows["assd"].mean())
    assert measures["masks"] == 3
    assert f"test IoU over the 3 labelled test images: {rows['iou'].mean():.3f}" in told
    assert "the 3 labelled test images" in (folder / "report.html").read_text()


def test_labels_that_went_are_scored_no_more(settings: list[str], data: Path) -> None:
    config = configured(settings)
    label_the_test(data)
    step(1).main(config)
    assert Run.of(config).test_labels.is_file()
    for name in NERVES:
        (data / "test" / f"{name}_mask.tif").unlink()
    step(1).main(config)
    assert not Run.of(config).test_labels.exists()


def test_a_folder_of_test_masks_is_found_and_scored(tmp_path: Path, settings: list[str]) -> None:
    """train/images, train/masks, test/images, test/masks."""
    shutil.rmtree(tmp_path / "data")
    for part, numbers in (("train", range(8)), ("test", range(8, 11))):
        for kind in ("images", "masks"):
            (tmp_path / "data" / part / kind).mkdir(parents=True)
        for number in numbers:
            image, mask = tiny_image(number, nerve=number % 2 == 0)
            cv2.imwrite(str(tmp_path / "data" / part / "images" / f"a{number}.png"), image)
            cv2.imwrite(str(tmp_path / "data" / part / "masks" / f"a{number}.png"), 255 * mask)
    config = configured(settings, f"mask_folder_test={tmp_path / 'data' / 'test' / 'masks'}")
    assert config == configured(settings)
    step(1).main(config)
    labels = pd.read_csv(Run.of(config).test_labels, keep_default_na=False)
    assert labels["image"].tolist() == ["a10", "a8", "a9"]
    assert labels["rle_mask"].eq("").tolist() == [False, False, True]
    step(1).main(replace(config, mask_folder_test="None"))
    assert not Run.of(config).test_labels.exists()


def test_test_masks_of_one_of_several_classes_are_scored(
    tmp_path: Path, settings: list[str]
) -> None:
    """The images to train on hold values 1 and 2, those of the test 2 alone."""
    shutil.rmtree(tmp_path / "data")
    for part, numbers in (("train", range(8)), ("test", range(8, 10))):
        for kind in ("images", "masks"):
            (tmp_path / "data" / part / kind).mkdir(parents=True)
        for number in numbers:
            image, mask = tiny_image(number, nerve=True)
            values = 2 * mask
            values[-9:-2, 2:9] = part == "train"
            for kind, pixels in (("images", image), ("masks", values)):
                cv2.imwrite(str(tmp_path / "data" / part / kind / f"a{number}.png"), pixels)
    config = configured(settings)
    step(1).main(config)
    labels = pd.read_csv(Run.of(config).test_labels, keep_default_na=False)
    assert labels["rle_mask_1"].eq("").all()
    assert labels["rle_mask_2"].tolist() == [
        rle.encode(tiny_image(number, nerve=True)[1]) for number in (8, 9)
    ]


def test_run_lengths_in_the_test_table_are_labels(tmp_path: Path, settings: list[str]) -> None:
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "test").mkdir()
    for part, folder, numbers in (("train", "images", range(8)), ("test", "test", range(8, 10))):
        rows = []
        for number in numbers:
            image, mask = tiny_image(number, nerve=True)
            cv2.imwrite(str(tmp_path / "data" / folder / f"a{number}.png"), image)
            rows.append((f"a{number}", rle.encode(mask)))
        table = pd.DataFrame(rows, columns=["image", "rle_mask"])
        table.to_csv(tmp_path / "data" / f"{part}.csv", index=False)
    config = load_settings(REPOSITORY / "config.yaml", settings)
    step(1).main(config)
    labels = pd.read_csv(Run.of(config).test_labels, keep_default_na=False)
    assert labels["image"].tolist() == ["a8", "a9"]
    assert labels["rle_mask"].ne("").all()


def test_labels_of_another_test_set_are_told_and_not_scored(
    settings: list[str], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pictures of the same names, in place of those that 01 saw."""
    config = configured(settings, "epochs=1")
    label_the_test(data)
    folder = chain(config)
    assert (folder / "test_iou.csv").is_file()
    others = tmp_path / "others"
    others.mkdir()
    for name in NERVES:
        cv2.imwrite(str(others / f"{name}.tif"), tiny_image(77 + int(name), nerve=True)[0])
    other = replace(config, data_folder_test=str(others))
    capsys.readouterr()
    for number in (3, 4):
        step(number).main(other)
    assert "test_labels.csv is of other test images" in capsys.readouterr().out
    assert not (folder / "test_iou.csv").exists()


def write_splits(folder: Path, images: str, masks: str) -> None:
    """Eight images to train on and three of the same names to test, of other nerves."""
    for part, numbers in (("train", range(8)), ("test", range(3))):
        for number in numbers:
            image, mask = tiny_image(number + 50 * (part == "test"), nerve=True)
            for form, picture in ((images, image), (masks, 255 * mask)):
                path = folder / form.format(part=part, name=f"a{number}")
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), picture)


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("{part}/images/{name}.png", "{part}/masks/{name}.png"),
        ("images/{part}/{name}.png", "masks/{part}/{name}.png"),
        ("{part}/{name}.png", "{part}/{name}_gt.png"),
        ("{part}/p1/images/{name}.png", "{part}/p1/masks/{name}.png"),
    ],
)
def test_the_sets_never_mix_though_their_images_have_the_same_names(
    tmp_path: Path, settings: list[str], images: str, masks: str
) -> None:
    shutil.rmtree(tmp_path / "data")
    write_splits(tmp_path / "data", images, masks)
    config = configured(settings)
    table = read_training_images(config).table
    test = read_test_table(config)
    assert test is not None
    labels = read_test_labels(config, ["nerve"], [])
    assert labels is not None
    assert [len(table), len(test), len(labels)] == [8, 3, 3]
    for rows, more in ((table, 0), (labels, 50)):
        for row in rows.to_dict("records"):
            number = int(row["image"].rpartition("a")[2])
            truth = tiny_image(number + more, nerve=True)[1]
            assert (rle.decode(row["rle_mask"], truth.shape) == truth).all()


def test_names_that_a_labelling_tools_file_may_mean_twice_are_refused(
    tmp_path: Path, settings: list[str]
) -> None:
    shutil.rmtree(tmp_path / "data")
    write_splits(tmp_path / "data", "{part}/{name}.png", "masks/{part}/{name}.png")
    shutil.rmtree(tmp_path / "data" / "masks")
    (tmp_path / "data" / "train").rename(tmp_path / "data" / "images")
    coco = {
        "images": [{"id": 1, "file_name": "a0.png", "height": SHAPE[0], "width": SHAPE[1]}],
        "annotations": [],
        "categories": [{"id": 1, "name": "nerve"}],
    }
    (tmp_path / "data" / "labels.json").write_text(json.dumps(coco))
    with pytest.raises(InputError, match=r"both hold a0\.png, and .*labels\.json may mean either"):
        read_training_images(configured(settings))


def test_test_labels_that_cannot_be_used_end_nothing(
    settings: list[str], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NERVES:
        cv2.imwrite(str(data / "test" / f"{name}_mask.tif"), np.zeros((9, 9), np.uint8))
    step(1).main(configured(settings))
    assert "test labels    cannot be used: " in capsys.readouterr().out


def write_coco(root: Path, part: str, numbers: range, named: str, *more: str) -> Path:
    """Images of the part and a file about them, which calls an image as `named` says."""
    images, annotations = [], []
    for number in numbers:
        path = root / part / f"a{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), tiny_image(number + 50 * (part == "test"), nerve=True)[0])
        size = {"height": SHAPE[0], "width": SHAPE[1]}
        told = named.format(part=part, name=path.name)
        images.append({"id": number, "file_name": told, **size})
        runs = mask_api.encode(np.asfortranarray(truth_of(part, number)))
        runs["counts"] = runs["counts"].decode()
        annotations.append(
            {"id": number, "image_id": number, "category_id": 1, "segmentation": runs}
        )
    content = {"images": images, "annotations": annotations, "categories": [NERVE]}
    path = root.joinpath(*more or (part, "_annotations.coco.json"))
    path.write_text(json.dumps(content))
    return path


def truth_of(part: str, number: int) -> np.ndarray:
    return tiny_image(number + 50 * (part == "test"), nerve=True)[1]


def assert_both_sets_are_right(config: Config, train: range, test: range) -> None:
    labels = read_test_labels(config, ["nerve"], [])
    assert labels is not None
    sets = (("train", train, read_training_images(config).table), ("test", test, labels))
    for part, numbers, rows in sets:
        found = {
            int(row["image"].rpartition("a")[2].removesuffix(".png")): row
            for row in rows.to_dict("records")
        }
        assert sorted(found) == list(numbers)
        for number, row in found.items():
            assert (rle.decode(row["rle_mask"], SHAPE) == truth_of(part, number)).all()


@pytest.mark.parametrize("test", [range(8, 11), range(3)])
def test_a_labelling_tools_files_label_the_test_set_too(
    tmp_path: Path, settings: list[str], test: range
) -> None:
    """As Roboflow exports: a file for each split, the test set inside the folder of all.

    Its images may be called as those to train on: the folder of the file tells.
    """
    shutil.rmtree(tmp_path / "data")
    for part, numbers in (("train", range(8)), ("test", test)):
        write_coco(tmp_path / "data", part, numbers, "{name}")
    assert_both_sets_are_right(configured(settings), range(8), test)


def test_paths_in_a_labelling_tools_file_tell_images_of_one_name_apart(
    tmp_path: Path, settings: list[str]
) -> None:
    data = tmp_path / "data"
    shutil.rmtree(data)
    for part, numbers in (("train", range(8)), ("test", range(3))):
        write_coco(data, part, numbers, "D:\\me\\{part}\\{name}", f"{part}.json")
    assert_both_sets_are_right(configured(settings), range(8), range(3))
    apart = [*settings, f"data_folder={data / 'train'}", f"data_folder_test={data / 'test'}"]
    assert_both_sets_are_right(configured(apart, f"train_dataframe={data}"), range(8), range(3))
