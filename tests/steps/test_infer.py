"""03_infer.py: cut off, shared out, with views of each image, and on new images without a table."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from lib.artifacts.probabilities import Probabilities
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.data.images_of_test import read_test_table
from lib.data.pictures.arrays import read_image
from lib.data.pictures.clips import frames_of
from lib.inference.pieces import IMAGES_A_PIECE
from lib.runtime.errors import InputError
from tests.conftest import REPOSITORY, configured, settings_in, step, tiny_image, write_competition
from tests.data.pictures.test_arrays import save_dicom
from tests.prepared import Started, in_two

TEST_IMAGES = 2 * IMAGES_A_PIECE + 10

# Stops as a process does that is killed, in the midst of the second piece of the test set.
KILLED = """
import os, sys
from importlib import import_module
from pathlib import Path
from lib.data.layouts import load_settings
import lib.inference.predict

finished = lib.inference.predict.Unfinished.finished
def until(one):
    if one.row == 100:  # of the test set alone
        os._exit(9)
    return finished(one)
lib.inference.predict.Unfinished.finished = until
import_module("03_infer").main(load_settings(Path(sys.argv[1]), sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/ and runs/nerve, whose networks are trained."""
    folder = tmp_path_factory.mktemp("trained")
    write_competition(folder / "data", frames=3, test_images=TEST_IMAGES)
    config = configured(settings_in(folder), "epochs=1", "save_best_checkpoint=true")
    for number in (1, 2):
        step(number).main(config)
    return folder


@pytest.fixture
def words(trained: Path, tmp_path: Path) -> list[str]:
    """Settings of the trained run, in a folder of its own."""
    for name in ("data", "runs"):
        shutil.copytree(trained / name, tmp_path / name)
    return settings_in(tmp_path)


def probabilities(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.npz")}


def test_killed_and_gone_on_with_by_two_processes_the_bytes_are_those_of_one(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(words)
    folder = Run.of(config).folder
    step(3).main(config)
    whole = probabilities(folder)
    assert set(whole) == {"oof_fold0.npz", "oof_fold1.npz", "test.npz"}
    for name in whole:
        (folder / name).unlink()
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    killed = Started(script, str(REPOSITORY / "config.yaml"), *words).ended()
    assert killed.returncode == 9
    assert [path.name for path in folder.glob(".test.npz.*/*.npz")] == ["0.npz"]
    result = in_two(REPOSITORY / "03_infer.py", *words)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("is predicted already") == 2
    assert f"{TEST_IMAGES} images by 2 network(s), {IMAGES_A_PIECE} of them before" in result.stdout
    assert probabilities(folder) == whole
    assert [path.name for path in folder.glob(".*")] == [".lock"]


def test_what_flatters_the_networks_is_told_from_their_own_settings(words: list[str]) -> None:
    config = configured(words, "save_best_checkpoint=false")
    step(3).main(config)
    for name in ("oof_fold0.npz", "test.npz"):
        with Probabilities(Run.of(config).folder / name) as found:
            caveats = found.provenance["caveats"]
        assert len(caveats) == 1
        assert caveats[0]["mark"] == "EPOCH CHOSEN ON THESE IMAGES"


def test_views_are_counted_and_change_the_probabilities(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    few = [*words, f"test={Path(words[0].removeprefix('data=')) / 'test' / '1.tif'}"]
    found = []
    for more in ([], ["test_time_augmentations=[Horizontal flip, Rotation]"]):
        config = configured(few, *more)
        step(3).main(config)
        with Probabilities(Run.of(config).test) as probabilities:
            found.append(probabilities["1"].astype(float))
    assert "4 views of each image, so 4 times the work of one" in capsys.readouterr().out
    assert 0 < np.abs(found[0] - found[1]).mean() < 60


# New images, of the setting `test`


def images_of(path: Path, runs: Path, *more: str) -> list[str]:
    table = read_test_table(new(path, runs, *more))
    assert table is not None
    return table["image"].tolist()


def new(path: Path, runs: Path, *more: str) -> Config:
    return configured([f"test={path}", f"runs_folder={runs}", *more])


def save_video(path: Path, frames: int, code: str = "MJPG") -> Path:
    """Frame k, from 1, is grey of 20 k."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 25, (80, 60))
    for number in range(1, frames + 1):
        writer.write(np.full((60, 80, 3), 20 * number, dtype=np.uint8))
    writer.release()
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images of several kinds: 2.png, 10.tif, and scan.dcm of three frames."""
    path = tmp_path / "new"
    path.mkdir()
    for number, name in enumerate(("10.tif", "2.png")):
        cv2.imwrite(str(path / name), tiny_image(number, nerve=True)[0])
    frames = np.stack([tiny_image(number, nerve=True)[0] for number in range(3)])
    save_dicom(path / "scan.dcm", frames)
    return path


def test_a_folder_and_its_zip_hold_images_of_every_kind_in_their_natural_order(
    folder: Path, tmp_path: Path
) -> None:
    names = ["2", "10", "scan_1", "scan_2", "scan_3"]
    assert images_of(folder, tmp_path / "runs") == names
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    assert images_of(Path(archive), tmp_path / "runs") == names


@pytest.mark.parametrize(
    ("name", "names"), [("2.png", ["2"]), ("scan.dcm", ["scan_1", "scan_2", "scan_3"])]
)
def test_one_file_is_taken_without_those_beside_it(
    folder: Path, tmp_path: Path, name: str, names: list[str]
) -> None:
    assert images_of(folder / name, tmp_path / "runs") == names


@pytest.mark.parametrize(("suffix", "code"), [("avi", "MJPG"), ("mp4", "mp4v"), ("mov", "mp4v")])
def test_the_frames_of_a_video_are_images_in_their_order(
    tmp_path: Path, suffix: str, code: str
) -> None:
    config = new(save_video(tmp_path / f"clip.{suffix}", 11, code), tmp_path / "runs")
    table = read_test_table(config)
    assert table is not None
    assert table["image"].tolist() == [f"clip_{number}" for number in range(1, 12)]
    for number, file in enumerate(table["file"], 1):
        assert read_image(file).mean() == pytest.approx(20 * number, abs=5)
        assert file.path.parent.parent == tmp_path / "runs" / ".unpacked"


def test_a_video_is_taken_apart_once_and_another_of_its_name_anew(tmp_path: Path) -> None:
    video, into = save_video(tmp_path / "clip.avi", 3), tmp_path / "into"
    first = frames_of(video, into)
    times = [path.stat().st_mtime_ns for path in sorted(first.iterdir())]
    assert frames_of(video, into) == first
    assert [path.stat().st_mtime_ns for path in sorted(first.iterdir())] == times
    second = frames_of(save_video(video, 4), into)
    assert second != first
    assert len(list(second.iterdir())) == 4


def test_a_video_that_was_cut_off_is_named_and_taken_as_far_as_it_goes_if_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = save_video(tmp_path / "clip.avi", 7)
    content = video.read_bytes()
    video.write_bytes(content[: int(0.9 * len(content))])
    with pytest.raises(InputError, match=r"clip.avi: only \d of its 7 frames can be read"):
        images_of(video, tmp_path / "runs")
    names = images_of(video, tmp_path / "runs", "quarantine=true")
    assert 0 < len(names) < 7
    assert "CUT SHORT" in capsys.readouterr().out
    with pytest.raises(InputError, match="of its 7 frames"):
        images_of(video, tmp_path / "runs")


def test_what_is_no_video_or_holds_no_frame_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(InputError, match=r"text.mp4: not a video that can be read"):
        images_of(tmp_path / "text.mp4", tmp_path / "runs")
    empty = save_video(tmp_path / "empty.avi", 0)
    with pytest.raises(InputError, match=r"empty.avi: (not a video|no frame of it)"):
        images_of(empty, tmp_path / "runs")


def test_other_files_are_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    for name in ("notes.txt", "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(InputError, match=rf"test=.*{name}: there is no image in it. Known"):
            images_of(tmp_path / name, tmp_path / "runs")
    with pytest.raises(InputError, match="there is no such file or folder"):
        images_of(tmp_path / "nowhere.png", tmp_path / "runs")
    (tmp_path / "broken.zip").write_text("not a zip")
    with pytest.raises(InputError, match=r"broken.zip: not a zip archive"):
        images_of(tmp_path / "broken.zip", tmp_path / "runs")
    save_video(folder / "clip.avi", 2)
    with pytest.raises(InputError, match=r"clip.avi: a video among images: give one by itself"):
        images_of(folder, tmp_path / "runs")


def test_a_video_is_predicted_and_submitted_in_place_of_the_test_set(
    words: list[str], tmp_path: Path
) -> None:
    config = configured(words, f"test={save_video(tmp_path / 'clip.mp4', 11, 'mp4v')}")
    for number in (3, 4):
        step(number).main(config)
    submission = pd.read_csv(Run.of(config).submission, dtype=str)
    assert submission["img"].tolist() == [f"clip_{number}" for number in range(1, 12)]
    with Probabilities(Run.of(config).test) as found:
        assert found["clip_11"].shape == (1, 60, 80)


def test_new_images_that_cannot_be_used_are_listed_or_left_out_and_keep_their_row(
    words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "3.png").write_text("no picture")
    (folder / "notes.dat").write_text("")
    with pytest.raises(InputError, match=r"1 test images of .*new cannot be used.*\n  3: not an"):
        step(3).main(configured(words, f"test={folder}"))
    capsys.readouterr()
    config = configured(words, f"test={folder}", "quarantine=true")
    for number in (3, 4):
        step(number).main(config)
    out = capsys.readouterr().out
    assert "QUARANTINE: 1 test images could not be used and are not predicted" in out
    assert "1 files in" in out
    submission = pd.read_csv(Run.of(config).submission, dtype=str, keep_default_na=False)
    assert submission["img"].tolist() == ["2", "3", "10", "scan_1", "scan_2", "scan_3"]
    assert submission.loc[1, "pixels"] == ""
