"""Small sound files of every format that is read, to be made unsound."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from pydicom.uid import RLELossless

from tests.data.pictures.test_arrays import rotated, save_dicom
from tests.data.pictures.test_clips import save_clip
from tests.data.pictures.test_dicom import region, save_lossless
from tests.data.pictures.test_volumes import SAVE as SAVE_VOLUME

GREY = np.random.default_rng(0).integers(0, 256, (24, 32), dtype=np.uint8)
DEEP = GREY.astype(np.uint16) * 200
COLOUR = np.dstack([GREY, 255 - GREY, GREY // 2])
SLICES = np.stack([GREY, 255 - GREY])

Write = Callable[[Path], object]


def _saved(pixels: np.ndarray, mode: str = "", **how: Any) -> Write:
    def write(path: Path) -> None:
        image = Image.fromarray(pixels)
        (image.convert(mode) if mode else image).save(path, **how)

    return write


def _pages(**how: Any) -> Write:
    others = [Image.fromarray(255 - GREY), Image.fromarray(GREY // 2)]
    return lambda path: Image.fromarray(GREY).save(path, save_all=True, append_images=others, **how)


def _array(pixels: np.ndarray) -> Write:
    return lambda path: np.save(path, pixels)


def _dicom(pixels: np.ndarray, **tags: Any) -> Write:
    return lambda path: save_dicom(path, pixels, **tags)


def _run_length_dicom(path: Path) -> None:
    import pydicom

    save_dicom(path, SLICES)
    data = pydicom.dcmread(path)
    data.compress(RLELossless)
    data.save_as(path)


def _palette_dicom(path: Path) -> None:
    table = np.arange(256, dtype="<u2").tobytes()
    tags: dict[str, Any] = {}
    for colour in ("Red", "Green", "Blue"):
        tags[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tags[f"{colour}PaletteColorLookupTableData"] = table
    save_dicom(path, GREY, photometric="PALETTE COLOR", **tags)


def _volume(slices: np.ndarray, name: str) -> Write:
    return lambda path: SAVE_VOLUME[name](path, slices)


def _fractions_of_64_bits(path: Path) -> None:
    """Which Pillow does not write."""
    cv2.imwrite(str(path), GREY / 255)


FLOATS = (GREY / 255).astype(np.float32)
# By format: names, each with what writes such a file.
PICTURES: dict[str, list[tuple[str, Write]]] = {
    "PNG": [
        ("a.png", _saved(GREY)),
        ("a.png", _saved(DEEP)),
        ("a.png", _saved(COLOUR, "P")),
        ("a.png", _saved(COLOUR, "RGBA")),
        ("a.png", rotated(GREY, 6)),
    ],
    "JPEG": [
        ("a.jpg", _saved(GREY)),
        ("a.jpg", _saved(COLOUR, progressive=True)),
        ("a.jpg", rotated(GREY, 6)),
    ],
    "TIFF": [
        ("a.tif", _saved(GREY)),
        ("a.tif", _saved(DEEP, compression="tiff_deflate")),
        ("a.tif", _saved(COLOUR, compression="tiff_lzw")),
        ("a.tif", _saved(GREY, compression="packbits")),
        ("a.tif", _saved(COLOUR, compression="jpeg")),
        ("a.tif", _saved(GREY, "1", compression="group4")),
        ("a.tif", _saved(FLOATS)),
        ("a.tif", _fractions_of_64_bits),
        ("a.tif", _pages()),
        ("a.tif", _pages(big_tiff=True, compression="tiff_lzw")),
    ],
    "BMP": [("a.bmp", _saved(GREY)), ("a.bmp", _saved(COLOUR))],
    "GIF": [("a.gif", _saved(GREY)), ("a.gif", _pages())],
    "WebP": [("a.webp", _saved(COLOUR)), ("a.webp", _saved(COLOUR, lossless=True))],
    "PGM": [("a.pgm", _saved(GREY)), ("a.pgm", _saved(DEEP))],
    "npy": [("a.npy", _array(GREY)), ("a.npy", _array(FLOATS)), ("a.npy", _array(DEEP))],
    "DICOM": [
        ("a.dcm", _dicom(GREY)),
        ("a.dcm", _dicom(SLICES, SequenceOfUltrasoundRegions=[region()])),
        ("a.dcm", _dicom(DEEP, WindowCenter="500", WindowWidth="900", RescaleSlope="0.5")),
        ("a.dcm", _dicom(COLOUR, photometric="RGB")),
        ("a.dcm", _palette_dicom),
    ],
    "DICOM, compressed": [
        ("a.dcm", _run_length_dicom),
        ("a.dcm", lambda path: save_lossless(path, [GREY, 255 - GREY])),
    ],
    "NIfTI": [
        ("a.nii", _volume(SLICES, "a.nii")),
        ("a.nii", _volume(SLICES.astype(np.float32), "a.nii")),
        ("a.nii.gz", _volume(SLICES, "a.nii.gz")),
    ],
    "NRRD": [
        ("a.nrrd", _volume(SLICES, "a.nrrd")),
        ("a.nhdr", _volume(SLICES, "a.nhdr")),
    ],
    "MetaImage": [
        ("a.mha", _volume(SLICES, "a.mha")),
        ("a.mhd", _volume(SLICES.astype(np.uint16), "a.mhd")),
    ],
}
VIDEOS: list[tuple[str, Write]] = [
    (f"a{suffix}", save_clip) for suffix in (".mp4", ".avi", ".mkv", ".webm", ".mpg")
]


def contents(seeds: list[tuple[str, Write]], folder: Path) -> list[tuple[str, bytes]]:
    """The name and the bytes of each; files beside it, such as a volume's data, stay there."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for name, write in seeds:
        write(folder / name)
        found.append((name, (folder / name).read_bytes()))
        (folder / name).unlink()
    return found
