"""DICOM files -> their values, frame by frame, and what their headers tell.

It needs no other module of the project: tools/scoring/export.py copies it into scoring pipelines.
"""

import os
import re
from collections.abc import Callable
from functools import lru_cache
from io import BufferedReader, BytesIO, FileIO
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.encaps import generate_frames
from pydicom.pixels import apply_color_lut, pixel_array
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLossless,
    JPEGLosslessSV1,
)

SUFFIXES = {".dcm", ".dicom"}
TISSUE, PLANE, CENTIMETRES = 1, 1, 3  # values of the tags of a region
SCREEN = 0.9  # a region of a smaller share of the picture is one of a scanner's screen
NEEDED = ["NumberOfFrames", "PixelData", "PhotometricInterpretation", "PixelRepresentation"]
NEEDED += ["SamplesPerPixel", "Rows", "Columns", "BitsAllocated", "BitsStored"]  # by lossless JPEG
SIZE = ("NumberOfFrames", "Rows", "Columns", "BitsAllocated")
MOST_PIXELS = 1 << 26  # of a picture of any format: 8192 x 8192
PACKED = 1032  # bytes that one of a deflated file can stand for
ITEM = 8  # bytes that a compressed frame has at least
LONGEST = 300  # characters of a message
ENOUGH = 1 << 13  # bytes that may be asked for without a look at how many there are

Result = TypeVar("Result")


class DicomError(Exception):
    """A file that cannot be read; the message says why."""


class Window(NamedTuple):
    """Which values are shown as black and which as white (DICOM PS3.3, C.11.2.1)."""

    centre: float
    width: float
    function: str  # LINEAR, LINEAR_EXACT or SIGMOID
    slope: float  # of the values that it is told in, of those that are stored
    intercept: float


class Frame(NamedTuple):
    pixels: npt.NDArray[Any]  # as stored (height, width), or colours uint8 (height, width, 3)
    bits: int  # that the file says its values have
    signed: bool = False
    white_first: bool = False  # the lowest value is white
    window: Window | None = None


def is_dicom(path: Path) -> bool:
    """By its suffix; scanners often give none, and the letters at byte 128 tell then."""
    if path.suffix.lower() in SUFFIXES:
        return True
    if path.suffix and not path.suffix[1:].isdigit():  # a UID for a name ends in .digits
        return False
    if not path.is_file():  # but a link to nowhere
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def frames_in(path: Path) -> int:
    """How many there are; 1 for a file that cannot be read."""
    return _told(path, SIZE, lambda header: _count_in(header, path), 1)


def frames_and_person(path: Path) -> tuple[int, str]:
    """How many frames there are, and the PatientID; "" where nobody is named."""
    person = _told(path, ("PatientID",), lambda header: str(header.get("PatientID") or ""), "")
    return frames_in(path), person.strip()


def size_of(path: Path) -> tuple[int, int] | None:
    """Height and width; None where the file does not tell."""
    return _told(path, ("Rows", "Columns"), lambda one: (int(one.Rows), int(one.Columns)), None)


def says_burnt_in(path: Path) -> bool:
    """Whether the file tells that who is on it is written in its pixels."""
    tags = ("BurnedInAnnotation",)
    return _told(path, tags, lambda one: str(one.get(tags[0])).strip().upper() == "YES", False)


def spacing_of(path: Path) -> tuple[float, float] | None:
    """Millimetres a pixel, down and across; None where the file does not tell, or tells several."""
    return _told(path, ("PixelSpacing", "SequenceOfUltrasoundRegions"), _spacing_in, None)


def _count_in(header: pydicom.Dataset, path: Path) -> int:
    """DicomError where they are more, or larger, than a file of that size can hold."""
    count, rows, columns, bits = (int(header.get(name) or 1) for name in SIZE)
    if rows * columns > MOST_PIXELS:
        raise DicomError(
            f"is {rows} x {columns}, more than {MOST_PIXELS:,} pixels: save it smaller"
        )
    syntax = UID(header.file_meta.get("TransferSyntaxUID") or "")
    frame = (
        ITEM if syntax.is_transfer_syntax and syntax.is_compressed else rows * columns * bits / 8
    )
    most = PACKED if syntax == DeflatedExplicitVRLittleEndian else 1
    if count != 1 and not 0 < count * frame <= path.stat().st_size * most:
        raise DicomError(f"tells of {count:,} frames, which are more than it can hold")
    return count


def _spacing_in(header: pydicom.Dataset) -> tuple[float, float] | None:
    if told := header.get("PixelSpacing"):
        return float(told[0]), float(told[1])
    found = {
        (abs(float(region.PhysicalDeltaY)) * 10, abs(float(region.PhysicalDeltaX)) * 10)
        for region in header.get("SequenceOfUltrasoundRegions") or []
        if region.get("PhysicalUnitsXDirection") == CENTIMETRES
        and region.get("PhysicalUnitsYDirection") == CENTIMETRES
    }
    return found.pop() if len(found) == 1 else None


def region_of(path: Path) -> tuple[int, int, int, int] | None:
    """Where a scanner's screen shows the tissue: pixels[top:bottom, left:right].

    None where the file tells of no such region, of several, or of one of nearly all the picture.
    """
    return _told(path, ("Rows", "Columns", "SequenceOfUltrasoundRegions"), _region_in, None)


def _region_in(header: pydicom.Dataset) -> tuple[int, int, int, int] | None:
    found = [
        region
        for region in header.get("SequenceOfUltrasoundRegions") or []
        if (region.get("RegionSpatialFormat"), region.get("RegionDataType")) == (PLANE, TISSUE)
    ]
    if len(found) != 1:
        return None
    names = ("MinY0", "MaxY1", "MinX0", "MaxX1")
    top, bottom, left, right = (int(found[0].get(f"RegionLocation{name}", 0)) for name in names)
    whole = int(header.get("Rows", 0)) * int(header.get("Columns", 0))
    area = (bottom + 1 - top) * (right + 1 - left)
    return (top, bottom + 1, left, right + 1) if 0 < area < SCREEN * whole else None


class _File(BufferedReader):
    """A file that makes no room for more than it has, whatever length a header tells."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > ENOUGH:
            size = min(size, os.fstat(self.fileno()).st_size)
        return super().read(size)


def _opened(path: Path) -> _File:
    """And pydicom will not quote values in warnings: they may be of a person."""
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    return _File(FileIO(path))


def _told(
    path: Path,
    tags: tuple[str, ...],
    read: Callable[[pydicom.Dataset], Result],
    otherwise: Result,
) -> Result:
    """What `read` makes of the header with those of the tags that it has; else `otherwise`."""
    try:
        with _opened(path) as file:
            return read(pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(tags)))
    except Exception:  # what it raises has no common base; reading the pixels tells what is wrong
        return otherwise


def frame_of(path: Path, frame: int) -> Frame:
    """A frame, from 0. Raises DicomError, or FileNotFoundError."""
    try:
        header = pydicom.Dataset()
        _require_room(path, *_state_of(path))
        try:
            with _opened(path) as file:
                pixels = pixel_array(file, index=frame, ds_out=header)
        except RuntimeError as error:
            if "missing dependencies" not in str(error):
                raise
            pixels, header = _without_a_plugin(path, frame)
        return _described(pixels, header)
    except (FileNotFoundError, DicomError):
        raise
    except Exception as error:  # what it and its decoders raise has no common base
        raise DicomError(_without_values(error)) from None


def _without_values(error: Exception) -> str:
    """The first line of its message; what it quotes may be the name of a person."""
    line = str(error).partition("\n")[0]
    return re.sub(r"'.*'|\".*\"", "…", line)[:LONGEST] or type(error).__name__


def _state_of(path: Path) -> tuple[int, int]:
    """Another one where the file was written anew."""
    about = path.stat()
    return about.st_mtime_ns, about.st_size


@lru_cache(maxsize=16)
def _require_room(path: Path, _modified: int, _size: int) -> None:
    """Kept for the frames of one loop, which follow each other."""
    with _opened(path) as file:
        _count_in(pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(SIZE)), path)


def _without_a_plugin(path: Path, frame: int) -> tuple[npt.NDArray[Any], pydicom.Dataset]:
    """A frame of lossless JPEG of 8 bits, which Pillow decodes too, though pydicom does not ask."""
    frames, header = _encoded(path, *_state_of(path))
    syntax = header.file_meta.TransferSyntaxUID
    plain = header.PhotometricInterpretation in ("MONOCHROME1", "MONOCHROME2", "RGB")
    if syntax in (JPEGLossless, JPEGLosslessSV1) and plain and header.BitsAllocated == 8:
        try:
            with Image.open(BytesIO(frames[frame])) as image:
                if (image.height, image.width) != (header.Rows, header.Columns):
                    raise DicomError("its header tells another size than its pixels")
                if image.mode in ("L", "RGB"):
                    return np.asarray(image), header
        except OSError:  # a Pillow that cannot do it
            pass
    more = "pylibjpeg-openjpeg" if syntax in JPEG2000TransferSyntaxes else "pylibjpeg-libjpeg"
    raise DicomError(f"{syntax.name} needs a decoder: python -m pip install pylibjpeg {more}")


@lru_cache(maxsize=2)
def _encoded(path: Path, _modified: int, _size: int) -> tuple[list[bytes], pydicom.Dataset]:
    """The frames as they lie in the file, and its header; kept for the frames of one loop."""
    with _opened(path) as file:
        data = pydicom.dcmread(file, specific_tags=NEEDED)
    count = int(data.get("NumberOfFrames") or 1)
    return list(generate_frames(data.PixelData, number_of_frames=count)), data


def _described(pixels: npt.NDArray[Any], header: pydicom.Dataset) -> Frame:
    kind = header.PhotometricInterpretation
    if kind == "PALETTE COLOR":
        pixels = _of_palette(pixels, header)
    if pixels.ndim == 3:
        return Frame(pixels, 8)
    signed = bool(header.PixelRepresentation)
    return Frame(pixels, int(header.BitsStored), signed, kind == "MONOCHROME1", _window_of(header))


def _of_palette(pixels: npt.NDArray[Any], header: pydicom.Dataset) -> npt.NDArray[np.uint8]:
    every = np.arange(2 ** int(header.BitsAllocated)).astype(pixels.dtype)
    colours = apply_color_lut(pixels, header)
    if apply_color_lut(every, header).max() > 255:  # old scanners state 16 bits and use 8
        colours = colours >> 8
    return colours.astype(np.uint8)


def _window_of(header: pydicom.Dataset) -> Window | None:
    """The first of several."""
    centre, width = (_first(header.get(tag)) for tag in ("WindowCenter", "WindowWidth"))
    function = str(header.get("VOILUTFunction") or "LINEAR")
    if centre is None or width is None or width < (1 if function == "LINEAR" else 1e-9):
        return None
    slope, intercept = (_first(header.get(f"Rescale{tag}")) for tag in ("Slope", "Intercept"))
    return Window(centre, width, function, 1.0 if slope is None else slope, intercept or 0.0)


def _first(told: Any) -> float | None:
    if told is None or isinstance(told, str) or not hasattr(told, "__len__"):
        return None if told in (None, "") else float(told)
    return float(told[0]) if len(told) else None


def shown(frame: Frame, bits: int) -> tuple[npt.NDArray[np.uint8], int]:
    """Grey of 8 bits, and the highest value of those that were scaled from more; 0 of others.

    More than 8 bits are shown through the window, where there is one. Else they are scaled from
    their depth, or from `bits` where those are fewer; a value above is as wrong as they are.
    """
    if frame.window and frame.bits > 8:
        grey, high = _through(frame.window, frame.pixels), 0
    else:
        values = frame.pixels.astype(np.int64)
        values += 2 ** (frame.bits - 1) if frame.signed else 0
        high = int(values.max()) if frame.bits > 8 else 0
        grey = _scaled(values, depth_of(frame, bits))
    return 255 - grey if frame.white_first else grey, high


def depth_of(frame: Frame, bits: int) -> int:
    """The bits that grey is scaled from, where no window is told."""
    return min(frame.bits, bits) if frame.bits > 8 else frame.bits


def _scaled(values: npt.NDArray[np.int64], bits: int) -> npt.NDArray[np.uint8]:
    if bits == 8:
        return values.astype(np.uint8)
    return np.rint(values * (255 / (2**bits - 1))).astype(np.uint8)


def _through(window: Window, stored: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """0 to 255, the formulas of DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3."""
    values = stored.astype(np.float64) * window.slope + window.intercept
    centre, width = window.centre, window.width
    if window.function == "SIGMOID":
        share = 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700)))
    elif window.function == "LINEAR_EXACT":
        share = (values - centre) / width + 0.5
    else:  # a width of 1 is a step
        share = (values - (centre - 0.5)) / max(width - 1, 1e-9) + 0.5
    return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)
