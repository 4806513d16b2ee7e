"""DICOM files -> their values, frame by frame."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.pixels import apply_color_lut, pixel_array

SUFFIXES = {".dcm", ".dicom"}


class DicomError(Exception):
    """A file that cannot be read; the message says why."""


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


def frames_and_person(path: Path) -> tuple[int, str]:
    """How many frames there are, and the PatientID; 1 and "" for a file that cannot be read."""
    try:
        tags = ["NumberOfFrames", "PatientID"]
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)
        count = int(header.get("NumberOfFrames") or 1)
        return count, str(header.get("PatientID") or "").strip()
    except Exception:  # what it raises has no common base; reading the pixels tells what is wrong
        return 1, ""


def pixels_of(path: Path, frame: int) -> tuple[npt.NDArray[Any], int]:
    """Grey values from 0 (black) up, int64 (height, width), and their bits; or colours, and 8.

    Colours are uint8 (height, width, 3). Raises DicomError, or FileNotFoundError.
    """
    try:
        header = pydicom.Dataset()
        pixels = pixel_array(str(path), index=frame, ds_out=header)
        return _values(pixels, header)
    except FileNotFoundError:
        raise
    except Exception as error:  # what it and its decoders raise has no common base
        raise DicomError(str(error).partition("\n")[0]) from None


def _values(pixels: npt.NDArray[Any], header: pydicom.Dataset) -> tuple[npt.NDArray[Any], int]:
    if header.PhotometricInterpretation == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, header)
        if pixels.max() > 255:  # old scanners state 16 bits and use 8
            pixels = pixels >> 8
        pixels = pixels.astype(np.uint8)
    if pixels.ndim == 3:
        return pixels, 8
    bits = int(header.BitsStored)
    values = pixels.astype(np.int64) + (2 ** (bits - 1) if header.PixelRepresentation else 0)
    if header.PhotometricInterpretation == "MONOCHROME1":  # its lowest value is white
        values = 2**bits - 1 - values
    return values, bits
