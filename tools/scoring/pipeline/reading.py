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

PICTURES = {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".pgm"}
VIDEOS, DICOMS = {".mp4", ".avi", ".mov"}, {".dcm", ".dicom"}
JPEG, PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
# Tags of a TIFF; WHITE_IS_ZERO is a value of PHOTOMETRIC.
PHOTOMETRIC, STARTS, LENGTHS, WHITE_IS_ZERO = 262, 273, 279, (0,)

Array = np.ndarray[Any, np.dtype[Any]]


class Unusable(Exception):
    """A file that cannot be used; the message says why."""


class Image(NamedTuple):
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


def images_in(path: Path, bits: int) -> Iterator[Image]:
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
        yield Image(path.stem, f"{origin} {bits}", partial(read_picture, path, bits))


def read_picture(path: Path, bits: int) -> Array:
    """Grey uint8 of a file; `bits` are those that files of more than 8 use."""
    content = path.read_bytes()
    if not is_whole(content):
        raise Unusable("damaged, or its end is missing")
    data = np.frombuffer(content, np.uint8)
    try:
        found, pages = cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        found, pages = False, ()
    if not found:
        raise Unusable("not an image of a known format, or damaged")
    if len(pages) > 1:
        raise Unusable(f"{len(pages)} pictures in one file: save each as its own")
    if content.startswith(JPEG):
        flags = cv2.IMREAD_COLOR, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        shown, stored = (np.asarray(cv2.imdecode(data, flag)) for flag in flags)
        if not np.array_equal(shown, stored):
            raise Unusable("is stored rotated (EXIF orientation): save it upright")
    grey = to_grey(pages[0], bits)
    # OpenCV turns such a TIFF round where it has 8 bits, and not where it has 16.
    deep = pages[0].dtype != np.uint8
    return 255 - grey if deep and tiff_tags(content).get(PHOTOMETRIC) == WHITE_IS_ZERO else grey


def is_whole(content: bytes) -> bool:
    """Whether a picture's end is there; where it is not, OpenCV fills the rest with grey."""
    if content.startswith(JPEG):
        return content.rstrip(b"\0\r\n ").endswith(b"\xff\xd9")
    if content.startswith(PNG):
        return has_sound_chunks(content)
    if content.startswith(b"BM"):
        return len(content) >= int.from_bytes(content[2:6], "little")
    if content.startswith(b"RIFF"):
        return len(content) >= int.from_bytes(content[4:8], "little") + 8
    if content.startswith((b"II", b"MM")):
        tags = tiff_tags(content)
        strips = zip(tags.get(STARTS, ()), tags.get(LENGTHS, ()), strict=False)
        return bool(tags) and all(start + length <= len(content) for start, length in strips)
    return True


def has_sound_chunks(content: bytes) -> bool:
    """Whether the parts of a PNG have the sums they state, up to the last one, IEND."""
    at = len(PNG)
    while at + 12 <= len(content):
        end = at + 8 + int.from_bytes(content[at : at + 4])
        if zlib.crc32(content[at + 4 : end]) != int.from_bytes(content[end : end + 4]):
            return False
        if content[at + 4 : at + 8] == b"IEND":
            return True
        at = end + 4
    return False


def tiff_tags(content: bytes) -> dict[int, tuple[int, ...]]:
    """The whole numbers of the first directory; none where a part of it is outside of the file."""
    order, tags = "<" if content.startswith(b"II") else ">", {}
    try:
        (start,) = struct.unpack_from(f"{order}I", content, 4)
        (count,) = struct.unpack_from(f"{order}H", content, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, numbers, where = struct.unpack_from(f"{order}HHII", content, at)
            if kind in (3, 4):  # of 16 bits, of 32
                layout = f"{order}{numbers}{'H' if kind == 3 else 'I'}"
                place = at + 8 if struct.calcsize(layout) <= 4 else where
                tags[tag] = struct.unpack_from(layout, content, place)
    except struct.error:
        return {}
    return tags


def to_grey(pixels: Array, bits: int) -> Array:
    """Decoded pixels (height, width[, B G R [A]]) -> uint8."""
    if pixels.ndim == 3:
        if pixels.dtype != np.uint8:
            raise Unusable("has 16 bits a colour: save it as grey, or with 8")
        if pixels.shape[2] == 4 and (pixels[..., 3] < 255).any():
            raise Unusable("has transparent pixels: save it without")
        return luminance(pixels[..., 2::-1])
    if pixels.dtype == np.uint8:
        return pixels
    low, high = pixels.min(), pixels.max()
    if pixels.dtype.kind not in "iu" or low < 0 or high >= 2**16:
        raise Unusable(f"holds values of {low} to {high}: save it as grey of 8 or 16 bits")
    if high >= 2**bits:
        raise Unusable(f"holds values up to {high}: --bits {bits} is too few")
    return to_8_bits(pixels, bits)


def luminance(rgb: Array) -> Array:
    """The sums of ITU-R 601 in 65536ths, as the networks' training images had them.

    Whole numbers below 2**24, thus exact in float32.
    """
    sums = rgb.astype(np.float32) @ np.array([19595, 38470, 7471], np.float32)
    return ((sums + 32768) / 65536).astype(np.uint8)


def to_8_bits(values: Array, bits: int) -> Array:
    scaled = values if bits == 8 else np.rint(values * (255 / (2**bits - 1)))
    return scaled.astype(np.uint8)


def video_frames(path: Path, origin: str) -> Iterator[Image]:
    """Frame k, from 1, as the image NAME_k; Unusable behind the last where frames are missing."""
    capture, number = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG), 0
    told = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    try:
        while (found := capture.read())[0]:
            number += 1
            read = partial(luminance, found[1][..., ::-1])
            yield Image(f"{path.stem}_{number}", f"{origin} {number}", read, clip=True)
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


def dicom_frames(path: Path, origin: str) -> Iterator[Image]:
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
        yield Image(name, f"{origin} {k}", partial(read_dicom, path, k), clip=count > 1)


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
    except Exception as error:  # what it and its decoders raise has no common base
        reason = str(error).partition("\n")[0]
        raise Unusable(f"not a DICOM image that can be read ({reason})") from None
    if pixels.ndim == 3:
        return luminance(pixels)
    bits = int(header.BitsStored)
    values = pixels.astype(np.int64) + (2 ** (bits - 1) if header.PixelRepresentation else 0)
    grey = to_8_bits(values, bits)
    return 255 - grey if kind == "MONOCHROME1" else grey
