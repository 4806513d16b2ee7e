"""A video -> a folder with its frames as pictures, made once."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from lib.data.pictures.arrays import composed
from lib.data.pictures.dicom import MOST_PIXELS
from lib.runtime.errors import InputError
from lib.runtime.files import make_once, sha_of_file
from lib.runtime.progress import progress

ESTIMATED = {".mkv", ".webm", ".mpg", ".mpeg"}  # hold no count of frames, only a duration
SUFFIXES = {".mp4", ".m4v", ".avi", ".mov"} | ESTIMATED
QUICK = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def frames_of(video: Path, into: Path, incomplete: bool = False) -> Path:
    """The folder below `into` with frame k of NAME.mp4 as NAME_k.png, counted from 1.

    Its name ends in a hash of the video. Frames are upright, as a player shows them. InputError for
    a file that is no video, that has no frame, and, unless `incomplete` ones are taken as far as
    they go, one with fewer than it tells.
    """
    folder = into / f"{video.stem}-{sha_of_file(video)}"
    told = _told(video)
    try:
        make_once(folder, lambda new: _write_frames(video, new, told))
    except OSError as error:
        raise InputError(f"{into}: cannot be written ({error.strerror})") from error
    found = sum(1 for _ in folder.iterdir())
    if found < told:
        words = f"{video}: only {found} of its {told} frames can be read"
        if not incomplete:
            raise InputError(f"{words}: convert it again, or take those with quarantine=true")
        print(f"CUT SHORT: {words}")
    return folder


def _told(video: Path) -> int:
    """How many frames there are at least, as the file tells; 0 where it does not say."""
    capture = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise InputError(f"{video}: not a video that can be read: convert it to another .mp4")
        sides = (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH)
        height, width = (int(capture.get(side)) for side in sides)
        if height * width > MOST_PIXELS:
            raise InputError(
                f"{video}: is {height} x {width}, more than {MOST_PIXELS:,} pixels: save it smaller"
            )
        told = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        return max(0, told - (video.suffix.lower() in ESTIMATED))  # a duration may round up
    finally:
        capture.release()


def _write_frames(video: Path, into: Path, told: int) -> None:
    number = 0
    for number, frame in enumerate(progress(_frames(video), video.name, told or None, "frames"), 1):
        png = cv2.imencode(".png", frame, QUICK)[1]
        (into / f"{composed(video.stem)}_{number}.png").write_bytes(png.tobytes())
    if not number:
        raise InputError(f"{video}: no frame of it can be read: convert it to another .mp4")


def _frames(video: Path) -> Iterator[np.ndarray]:
    """(height, width, 3) uint8."""
    capture = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG)
    try:
        while True:
            there, frame = capture.read()
            if not there:
                return
            yield frame
    finally:
        capture.release()
