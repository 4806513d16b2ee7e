"""The phantom data set: complete, honest about its labels, the same on any machine."""

import dataclasses
import hashlib
import io
import itertools
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pydicom
import pytest

from lib import rle
from lib.data.layouts import load_settings
from lib.data.phantom import is_phantom
from lib.data.table import read_training_images
from lib.metric import dice, iou, overlap
from lib.readers.second import read_second_reader
from lib.runtime.errors import InputError
from tests.conftest import REPOSITORY
from tools.phantom import __main__ as command
from tools.phantom import rounding as exact
from tools.phantom.anatomy import Blob, Wander, new_anatomy
from tools.phantom.canvas import COLUMNS, ROWS, STEP, spread
from tools.phantom.dataset import FolderError, clip, generate
from tools.phantom.files import opened
from tools.phantom.masks import ellipse_of, filled, masks_of, outline, vessel_of
from tools.phantom.plan import TRAIN_SHARE, shares
from tools.phantom.render import blur, render, to_frame
from tools.phantom.sweep import Frame, sweep
from tools.phantom.tissue import Tissue, new_tissue

SIZES: dict[str, Any] = {
    "subjects": 3,
    "frames": 6,
    "test_subjects": 1,
    "test_frames": 3,
    "seed": 7,
}
TINY: dict[str, Any] = {"subjects": 1, "frames": 2, "test_subjects": 1, "test_frames": 1}

# OpenCV only prints a line about those that the processor has not.
OPENCV_FEATURES = "AVX2,FMA3,AVX,FP16,SSE4.1,SSE4.2,SSSE3,NEON_DOTPROD"

Picture = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "set"
    generate(folder, **SIZES, workers=1)
    return folder


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The same subjects for Hydrogen Torch, with a vessel."""
    folder = tmp_path_factory.mktemp("phantom") / "zip"
    generate(folder, **SIZES, vessel=True, format="hydrogen_torch", workers=1)
    return zipfile.ZipFile(folder / "phantom.zip")


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same subjects as DICOM, with a vessel."""
    folder = tmp_path_factory.mktemp("phantom") / "dicom"
    generate(folder, **SIZES, vessel=True, format="dicom", workers=1)
    return folder


def table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, dtype=str)


def picture(path: Path) -> Picture:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def digest(picture: Picture) -> str:
    return hashlib.sha256(picture.tobytes()).hexdigest()


def unpacked(archive: zipfile.ZipFile, name: str) -> Picture:
    encoded = np.frombuffer(archive.read(name), dtype=np.uint8)
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED))


def read_parquet(archive: zipfile.ZipFile) -> Any:
    return pd.read_parquet(io.BytesIO(archive.read("train.pq")))


def correlation(a: Picture, b: Picture) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_the_layout_is_the_competitions(folder: Path) -> None:
    train = {
        f"train/{s}_{n}{kind}.tif" for s in (1, 2, 3) for n in range(1, 7) for kind in ("", "_mask")
    }
    test = {f"test/{n}.tif" for n in (1, 2, 3)}
    tables = {"train_masks.csv", "sample_submission.csv", "PHANTOM.md"}
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
    anatomy = new_anatomy(rng)
    frames, _ = sweep(rng, 40, 1.0, 0)
    for frame in frames:
        points = outline(anatomy.nerve(frame.z), frame, frame.noise[0])
        mask = filled(points)
        assert 2684 <= np.count_nonzero(mask) <= 17439 or not frame.labelled
        assert points.min() >= 0 and (points.max(axis=0) <= (579, 419)).all()


def test_the_annotator_errs_but_moderately() -> None:
    rng = np.random.default_rng(0)
    anatomy = new_anatomy(rng)
    frames, _ = sweep(rng, 40, 1.0, 0)
    dice = []
    for frame in (frame for frame in frames if frame.labelled):
        drawn, true = (np.zeros((420, 580), np.uint8) for _ in range(2))
        nerve = anatomy.nerve(frame.z)
        for mask, noise in ((drawn, frame.noise[0]), (true, np.zeros(12))):
            cv2.fillPoly(mask, [outline(nerve, frame, noise).astype(np.int32)], 1)
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
    tissues = [new_tissue(np.random.default_rng(seed)) for seed in (0, 1)]
    frames, _ = sweep(np.random.default_rng(2), 3, 0.5, 0)
    first, second, third = (render(tissues[0], frame) for frame in frames)
    other = render(tissues[1], frames[0])
    assert correlation(first, second) > 0.7
    assert correlation(first, second) > correlation(first, third) > correlation(first, other)


def test_a_clip_moves_as_slowly_as_it_is_told_and_shows_the_nerves_own_outline() -> None:
    fast, slow = (clip(8, 1, slower) for slower in (1, 4))
    steps = [
        np.mean([cv2.absdiff(a[0], b[0]).mean() for a, b in itertools.pairwise(frames)])
        for frames in (fast, slow)
    ]
    assert steps[1] < 0.7 * steps[0]
    masks = [mask for _, mask in slow if mask.any()]
    assert len(masks) == 4
    tissue = new_tissue(np.random.default_rng([1, 3, 1]))
    areas = [tissue.anatomy.nerve(z).along * tissue.anatomy.nerve(z).across for z in (0.0, 1.5)]
    assert all(set(np.unique(mask)) == {0, 1} for mask in masks)
    assert all(0.5 < mask.sum() / (np.pi * np.mean(areas)) < 2 for mask in masks)
    # Without an annotator's errors neighbours differ by the way of the probe alone.
    assert all(iou(overlap(a, b)) > 0.93 for a, b in itertools.pairwise(masks))


def test_a_nerve_changes_the_picture_where_its_mask_is() -> None:
    rng = np.random.default_rng(3)
    tissue = new_tissue(rng)
    noise = np.zeros((2, 12))
    shown = Frame(1.2, 0, 1, nerve=1, labelled=True, noise=noise)
    absent = Frame(1.2, 0, 1, nerve=0, labelled=True, noise=noise)
    mask = masks_of(tissue, shown, vessel=False)["nerve"] > 0
    change = cv2.absdiff(render(tissue, shown), render(tissue, absent))
    assert change[mask].mean() > 5 * change[~mask].mean()


def test_the_grey_values_are_those_of_an_ultrasound_machine(folder: Path) -> None:
    frames = np.stack([picture(path) for path in (folder / "test").glob("*.tif")])
    assert 80 < frames.mean() < 115
    assert 45 < frames.std() < 70
    assert 0.005 < (frames == 255).mean() < 0.06


def test_two_workers_write_the_same_bytes_as_one(folder: Path, tmp_path: Path) -> None:
    generate(tmp_path / "two", **SIZES, workers=2)
    assert contents(tmp_path / "two") == contents(folder)


def test_another_seed_makes_other_pictures(tmp_path: Path) -> None:
    for seed in (0, 1):
        generate(tmp_path / str(seed), **TINY, seed=seed, workers=1)
    assert correlation(*(picture(tmp_path / seed / "test" / "1.tif") for seed in "01")) < 0.6


def test_a_second_call_changes_nothing_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generate(tmp_path, **TINY, workers=1)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    generate(tmp_path, **TINY, workers=1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "damaged", "lost"),
    [
        ("kaggle", "train/1_1.tif", "train_masks.csv"),
        ("hydrogen_torch", "phantom.zip.part", "phantom.zip"),
        ("dicom", "images/1.dcm", "train.csv"),
    ],
)
def test_a_set_that_was_cut_off_is_finished(
    kind: str, damaged: str, lost: str, tmp_path: Path
) -> None:
    generate(tmp_path, **TINY, format=kind, workers=1)
    whole = contents(tmp_path)
    settings = tmp_path / "truth" / "settings.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"complete": False}))
    (tmp_path / damaged).write_bytes(b"II*")
    (tmp_path / lost).unlink()
    generate(tmp_path, **TINY, format=kind, workers=1)
    assert contents(tmp_path) == whole


@pytest.mark.parametrize(("pack", "present"), [("", {"a.csv"}), ("all.zip", {"all.zip.part"})])
def test_what_was_cut_off_has_no_half_file_and_no_archive(
    pack: str, present: set[str], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt), opened(tmp_path, pack) as write:
        write("a.csv", b"image\n")
        raise KeyboardInterrupt
    assert set(contents(tmp_path)) == present


@pytest.mark.parametrize("kind", ["kaggle", "hydrogen_torch", "dicom"])
def test_01_knows_a_phantom_from_images_of_people(kind: str, tmp_path: Path) -> None:
    data, runs = tmp_path / "data", f"runs_folder={tmp_path / 'runs'}"
    generate(data, **TINY, format=kind, workers=1)
    given = data / "phantom.zip" if kind == "hydrogen_torch" else data
    config = load_settings(REPOSITORY / "config.yaml", [f"data={given}", runs])
    assert is_phantom(config)
    Path(config.data_folder).with_name("PHANTOM.md").unlink()
    assert not is_phantom(config)


def test_a_set_of_before_there_was_a_mark_gets_it(tmp_path: Path) -> None:
    generate(tmp_path, **TINY, workers=1)
    (tmp_path / "PHANTOM.md").unlink()
    generate(tmp_path, **TINY, workers=1)
    assert (tmp_path / "PHANTOM.md").is_file()


def test_a_folder_with_other_files_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(FolderError, match=tmp_path.name):
        generate(tmp_path, **TINY, workers=1)
    assert list(contents(tmp_path)) == ["thesis.txt"]


def test_a_set_of_other_settings_is_refused_by_name(tmp_path: Path) -> None:
    generate(tmp_path, **TINY, workers=1)
    before = contents(tmp_path)
    with pytest.raises(FolderError, match=tmp_path.name):
        generate(tmp_path, **TINY, seed=5, workers=1)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("wrong", [{"subjects": 0}, {"test_frames": 0}, {"seed": -1}])
def test_impossible_sizes_are_refused(wrong: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 1 subject"):
        generate(tmp_path / "set", **(TINY | wrong))
    assert not (tmp_path / "set").exists()


def test_the_processor_leaves_no_trace_in_the_bytes(tmp_path: Path) -> None:
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    if not found:
        pytest.skip("this processor has nothing that could be switched off")
    script = (
        "import numpy, sys; from tools.phantom.dataset import generate; "
        "print(numpy.show_config(mode='dicts')['SIMD Extensions'].get('found', [])); "
        f"generate(sys.argv[1], **{TINY}, workers=1)"
    )
    plain = {
        "NPY_DISABLE_CPU_FEATURES": " ".join(found),
        "OPENCV_CPU_DISABLE": OPENCV_FEATURES,
        "OPENCV_IPP": "disabled",
    }
    command = [sys.executable, "-c", script, str(tmp_path / "plain")]
    done = subprocess.run(command, env=os.environ | plain, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0 and done.stdout.startswith("[]")
    generate(tmp_path / "fast", **TINY, workers=1)
    assert contents(tmp_path / "plain") == contents(tmp_path / "fast")


def test_a_blur_of_one_point_is_its_kernels_to_the_last_bit() -> None:
    canvas = np.zeros((ROWS, COLUMNS), dtype=np.float32)
    canvas[100, 200] = 3
    # In 1024ths, of sigma 0.5: 1024 / (1 + 2 exp(-2) + 2 exp(-8)) = 805.5, times exp(-2) = 109.0.
    weights = np.array([0, 109, 806, 109, 0])
    expected = np.outer(weights, weights) * 3 / 2**20
    blurred = blur(canvas, 0.5, 0.5 * STEP)
    assert (blurred[98:103, 198:203] == expected).all()
    assert np.count_nonzero(blurred) == 9


@pytest.mark.parametrize("amplitude", [1e-4, 0.01, 0.1, 1.0, 7.0])
def test_the_tables_agree_with_the_functions_they_stand_for(amplitude: float) -> None:
    decibel = exact.decibel_of(np.array([amplitude], dtype=np.float32))
    assert decibel[0] == pytest.approx(20 * np.log10(amplitude), abs=0.005)
    assert exact.amplitude_of(decibel)[0] == pytest.approx(amplitude, rel=0.002)
    line = exact.line(np.array([amplitude], dtype=np.float32), 2.0)
    assert line[0] == pytest.approx(np.exp(-((amplitude / 2) ** 2)), abs=0.002)


def test_fields_are_spread_from_their_knots_as_opencv_would() -> None:
    knots = np.random.default_rng(0).standard_normal((5, 4), dtype=np.float32)
    size = (COLUMNS, ROWS)
    expected = cv2.resize(knots, size, interpolation=cv2.INTER_CUBIC)
    assert spread(knots) == pytest.approx(expected, abs=1e-4)


def test_a_frame_is_the_canvas_moved_and_stretched_between_its_pixels() -> None:
    """A ramp of the canvas stays one: the value at x, y is linear in both."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS].astype(np.float32)
    frame = dataclasses.replace(still_frame(), shift=3.5, stretch=1.25)
    shown = to_frame(rows + 1000 * columns, frame)
    assert shown.shape == (420, 580)
    # Row 100 / 1.25 = 80; column (201 + 40 - 3.5) / 2 = 118.75.
    assert shown[100, 201] == pytest.approx(80 + 118750, abs=0.1)


def test_the_three_formats_hold_the_same_pictures(
    folder: Path, archive: zipfile.ZipFile, clinic: Path
) -> None:
    """And so a vessel among the classes changes none: Kaggle's table has no place for it."""
    tifs = {digest(picture(path)) for path in folder.glob("*/*.tif") if "_mask" not in path.name}
    pngs = {digest(unpacked(archive, name)) for name in archive.namelist() if ".png" in name}
    frames = {
        digest(f) for path in clinic.rglob("*.dcm") for f in pydicom.dcmread(path).pixel_array
    }
    assert len(tifs) == 21
    assert tifs == pngs == frames


def test_the_three_formats_tell_the_same_labels(
    folder: Path, archive: zipfile.ZipFile, clinic: Path
) -> None:
    kaggle = table(folder / "train_masks.csv")
    zipped = read_parquet(archive)
    cine = table(clinic / "train.csv")
    lists = [dict(zip(row.class_id, row.rle_mask, strict=True)) for row in zipped.itertuples()]
    nerves = sorted(kaggle.pixels[kaggle.pixels != ""])
    assert sorted(row["nerve"] for row in lists if "nerve" in row) == nerves
    assert sorted(cine.rle_mask[cine.class_id == "nerve"]) == nerves
    vessels = sorted(row["vessel"] for row in lists if "vessel" in row)
    assert sorted(cine.rle_mask[cine.class_id == "vessel"]) == vessels != []
    assert (cine.image[cine.class_id == ""].nunique()) == sum(not row for row in lists)


def test_hydrogen_torchs_archive_is_undated_and_in_a_fixed_order(archive: zipfile.ZipFile) -> None:
    train = [f"images/{subject}_{n}.png" for subject in (1, 2, 3) for n in range(1, 7)]
    test = [f"images/{n}.png" for n in (1, 2, 3)]
    assert archive.namelist() == [*train, *test, "train.pq", "test.csv", "PHANTOM.md"]
    assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert archive.read("test.csv") == b"image\n1.png\n2.png\n3.png\n"
    rows = read_parquet(archive)
    assert list(rows.columns) == ["image", "class_id", "rle_mask", "subject"]
    assert [f"images/{image}" for image in rows.image] == train
    assert list(rows.subject) == [1] * 6 + [2] * 6 + [3] * 6


def test_without_a_vessel_hydrogen_torchs_cells_are_single_texts(tmp_path: Path) -> None:
    generate(tmp_path, **(TINY | {"frames": 3}), format="hydrogen_torch", workers=1)
    rows = read_parquet(zipfile.ZipFile(tmp_path / "phantom.zip"))
    assert set(rows.class_id) == {"nerve"}
    assert "" in set(rows.rle_mask)
    assert any(rle.decode(text, (420, 580)).any() for text in rows.rle_mask)


def test_a_cine_loop_is_an_undated_ultrasound_of_nobody(clinic: Path) -> None:
    loops = [pydicom.dcmread(clinic / f"images/{subject}.dcm") for subject in (1, 2, 3, 4)]
    for subject, loop in enumerate(loops, start=1):
        assert loop.SOPClassUID == "1.2.840.10008.5.1.4.1.1.3.1"
        assert (loop.PatientName, loop.PatientID) == (f"PHANTOM^{subject}", f"PHANTOM-{subject}")
        assert (loop.PhotometricInterpretation, loop.BitsStored) == ("MONOCHROME2", 8)
        assert loop.NumberOfFrames == (3 if subject == 4 else 6)
        assert not any(item.value for item in loop if item.VR in ("DA", "TM", "DT"))
    uids = [
        getattr(loop, f"{level}InstanceUID")
        for loop in loops
        for level in ("Study", "Series", "SOP")
    ]
    assert len(set(uids)) == 12 and all(pydicom.uid.UID(uid).is_valid for uid in uids)


def test_a_cine_loop_is_in_video_order(clinic: Path) -> None:
    for path in (clinic / "images").glob("[123].dcm"):
        first, second, *_, last = pydicom.dcmread(path).pixel_array
        assert correlation(first, second) > correlation(first, last)


def test_the_masks_of_a_cine_loop_are_of_the_frames_they_name(clinic: Path) -> None:
    """A vessel is darker than what lies around it."""
    rows = table(clinic / "train.csv")
    names = {f"{subject}_{frame}" for subject in (1, 2, 3) for frame in range(1, 7)}
    assert set(rows.image) == names and list(rows.columns) == ["image", "class_id", "rle_mask"]
    assert list(table(clinic / "test.csv").image) == ["4_1", "4_2", "4_3"]
    contrast = []
    for row in rows[rows.class_id == "vessel"].itertuples():
        subject, frame = map(int, row.image.split("_"))
        shown = pydicom.dcmread(clinic / f"images/{subject}.dcm").pixel_array[frame - 1]
        mask = rle.decode(row.rle_mask, (420, 580))
        near, far = (cv2.dilate(mask, np.ones((size, size))) > 0 for size in (9, 31))
        blood = cv2.erode(mask, np.ones((9, 9))) > 0
        contrast.append(shown[blood].mean() / shown[far & ~near].mean())
    assert max(contrast) < 1 and np.mean(contrast) < 0.75


def test_the_same_cine_loop_is_the_same_bytes(clinic: Path, tmp_path: Path) -> None:
    generate(tmp_path, **SIZES, vessel=True, format="dicom", workers=2)
    assert contents(tmp_path) == contents(clinic)


def test_the_truth_of_two_classes_has_a_row_for_each(clinic: Path) -> None:
    truth = table(clinic / "truth" / "test_masks.csv")
    assert list(truth.columns) == ["img", "subject", "class_id", "pixels"]
    assert list(truth.img) == ["4_1", "4_1", "4_2", "4_2", "4_3", "4_3"]
    assert list(truth.class_id) == ["nerve", "vessel"] * 3
    assert set(truth.subject) == {"4"} and (truth.pixels != "").any()


def test_kaggles_layout_has_no_place_for_a_vessel_and_says_which_has(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="hydrogen_torch, dicom"):
        generate(tmp_path / "set", **TINY, vessel=True)
    assert not (tmp_path / "set").exists()


def test_an_unknown_format_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="png: choose one of kaggle, hydrogen_torch, dicom"):
        generate(tmp_path / "set", **TINY, format="png")


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({}, True),
        ({"column": 35}, False),  # 38 pixels wide to either side
        ({"column": 45}, True),
        ({"column": 540}, False),
        ({"column": 900}, False),  # beyond all that is drawn
        ({"row": 290}, False),  # its lower end at 322, bone at 320
        ({"row": 285}, True),
        ({"z": 3.0, "reach": 1.0}, False),  # 2 away from where it is: exp(-4) of it is left
    ],
)
def test_a_vessel_is_masked_where_it_is_plainly_seen(change: dict[str, float], seen: bool) -> None:
    place = {"row": 200, "column": 300, "z": 1.0, "reach": 5.0} | change
    ellipse = vessel_of(straight_tissue(**place), still_frame())
    assert (ellipse is not None) == seen
    if ellipse:
        assert (ellipse.row, ellipse.column) == pytest.approx(
            (place["row"], place["column"]), abs=1
        )
        # Radius 30 and a wall of 2; 0.85 times as far sideways counts as much.
        assert (ellipse.along, ellipse.across) == pytest.approx((32 / 0.85, 32), abs=0.7)
        assert ellipse.angle == pytest.approx(0, abs=0.02)


def straight_tissue(row: float, column: float, z: float, reach: float) -> Tissue:
    """A vessel of radius 30 over a bone at 320, nothing bent."""

    def still(value: float) -> Wander:
        return Wander(value, 0, 1, 0)

    tissue = new_tissue(np.random.default_rng(0))
    blob = Blob(still(row), still(column), 30, -42, z, reach)
    anatomy = dataclasses.replace(tissue.anatomy, blobs=(blob,), bone=320)
    fields = {name: np.zeros_like(planes) for name, planes in tissue.fields.items()}
    return Tissue(anatomy, tissue.scatterers, fields)


def still_frame() -> Frame:
    return Frame(1.0, 0, 1, nerve=0, labelled=False, noise=np.zeros((2, 12)))


def test_the_ellipse_of_a_rectangle_has_its_moments() -> None:
    """Rows 10 to 13 and columns 20 to 27: variances (4**2 - 1) / 12 and (8**2 - 1) / 12."""
    rows, columns = np.nonzero(np.pad(np.ones((4, 8)), ((10, 0), (20, 0))))
    ellipse = ellipse_of(rows, columns)
    assert (ellipse.row, ellipse.column, ellipse.angle) == (11.5, 23.5, 0)
    assert ellipse.along == pytest.approx(2 * np.sqrt(63 / 12))
    assert ellipse.across == pytest.approx(2 * np.sqrt(15 / 12))


def test_every_option_of_the_command_line_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys,
        "argv",
        ["phantom", "F", "--frames", "9", "--vessel", "--format", "dicom", "--second-reader"],
    )
    assert vars(command._parse_arguments()) == {
        "folder": Path("F"),
        "subjects": 15,
        "frames": 9,
        "test_subjects": 4,
        "test_frames": 12,
        "seed": 0,
        "vessel": True,
        "format": "dicom",
        "second_reader": True,
    }


@pytest.mark.parametrize("kind", ["kaggle", "hydrogen_torch", "dicom"])
def test_a_second_reader_labels_the_same_pictures_with_a_habit_of_their_own(
    kind: str, tmp_path: Path
) -> None:
    for name, asked in (("one", False), ("two", True)):
        generate(tmp_path / name, **SIZES, format=kind, second_reader=asked, workers=1)
    before, after = contents(tmp_path / "one"), contents(tmp_path / "two")
    settings = "truth/settings.json"
    assert after.keys() - before.keys() == {"second_reader.csv"}
    assert all(after[name] == content for name, content in before.items() if name != settings)
    found = load_settings(
        REPOSITORY / "config.yaml",
        [
            f"data={tmp_path / 'two'}{'/phantom.zip' if kind == 'hydrogen_torch' else ''}",
            f"second_reader={tmp_path / 'two' / 'second_reader.csv'}",
            f"runs_folder={tmp_path / 'runs'}",
        ],
    )
    images = read_training_images(found)
    second = read_second_reader(found, images)
    assert second is not None
    both = images.table.merge(second, on="image", suffixes=("", "_second"))
    assert len(both) == len(images.table) == 18
    scores = [
        dice(overlap(*(rle.decode(row[f"rle_mask{of}"], (420, 580)) for of in ("", "_second"))))
        for row in both[both["rle_mask"] != ""].to_dict("records")
    ]
    assert 0.6 < np.median(scores) < 0.95
    assert both["rle_mask_second"][both["rle_mask"] == ""].eq("").all()


def test_a_set_that_knows_no_second_reader_is_still_found_complete(tmp_path: Path) -> None:
    generate(tmp_path, **TINY, workers=1)
    path = tmp_path / "truth" / "settings.json"
    told = json.loads(path.read_text())
    del told["second_reader"]
    path.write_text(json.dumps(told))
    before = contents(tmp_path)
    generate(tmp_path, **TINY, workers=1)
    assert contents(tmp_path) == before
    with pytest.raises(FolderError, match="made with other settings"):
        generate(tmp_path, **TINY, second_reader=True, workers=1)


def test_shares_of_frames_with_a_nerve_follow_the_competition() -> None:
    drawn = shares(np.random.default_rng(0), 200, TRAIN_SHARE)
    assert np.mean(drawn) == pytest.approx(0.41, abs=0.02)
    assert np.std(drawn) == pytest.approx(0.23, abs=0.02)
