"""Headers that tell more than a file holds, or a picture that fills the memory: refused at once."""

import bz2
import os
import re
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from lib.data.pictures.arrays import (
    ImageFile,
    UnusableImage,
    files_of_image,
    images_of_file,
    raw_values,
    read_picture,
)
from lib.data.pictures.clips import frames_of
from lib.data.pictures.dicom import MOST_PIXELS
from lib.data.pictures.tree import tree_of
from lib.runtime.errors import InputError
from tests.data.pictures.test_arrays import PIXELS, save_dicom
from tests.data.pictures.test_clips import save_clip
from tests.data.pictures.test_dicom import save_lossless
from tests.data.pictures.test_rasters import tiff
from tests.data.pictures.test_volumes import save_nifti, save_nrrd

MEMORY = 50 << 20  # bytes
SIDE = 100_000


def png(path: Path, side: int = SIDE) -> None:
    content = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(99))), (b"IEND", b"")):
        content += struct.pack(">I", len(data)) + name + data
        content += struct.pack(">I", zlib.crc32(name + data))
    path.write_bytes(content)


def large_tiff(path: Path) -> None:
    content = tiff(path, PIXELS, 1).read_bytes()
    for tag in (256, 257):
        at = content.index(struct.pack("<HHI", tag, 4, 1)) + 8
        content = content[:at] + struct.pack("<I", SIDE) + content[at + 4 :]
    path.write_bytes(content)


def large_fractions(path: Path, side: int = 9000) -> None:
    """Of 64 bits, packed by zlib: each row is the same few bytes."""
    row = zlib.compress(bytes(8 * side))
    starts, lengths = (struct.pack("<I", value) * side for value in (8, len(row)))
    at = 8 + len(row)
    tags = [(256, 1, side), (257, 1, side), (258, 1, 64), (259, 1, 8), (262, 1, 1), (273, side, at)]
    tags += [(277, 1, 1), (278, 1, 1), (279, side, at + 4 * side), (339, 1, 3)]
    entries = b"".join(struct.pack("<HHII", tag, 4, count, value) for tag, count, value in tags)
    head = b"II*\0" + struct.pack("<I", at + 8 * side)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    path.write_bytes(head + row + starts + lengths + directory)


def array(path: Path) -> None:
    np.save(path, PIXELS)
    told = f"{PIXELS.shape}".encode()
    path.write_bytes(path.read_bytes().replace(told, b"(1000000, 1000000)"[: len(told) + 10]))


def nifti(path: Path, sizes: tuple[int, ...] = (3, 30_000, 30_000, 30_000)) -> None:
    save_nifti(path, np.stack([PIXELS, PIXELS]))
    content = bytearray(path.read_bytes())
    struct.pack_into(f"<{len(sizes)}h", content, 40, *sizes)
    path.write_bytes(content)


def dicom(path: Path, **tags: object) -> None:
    save_dicom(path, np.stack([PIXELS, PIXELS]))
    data = pydicom.dcmread(path)
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path)


def nrrd(path: Path, sizes: bytes = b"9000 9000 9000") -> None:
    save_nrrd(path, np.stack([PIXELS, PIXELS]))
    own = b" ".join(str(n).encode() for n in (*PIXELS.shape[::-1], 2))
    path.write_bytes(path.read_bytes().replace(b"sizes: " + own, b"sizes: " + sizes))


def bomb(path: Path, encoding: bytes = b"gzip") -> None:
    pack = bz2.compress if encoding == b"bzip2" else _gzip
    head = b"NRRD0004\ntype: uint8\ndimension: 2\nsizes: 8 8\nencoding: " + encoding + b"\n\n"
    path.write_bytes(head + pack(bytes(200 << 20)))


def _gzip(data: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    return packer.compress(data) + packer.flush()


def meta(path: Path, name: str = "LOCAL") -> None:
    told = "NDims = 3\nDimSize = 30000 30000 30000\nElementType = MET_UCHAR\n"
    path.write_text(f"{told}ElementDataFile = {name}\n")


LIES: list[tuple[str, Callable[[Path], object], str]] = [
    ("a.png", png, "67,108,864 pixels: save it smaller"),
    ("a.png", lambda path: png(path, 9000), "is 9000 x 9000, more than 67,108,864 pixels"),
    ("a.tif", large_tiff, "67,108,864 pixels: save it smaller"),
    ("a.tif", large_fractions, "is 9000 x 9000, more than 67,108,864 pixels: save it smaller"),
    ("a.npy", array, "not an array that can be read"),
    ("a.nii", nifti, "more than 536,870,912 values: save it as several files"),
    ("a.nii", lambda path: nifti(path, (3, 500, 500, 500)), "too short for that"),
    ("a.nii.gz", lambda path: save_nifti(path, np.zeros((2, 9, 9), np.uint8)), ""),
    ("a.dcm", lambda path: dicom(path, NumberOfFrames=2**31 - 1), "2,147,483,647 frames"),
    ("a.dcm", lambda path: dicom(path, Rows=60_000, Columns=60_000), "save it smaller"),
    ("a.dcm", lambda path: dicom(path, NumberOfFrames=-5), "-5 frames"),
    ("a.nrrd", nrrd, "save it as several files"),
    ("a.nrrd", lambda path: nrrd(path, b"900 900 500"), "too short for that"),
    ("a.nrrd", bomb, "unpacks to more than its header tells"),
    ("a.nrrd", lambda path: bomb(path, b"bzip2"), "unpacks to more than its header tells"),
    ("a.mha", meta, "save it as several files"),
]


@pytest.mark.filterwarnings("ignore:Image size:PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("name", "write", "told"), LIES)
def test_a_header_that_tells_too_much_is_refused_before_memory_is_taken(
    tmp_path: Path, name: str, write: Callable[[Path], object], told: str
) -> None:
    write(tmp_path / name)
    tracemalloc.start()
    images = images_of_file(tmp_path / name)
    for read in (read_picture, lambda file: raw_values(file.path, file.frame)):
        if told:
            with pytest.raises(UnusableImage, match=told):
                read(images[0])
        else:
            read(images[0])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(images) <= 2
    assert peak < MEMORY


def test_frames_of_a_compressed_loop_are_not_more_than_it_holds(tmp_path: Path) -> None:
    path = save_lossless(tmp_path / "a.dcm", [PIXELS, PIXELS])
    data = pydicom.dcmread(path)
    data.NumberOfFrames = 10**9
    data.save_as(path)
    assert len(images_of_file(path)) == 1
    with pytest.raises(UnusableImage, match="1,000,000,000 frames, which are more than it can"):
        read_picture(ImageFile(path))


def test_pixels_of_another_size_than_the_header_tells_are_refused(tmp_path: Path) -> None:
    path = save_lossless(tmp_path / "a.dcm", [PIXELS, PIXELS])
    data = pydicom.dcmread(path)
    data.Rows = 8
    data.save_as(path)
    with pytest.raises(UnusableImage, match="another size than its pixels"):
        read_picture(ImageFile(path, 0))


def test_the_size_of_a_loop_is_checked_once_until_its_file_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real, checks = tmp_path / "a.dcm", pydicom.dcmread, list[str]()

    def dcmread(file: Any, **how: Any) -> pydicom.Dataset:
        checks.append(file.name)
        return real(file, **how)

    dicom(path)
    monkeypatch.setattr(pydicom, "dcmread", dcmread)
    for frame in (0, 1, 0):
        assert np.array_equal(read_picture(ImageFile(path, frame)).pixels, PIXELS)
    assert len(checks) == 1
    monkeypatch.undo()
    dicom(path, NumberOfFrames=10**6)
    with pytest.raises(UnusableImage, match="1,000,000 frames, which are more than it can hold"):
        read_picture(ImageFile(path, 0))


def test_pictures_of_the_most_pixels_are_read(tmp_path: Path) -> None:
    side = int(MOST_PIXELS**0.5)
    assert side * side == MOST_PIXELS
    Image.new("1", (side, side)).save(tmp_path / "a.png")
    assert read_picture(ImageFile(tmp_path / "a.png")).pixels.shape == (side, side)


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret.raw", "/dev/zero", "pipe"])
@pytest.mark.parametrize("kind", ["a.mhd", "a.nhdr"])
def test_data_of_a_volume_lie_beside_it(tmp_path: Path, kind: str, name: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "secret.raw").write_bytes(bytes(100))
    os.mkfifo(folder / "pipe")
    if kind == "a.mhd":
        meta(folder / kind, name)
    else:
        head = "NRRD0004\ntype: uint8\ndimension: 2\nsizes: 8 8\nencoding: raw\n"
        (folder / kind).write_text(f"{head}data file: {name}\n\n")
    images = images_of_file(folder / kind)
    assert files_of_image(folder / kind) == [folder / kind]
    with pytest.raises(UnusableImage, match="are no file beside it: put both into one folder"):
        read_picture(images[0])


def test_pipes_in_a_folder_of_data_are_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").touch()
    assert tree_of(tmp_path).files == [tmp_path / "b.png"]


def test_a_video_of_an_absurd_size_is_refused(tmp_path: Path) -> None:
    path = save_clip(tmp_path / "a.avi")
    content = bytearray(path.read_bytes())
    struct.pack_into("<ii", content, content.index(b"strf") + 12, 9000, 9000)
    for found in re.finditer(rb"\xff\xc0\0\x11\x08", bytes(content)):  # of the frames' JPEG
        struct.pack_into(">HH", content, found.end(), 9000, 9000)
    path.write_bytes(content)
    with pytest.raises(InputError, match="is 9000 x 9000, more than 67,108,864 pixels"):
        frames_of(path, tmp_path / "frames")
