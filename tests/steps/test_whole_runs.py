"""The four steps on data of every layout, on several classes, and with files in quarantine."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from lib import rle
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.data.layouts import load_settings
from lib.runtime.errors import InputError
from tests.conftest import REPOSITORY, SHAPE, chain, configured, step, tiny_image
from tests.data.pictures.test_arrays import save_dicom
from tests.data.test_labels import (
    NAMES,
    NERVE,
    VESSEL,
    compressed,
    two_classes_in_lists,
    write_coco,
    write_images,
)

FAST = [
    "backbone=tu-test_efficientnet",
    "pretrained=false",
    "image_height=32",
    "image_width=64",
    "batch_size=2",
    "epochs=1",
    "number_of_workers=0",
    "n_folds=3",
    "folds=[0, 1, 2]",
]


def config_of(data: Path, runs: Path, *more: str) -> Config:
    settings = [f"data={data}", f"runs_folder={runs}", *FAST, *more]
    return load_settings(REPOSITORY / "config.yaml", settings)


def zipped(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder), "zip", folder.parent, folder.name))


def write_test_images(folder: Path) -> list[str]:
    names = ["test_2.png", "test_1.png"]
    for number, name in enumerate(names):
        cv2.imwrite(str(folder / "images" / name), tiny_image(50 + number, nerve=True)[0])
    pd.DataFrame({"image": names}).to_csv(folder / "test.csv", index=False)
    return names


def test_two_classes_go_from_a_zip_to_the_submission(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_images(tmp_path / "two")
    two_classes_in_lists(as_text=False).to_parquet(data / "train.pq")
    tests = write_test_images(data)
    archive = zipped(data)
    shutil.rmtree(data)
    folder = chain(config_of(archive, tmp_path / "runs", "tune_decision=false"))
    folds = pd.read_csv(folder / "folds.csv", dtype=str, keep_default_na=False)
    assert [name for name in folds.columns if "rle" in name] == [
        "rle_mask_nerve",
        "rle_mask_vessel",
    ]
    scores = pd.read_csv(folder / "oof_iou.csv")
    assert scores.groupby("class_id").size().to_dict() == {"nerve": 6, "vessel": 6}
    truth = dict(
        zip(zip(scores["image"], scores["class_id"], strict=True), scores["true_area"], strict=True)
    )
    assert all(truth[f"{name}.png", "nerve"] == NERVE[name].sum() for name in NAMES)
    assert all(truth[f"{name}.png", "vessel"] == VESSEL[name].sum() for name in NAMES)
    submission = pd.read_csv(folder / "submission.csv", dtype=str, keep_default_na=False)
    assert submission.columns.tolist() == ["img", "class_id", "pixels"]
    assert submission["img"].tolist() == np.repeat(tests, 2).tolist()
    with np.load(folder / "test.npz") as arrays:
        assert arrays["_presence"].shape == (2, 2)
        for row in submission.to_dict("records"):
            plane = arrays[row["img"]][["nerve", "vessel"].index(row["class_id"])]
            assert np.array_equal(rle.decode(row["pixels"], SHAPE), plane > 127)
    out = capsys.readouterr().out
    assert any(line.startswith("vessel ") for line in out.splitlines())
    assert "stay unused" not in out
    summary = json.loads((folder / "decision.json").read_text())["scores"]["by_class"]
    assert summary["vessel"]["with_nerve"]["images"] == 4


def test_a_zip_is_unpacked_once_and_gives_what_its_folder_gives(tmp_path: Path, data: Path) -> None:
    archive = zipped(data)
    runs = tmp_path / "runs"
    for name, source in (("folder", data), ("zip", archive), ("again", archive)):
        step(1).main(config_of(source, runs, f"experiment_name={name}"))
    tables = [(runs / name / "folds.csv").read_bytes() for name in ("folder", "zip", "again")]
    assert tables[0] == tables[1] == tables[2]
    assert len([path for path in (runs / ".unpacked").iterdir() if path.is_dir()]) == 1


def test_cine_loops_are_trained_on_by_person_and_nobody_is_named(tmp_path: Path) -> None:
    (tmp_path / "data" / "images").mkdir(parents=True)
    for person in "abc":
        frames = [tiny_image(NAMES.index(f"{person}_{k}"), nerve=True)[0] for k in (1, 2)]
        save_dicom(tmp_path / "data/images" / f"{person}.dcm", np.stack(frames), f"Geheim^{person}")
    runs = [rle.encode(NERVE[name]) for name in NAMES]
    table = pd.DataFrame({"image": NAMES, "rle_mask": runs})
    table.to_csv(tmp_path / "data" / "train.csv", index=False)
    folder = chain(config_of(tmp_path / "data", tmp_path / "runs"))
    folds = pd.read_csv(folder / "folds.csv", dtype=str)
    assert (folds.groupby("subject")["fold"].nunique() == 1).all()
    assert set(folds["subject"]) == {"p1", "p2", "p3"}
    assert not any(b"Geheim" in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_coco_file_and_a_folder_of_masks_give_the_same_folds(tmp_path: Path) -> None:
    coco = write_coco(write_images(tmp_path / "coco"), compressed)
    pictures = write_images(tmp_path / "pictures")
    for what, masks in (("nerve", NERVE), ("vessel", VESSEL)):
        (pictures / "masks" / what).mkdir(parents=True)
        for name, mask in masks.items():
            if mask.any():
                cv2.imwrite(str(pictures / "masks" / what / f"{name}.png"), mask)
    tables = []
    for data in (coco, pictures):
        config = config_of(data, tmp_path / "runs", "validation_strategy=kfold")
        step(1).main(config)
        table = pd.read_csv(Run.of(config).folds, dtype=str, keep_default_na=False)
        table["image"] = table["image"].str.removesuffix(".png")
        tables.append(table.drop(columns=["subject", "group"]))
    assert tables[0].equals(tables[1])


def test_the_share_held_out_automatically_is_scored_by_one_network(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(settings, "validation_strategy=automatic", "validation_size=0.3")
    folder = chain(config)
    folds = pd.read_csv(folder / "folds.csv")
    assert set(folds["fold"]) == {-1, 0}
    scores = pd.read_csv(folder / "oof_iou.csv")
    assert sorted(scores["image"]) == sorted(folds["image"][folds["fold"] == 0])
    assert not (folder / "fold1").exists()
    assert "were not asked for" not in capsys.readouterr().out


def test_a_table_of_validation_images_is_scored_and_not_trained_on(
    settings: list[str], data: Path
) -> None:
    table = pd.read_csv(data / "train_masks.csv", dtype=str, keep_default_na=False)
    held_out = table["subject"] == "2"
    table[held_out].to_csv(data / "held_out.csv", index=False)
    table[~held_out].to_csv(data / "train_masks.csv", index=False)
    more = ["validation_strategy=custom", f"validation_dataframe={data / 'held_out.csv'}"]
    folder = chain(configured(settings, *more))
    scores = pd.read_csv(folder / "oof_iou.csv", dtype=str)
    assert set(scores["subject"]) == {"2"}
    assert len(scores) == 4


def test_images_in_two_tables_are_an_error(settings: list[str], data: Path) -> None:
    more = ["validation_strategy=custom", f"validation_dataframe={data / 'train_masks.csv'}"]
    with pytest.raises(InputError, match="24 images stand in train_dataframe too"):
        step(1).main(configured(settings, *more))


def test_files_in_quarantine_are_left_out_listed_and_counted_and_keep_their_row(
    settings: list[str], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "train" / "1_1.tif").write_bytes(b"")
    (data / "train" / "2_1_mask.tif").write_text("<html>")
    (data / "test" / "2.tif").unlink()
    with pytest.raises(InputError, match="quarantine=true leaves them out"):
        step(1).main(configured(settings))
    capsys.readouterr()
    folder = chain(configured(settings, "quarantine=true"))
    out = capsys.readouterr().out
    assert out.count("QUARANTINE: 2 training and 1 test images") == 2  # 02 and beside the scores
    listed = pd.read_csv(folder / "quarantine.csv", dtype=str)
    assert list(zip(listed["part"], listed["image"], strict=True)) == [
        ("train", "1_1"),
        ("train", "2_1"),
        ("test", "2"),
    ]
    assert listed["reason"].str.contains("no such image|not an image").all()
    assert json.loads((folder / "folds_audit.json").read_text())["quarantine"] == {
        "train": 2,
        "test": 1,
    }
    assert len(pd.read_csv(folder / "oof_iou.csv")) == 22
    submission = pd.read_csv(folder / "submission.csv", dtype=str, keep_default_na=False)
    assert submission["img"].tolist() == ["3", "2", "1"]
    assert submission.loc[1, "pixels"] == ""


def test_quarantine_that_leaves_nothing_is_an_error(settings: list[str], data: Path) -> None:
    for path in data.glob("train/?_?.tif"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="and no other is left"):
        step(1).main(configured(settings, "quarantine=true"))


def test_a_twin_of_another_label_is_told_drawn_and_left_out_if_asked(
    settings: list[str], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(data / "train/1_1.tif", data / "train/1_3.tif")  # 1_3 is labelled empty
    folder = chain(configured(settings, "label_policy=drop_empty_twin", "folds=[0]"))
    found = pd.read_csv(folder / "contradictions.csv")
    assert found[["image", "twin", "dice"]].to_numpy().tolist() == [["1_1", "1_3", 0.0]]
    assert (folder / "contradictions.png").stat().st_size > 1000
    folds = pd.read_csv(folder / "folds.csv").set_index("image")
    assert folds["weight"].drop("1_3").eq(1).all()
    assert folds.loc["1_3", "weight"] == 0
    held_out = int((folds["fold"] == 0).sum())
    trained = 24 - held_out - (folds.loc["1_3", "fold"] != 0)
    assert f"fold 0: {trained} training images, {held_out} to" in capsys.readouterr().out
    assert len(pd.read_csv(folder / "oof_iou.csv")) == held_out
    step(1).main(configured(settings))
    assert (folder / "contradictions.png").exists()


def test_data_sample_is_told_beside_the_scores(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = chain(configured(settings, "data_sample=0.5"))
    assert len(pd.read_csv(folder / "oof_iou.csv")) == 12
    assert "data_sample: 0.5 of the images of Train and Validation" in capsys.readouterr().out


def test_where_no_subject_is_known_clusters_are_groups_and_it_says_what_they_cannot_see(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_images(tmp_path / "data")
    for number, name in enumerate(NAMES[:3]):
        cv2.imwrite(str(data / "images" / f"copy{number}.png"), tiny_image(number, nerve=True)[0])
        assert np.array_equal(tiny_image(number, nerve=True)[1], NERVE[name])
    images = [*(f"{name}.png" for name in NAMES), *(f"copy{k}.png" for k in range(3))]
    table = pd.DataFrame({"image": images, "rle_mask": "1 5"})
    table.to_csv(data / "train.csv", index=False)
    config = config_of(data, tmp_path / "runs")
    step(1).main(config)
    folds = pd.read_csv(Run.of(config).folds).set_index("image")
    assert folds["group"].nunique() == 6
    for number, name in enumerate(NAMES[:3]):
        assert folds.loc[f"copy{number}.png", "fold"] == folds.loc[f"{name}.png", "fold"]
    assert "do not look alike may stand in several folds" in capsys.readouterr().out
