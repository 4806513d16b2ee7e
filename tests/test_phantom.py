"""The phantom data set: complete, honest about its labels, the same for any number of workers."""

import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from lib import phantom, rle
from lib.config import InputError

SIZES = {"subjects": 3, "frames": 6, "test_subjects": 1, "test_frames": 3, "seed": 7}
TINY = {"subjects": 1, "frames": 2, "test_subjects": 1, "test_frames": 1}

Picture = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "set"
    phantom.generate(folder, **SIZES, workers=1)
    return folder


def table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, dtype=str)


def picture(path: Path) -> Picture:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def correlation(a: Picture, b: Picture) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_the_layout_is_the_competitions(folder: Path) -> None:
    train = {
        f"train/{s}_{n}{kind}.tif" for s in (1, 2, 3) for n in range(1, 7) for kind in ("", "_mask")
    }
    test = {f"test/{n}.tif" for n in (1, 2, 3)}
    tables = {"train_masks.csv", "sample_submission.csv"}
    truth = {f"truth/{name}" for name in ("test_masks.csv", "twins.csv", "settings.json")}
    assert set(contents(folder)) == train | test | tables | truth


def test_every_picture_is_grey_8_bit_and_of_the_competitions_size(folder: Path) -> None:
    for path in folder.rglob("*.tif"):
        assert picture(path).shape == (420, 580)
        assert picture(path).dtype == np.uint8


def test_the_run_lengths_are_those_of_the_mask_files(folder: Path) -> None:
    masks = table(folder / "train_masks.csv")
    assert list(masks.columns) == ["subject", "img", "pixels"]
    for row in masks.itertuples():
        mask = picture(folder / "train" / f"{row.subject}_{row.img}_mask.tif")
        assert set(np.unique(mask)) <= {0, 255}
        assert rle.encode(mask) == row.pixels


def test_the_sample_submission_lists_the_test_images_in_order(folder: Path) -> None:
    sample = table(folder / "sample_submission.csv")
    assert sample.to_dict("list") == {"img": ["1", "2", "3"], "pixels": ["1 1"] * 3}


def test_the_truth_of_the_test_images_is_of_subjects_that_train_has_not(folder: Path) -> None:
    truth = table(folder / "truth" / "test_masks.csv")
    assert list(truth.columns) == ["img", "subject", "pixels"]
    assert set(truth.subject) == {"4"}
    assert (truth.pixels != "").any()


def test_every_subject_has_frames_with_and_without_a_nerve(folder: Path) -> None:
    masks = table(folder / "train_masks.csv")
    assert (masks.groupby("subject").pixels.agg(lambda p: (p != "").nunique()) == 2).all()


def test_masks_are_one_piece_of_a_size_found_in_the_competition(folder: Path) -> None:
    for path in (folder / "train").glob("*_mask.tif"):
        mask = picture(path)
        if mask.any():
            assert cv2.connectedComponents(mask)[0] == 2
            assert 2684 <= np.count_nonzero(mask) <= 17439


@pytest.mark.parametrize("seed", range(40))
def test_outlines_keep_their_size_and_stay_inside_the_frame(seed: int) -> None:
    rng = np.random.default_rng(seed)
    anatomy = phantom._anatomy(rng)
    frames, _ = phantom._sweep(rng, 40, 1.0, 0)
    for frame in frames:
        nerve = anatomy.nerve(frame.z)
        mask = phantom._mask(nerve, frame)
        points = phantom.outline(nerve, frame)
        assert 2684 <= np.count_nonzero(mask) <= 17439 or not frame.labelled
        assert points.min() >= 0 and (points.max(axis=0) <= (579, 419)).all()


def test_the_annotator_errs_but_moderately() -> None:
    rng = np.random.default_rng(0)
    anatomy = phantom._anatomy(rng)
    frames, _ = phantom._sweep(rng, 40, 1.0, 0)
    dice = []
    for frame in (frame for frame in frames if frame.labelled):
        drawn, true = (np.zeros((420, 580), np.uint8) for _ in range(2))
        nerve = anatomy.nerve(frame.z)
        cv2.fillPoly(drawn, [phantom.outline(nerve, frame).astype(np.int32)], 1)
        cv2.fillPoly(true, [phantom.outline(nerve, frame, error=0).astype(np.int32)], 1)
        dice.append(2 * (drawn & true).sum() / (drawn.sum() + true.sum()))
    assert 0.91 < np.mean(dice) < 0.96


def test_a_twin_is_nearly_its_image_but_has_the_empty_label(folder: Path) -> None:
    masks = table(folder / "train_masks.csv")
    pixels = dict(zip(masks.subject + "_" + masks.img + ".tif", masks.pixels, strict=True))
    twins = table(folder / "truth" / "twins.csv")
    assert len(twins) >= 1
    for image, twin in twins.itertuples(index=False):
        assert pixels[image] != "" and pixels[twin] == ""
        pair = [picture(folder / "train" / name) for name in (image, twin)]
        assert correlation(*pair) > 0.99


def test_neighbours_resemble_each_other_more_than_frames_of_other_subjects() -> None:
    tissues = [phantom._tissue(np.random.default_rng(seed)) for seed in (0, 1)]
    frames, _ = phantom._sweep(np.random.default_rng(2), 3, 0.5, 0)
    first, second, third = (phantom.render(tissues[0], frame) for frame in frames)
    other = phantom.render(tissues[1], frames[0])
    assert correlation(first, second) > 0.7
    assert correlation(first, second) > correlation(first, third) > correlation(first, other)


def test_a_nerve_changes_the_picture_where_its_mask_is() -> None:
    rng = np.random.default_rng(3)
    tissue = phantom._tissue(rng)
    noise = np.zeros(12)
    shown = phantom.Frame(1.2, 0, 1, nerve=1, labelled=True, noise=noise)
    absent = phantom.Frame(1.2, 0, 1, nerve=0, labelled=True, noise=noise)
    mask = phantom._mask(tissue.anatomy.nerve(1.2), shown) > 0
    change = cv2.absdiff(phantom.render(tissue, shown), phantom.render(tissue, absent))
    assert change[mask].mean() > 5 * change[~mask].mean()


def test_the_grey_values_are_those_of_an_ultrasound_machine(folder: Path) -> None:
    frames = np.stack([picture(path) for path in (folder / "test").glob("*.tif")])
    assert 80 < frames.mean() < 115
    assert 45 < frames.std() < 70
    assert 0.005 < (frames == 255).mean() < 0.06


def test_two_workers_write_the_same_bytes_as_one(folder: Path, tmp_path: Path) -> None:
    phantom.generate(tmp_path / "two", **SIZES, workers=2)
    assert contents(tmp_path / "two") == contents(folder)


def test_another_seed_makes_other_pictures(tmp_path: Path) -> None:
    for seed in (0, 1):
        phantom.generate(tmp_path / str(seed), **TINY, seed=seed, workers=1)
    assert correlation(*(picture(tmp_path / seed / "test" / "1.tif") for seed in "01")) < 0.6


def test_a_second_call_changes_nothing_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    phantom.generate(tmp_path, **TINY, workers=1)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    phantom.generate(tmp_path, **TINY, workers=1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert "nothing to do" in capsys.readouterr().out


def test_a_set_that_was_cut_off_is_finished(tmp_path: Path) -> None:
    phantom.generate(tmp_path, **TINY, workers=1)
    whole = contents(tmp_path)
    settings = tmp_path / "truth" / "settings.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"complete": False}))
    (tmp_path / "train" / "1_1.tif").write_bytes(b"II*")
    (tmp_path / "train_masks.csv").unlink()
    phantom.generate(tmp_path, **TINY, workers=1)
    assert contents(tmp_path) == whole


def test_a_folder_with_other_files_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(phantom.FolderError, match=tmp_path.name):
        phantom.generate(tmp_path, **TINY, workers=1)
    assert list(contents(tmp_path)) == ["thesis.txt"]


def test_a_set_of_other_settings_is_refused_by_name(tmp_path: Path) -> None:
    phantom.generate(tmp_path, **TINY, workers=1)
    before = contents(tmp_path)
    with pytest.raises(phantom.FolderError, match=tmp_path.name):
        phantom.generate(tmp_path, **TINY, seed=5, workers=1)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("wrong", [{"subjects": 0}, {"test_frames": 0}, {"seed": -1}])
def test_impossible_sizes_are_refused(wrong: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 1 subject"):
        phantom.generate(tmp_path / "set", **(TINY | wrong))
    assert not (tmp_path / "set").exists()


def test_shares_of_frames_with_a_nerve_follow_the_competition() -> None:
    shares = phantom._shares(np.random.default_rng(0), 200, phantom.TRAIN_SHARE)
    assert np.mean(shares) == pytest.approx(0.41, abs=0.02)
    assert np.std(shares) == pytest.approx(0.23, abs=0.02)
