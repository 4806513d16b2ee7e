"""Files -> grey images, for score.py: pictures, videos and DICOM.

What is damaged, cut off or ambiguous is refused (Unusable), with the reason; nothing is guessed or
filled up. Nothing is written, and of a DICOM file only what its pixels need is read.
"""

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

PICTURES = {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".pgm"}
VIDEOS, DICOMS = {".mp4", ".avi", ".mov"}, {".dcm", ".dicom"}
COLOURS = {"P", "PA", "RGB", "RGBA", "LA", "CMYK", "YCbCr"}  # Pillow's modes
# Tags of a TIFF, the first of them in EXIF too; WHITE_IS_ZERO is a value of PHOTOMETRIC.
ORIENTATION, PHOTOMETRIC, BITS, WHITE_IS_ZERO = 274, 262, 258, 0
# What Pillow's decoders raise for files whose content is not as their format has it.
DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

Array = np.ndarray[Any, np.dtype[Any]]


class Unusable(Exception):
    """A file that cannot be used; the message says why."""


class Input(NamedTuple):
    """One image to be scored."""

    name: str
    origin: str  # a hash of what it was made from
    grey: Callable[[], Array]  # reads it: uint8 (height, width)
    clip: bool = False  # a frame of a video or cine loop, behind the frame before


def files_of(path: Path) -> list[Path]:
    """Of a folder, its images, videos and DICOM files, by name; says what it leaves out."""
    if not path.is_dir():
        return [path]
    files = sorted(f for f in path.iterdir() if f.is_file() and not f.name.startswith("."))
    known = [f for f in files if f.suffix.lower() in PICTURES | VIDEOS or is_dicom(f)]
    if others := len(files) - len(known):
        print(f"{path}: {others} other files, no images by their names, are left out")
    return known or [path]


def images_in(path: Path, bits: int) -> Iterator[Input]:
    """The image of a file, or each frame of it; Unusable where it holds none."""
    if not path.is_file():
        what = "a folder without images" if path.is_dir() else "there is no such file or folder"
        raise Unusable(what)
    with path.open("rb") as file:
        origin = hashlib.file_digest(file, "sha256").hexdigest()
    if path.suffix.lower() in VIDEOS:
        yield from video_frames(path, origin)
    elif is_dicom(path):
        yield from dicom_frames(path, origin)
    else:
        yield Input(path.stem, f"{origin} {bits}", partial(read_picture, path, bits))


def read_picture(path: Path, bits: int) -> Array:
    """Grey uint8 (height, width) of a file; `bits` are those that files of more than 8 use."""
    try:
        with Image.open(path) as image:
            if image.format == "PNG":
                image.verify()  # Pillow checks the sums of a PNG when it is told to
        with Image.open(path) as image:
            refuse_unclear(image)
            return to_grey(image, bits)
    except UnidentifiedImageError:
        raise Unusable("not an image of a known format, or its end is missing") from None
    except DAMAGED as error:
        raise Unusable(f"damaged, or its end is missing ({error})") from None


def refuse_unclear(image: Image.Image) -> None:
    """Unusable where a file can be read in more than one way."""
    if (pages := getattr(image, "n_frames", 1)) > 1:
        raise Unusable(f"{pages} pictures in one file: save each as its own")
    if image.format == "JPEG" and image.getexif().get(ORIENTATION, 1) != 1:
        raise Unusable("is stored rotated (EXIF orientation): save it upright")
    if image.mode not in COLOURS:
        return
    if bits_of_colour(image) > 8:
        raise Unusable("has 16 bits a colour: save it as grey, or with 8")
    if image.has_transparency_data and (np.asarray(image.convert("RGBA"))[..., 3] < 255).any():
        raise Unusable("has transparent pixels: save it without")


def bits_of_colour(image: Image.Image) -> int:
    """As a TIFF or a PNG states them; Pillow reads the upper 8."""
    if isinstance(image, TiffImageFile):
        return max(image.tag_v2.get(BITS, (8,)))
    tiles: Any = getattr(image, "tile", None)
    return 16 if image.format == "PNG" and tiles and "16" in str(tiles[0][3]) else 8


def to_grey(image: Image.Image, bits: int) -> Array:
    """uint8; colours become luminance (ITU-R 601), as the networks' training images had them."""
    if image.mode in COLOURS:
        return np.asarray(image.convert("RGB").convert("L"))
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))
    pixels = np.asarray(image)
    low, high = pixels.min(), pixels.max()
    if pixels.dtype.kind not in "iu" or low < 0 or high >= 2**16:
        raise Unusable(f"holds values of {low} to {high}: save it as grey of 8 or 16 bits")
    if high >= 2**bits:
        raise Unusable(f"holds values up to {high}: --bits {bits} is too few")
    grey = to_8_bits(pixels, bits)
    inverted = isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO
    return 255 - grey if inverted else grey


def luminance(rgb: Array) -> Array:
    """uint8 (height, width, 3) -> uint8 (height, width)."""
    return np.asarray(Image.fromarray(rgb).convert("L"))


def to_8_bits(values: Array, bits: int) -> Array:
    scaled = values if bits == 8 else np.rint(values * (255 / (2**bits - 1)))
    return scaled.astype(np.uint8)


def video_frames(path: Path, origin: str) -> Iterator[Input]:
    """Frame k, from 1, as the image NAME_k; Unusable behind the last where frames are missing."""
    capture, number = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG), 0
    told = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    try:
        while (found := capture.read())[0]:
            number += 1
            read = partial(luminance, cv2.cvtColor(found[1], cv2.COLOR_BGR2RGB))
            yield Input(f"{path.stem}_{number}", f"{origin} {number}", read, clip=True)
    finally:
        capture.release()
    if not number:
        raise Unusable("not a video that can be read: convert it to another .mp4")
    if number < told:
        raise Unusable(f"only {number} of its {told} frames can be read: convert it again")


def is_dicom(path: Path) -> bool:
    """By its suffix; scanners often give none, and the letters at byte 128 tell then."""
    if path.suffix.lower() in DICOMS:
        return True
    if path.suffix and not path.suffix[1:].isdigit():
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def dicom_frames(path: Path, origin: str) -> Iterator[Input]:
    try:
        import pydicom
    except ImportError:
        raise Unusable("DICOM needs one more package: python -m pip install pydicom") from None
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE  # it quotes values
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["NumberOfFrames"])
        count = int(header.get("NumberOfFrames") or 1)
    except Exception:  # what it raises has no common base; reading the pixels tells what is wrong
        count = 1
    # A UID for a name ends in .digits, which is no suffix.
    stem = path.name if path.suffix[1:].isdigit() else path.stem
    for k in range(count):
        name = stem if count == 1 else f"{stem}_{k + 1}"
        yield Input(name, f"{origin} {k}", partial(read_dicom, path, k), clip=count > 1)


def read_dicom(path: Path, frame: int) -> Array:
    """Grey uint8 of a frame, from 0, over the whole range of the bits that the file states."""
    from pydicom import Dataset
    from pydicom.pixels import apply_color_lut, pixel_array

    header = Dataset()
    try:
        pixels = pixel_array(str(path), index=frame, ds_out=header)
        kind = header.PhotometricInterpretation
        if kind == "PALETTE COLOR":
            pixels = apply_color_lut(pixels, header)
            pixels = (pixels >> 8 if pixels.max() > 255 else pixels).astype(np.uint8)
        if pixels.ndim == 3:
            return luminance(pixels)
    except Exception as error:  # what it and its decoders raise has no common base
        reason = str(error).partition("\n")[0]
        raise Unusable(f"not a DICOM image that can be read ({reason})") from None
    bits = int(header.BitsStored)
    values = pixels.astype(np.int64) + (2 ** (bits - 1) if header.PixelRepresentation else 0)
    grey = to_8_bits(values, bits)
    return 255 - grey if kind == "MONOCHROME1" else grey
