"""Videos of every suffix that is read."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from lib.data.pictures.arrays import image_files, read_image
from lib.data.pictures.clips import ESTIMATED, SUFFIXES, frames_of
from lib.runtime.errors import InputError

CODES = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".avi": "MJPG", ".mkv": "MJPG"}
CODES |= {".webm": "VP80", ".mpg": "PIM1", ".mpeg": "PIM1"}
GREYS = [40, 70, 100, 130, 160, 190]


def save_clip(path: Path) -> Path:
    """Each frame of one grey, in the form that the suffix stands for."""
    written = path.with_suffix(".mp4") if path.suffix == ".m4v" else path
    code = cv2.VideoWriter.fourcc(*CODES[path.suffix])
    writer = cv2.VideoWriter(str(written), cv2.CAP_FFMPEG, code, 25.0, (64, 48))
    if not writer.isOpened():
        pytest.skip(f"this OpenCV writes no {path.suffix}")
    for grey in GREYS:
        writer.write(np.full((48, 64, 3), grey, dtype=np.uint8))
    writer.release()
    return written.rename(path)


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_every_suffix_is_a_clip_of_all_its_frames(tmp_path: Path, suffix: str) -> None:
    folder = frames_of(save_clip(tmp_path / f"clip{suffix}"), tmp_path / "frames")
    files = image_files(folder)
    means = [read_image(files[f"clip_{k}"]).mean() for k in range(1, len(GREYS) + 1)]
    assert len(list(folder.iterdir())) == len(GREYS)
    assert means == pytest.approx(GREYS, abs=4)


def test_a_clip_whose_header_tells_more_frames_is_refused_or_taken_as_far_as_it_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = save_clip(tmp_path / "clip.avi")
    data = bytearray(clip.read_bytes())
    struct.pack_into("<I", data, data.find(b"avih") + 24, len(GREYS) + 3)
    struct.pack_into("<I", data, data.find(b"strh") + 40, len(GREYS) + 3)
    clip.write_bytes(data)
    with pytest.raises(InputError, match=r"only 6 of its 9 frames .* quarantine=true"):
        frames_of(clip, tmp_path / "frames")
    folder = frames_of(clip, tmp_path / "frames", incomplete=True)
    assert len(list(folder.iterdir())) == len(GREYS)
    assert "only 6 of its 9 frames" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", sorted(ESTIMATED | {".m4v"}))
def test_a_text_by_the_name_of_a_clip_is_refused(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"clip{suffix}").write_text("not a video")
    with pytest.raises(InputError, match=r"not a video that can be read|no frame of it"):
        frames_of(tmp_path / f"clip{suffix}", tmp_path / "frames")


def test_a_matroska_clip_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    clip = save_clip(tmp_path / "clip.mkv")
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    with pytest.raises(InputError, match=r"only \d of its 5 frames|not a video"):
        frames_of(clip, tmp_path / "frames")
