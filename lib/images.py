"""Image and mask files -> arrays, and the refusal of files that would give wrong ones."""

import io
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image, UnidentifiedImageError
from pydicom.pixels import apply_color_lut, pixel_array

from lib.artifacts import sha_of
from lib.config import InputError

PICTURE_SUFFIXES = {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".pgm"}
DICOM_SUFFIXES = {".dcm", ".dicom"}
MASK_SUFFIX = "_mask"
BIT_DEPTHS = (8, 10, 12, 14, 16)
ORIENTATION = 274  # the EXIF tag of a picture that is to be shown rotated or mirrored

Grey = npt.NDArray[np.uint8]


class UnusableImage(Exception):
    """An image file that cannot be used; the message says why, without the image's name."""


class ImageFile(NamedTuple):
    """Where an image is: a file, or one frame of a file."""

    path: Path
    frame: int | None = None  # of a DICOM cine loop, from 0; None for a file of one image
    subject: str = ""  # a number for the person that the file names, never the name itself


class Picture(NamedTuple):
    pixels: Grey  # (height, width)
    kind: str  # what the file held, such as "16-bit grey"


def image_files(folder: Path) -> dict[str, ImageFile]:
    """The images of a folder by their name, and by their name without its suffix.

    Frame k of the cine loop NAME.dcm is the image NAME_k, counted from 1. Raises InputError where
    two files would be the same image, for a file system that knows no capital letters too.
    """
    files: dict[str, ImageFile] = {}
    stems: dict[str, Path] = {}
    for file in _images_in(folder):
        stem = stem_of(file)
        if other := stems.get(stem.casefold()):
            raise InputError(f"{other} and {file.path.name}: which one is image {stem}? Keep one")
        stems[stem.casefold()] = file.path
        files[stem] = file
        if file.frame is None:
            files[composed(file.path.name)] = file
    return files


def composed(name: str) -> str:
    """One way to write letters with accents, of which file systems and tables use two."""
    return unicodedata.normalize("NFC", name)


def stem_of(file: ImageFile) -> str:
    """The image's name without suffix."""
    return composed(file.path.stem) + ("" if file.frame is None else f"_{file.frame + 1}")


def read_image(file: ImageFile) -> Grey:
    """Grey image uint8 (height, width); raises UnusableImage for a file that holds none."""
    return read_picture(file).pixels


def read_picture(file: ImageFile) -> Picture:
    """Any file as 8-bit grey, and what it was.

    Colours become luminance (ITU-R 601). 10 to 16 bits are scaled to 8 from the depth that a DICOM
    file states, else from the smallest of BIT_DEPTHS that holds the image's brightest pixel.
    """
    try:
        if _is_dicom(file.path):
            picture = _read_dicom(file)
        else:
            with Image.open(io.BytesIO(file.path.read_bytes())) as image:
                picture = _read_pillow(image)
    except FileNotFoundError:
        raise UnusableImage("the file is missing") from None
    except UnidentifiedImageError:
        raise UnusableImage("not an image of a known format, or its end is missing") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnusableImage(f"damaged or truncated ({error})") from None
    if not picture.pixels.size:
        raise UnusableImage("has no pixels")
    return picture


def read_mask(path: Path) -> Grey:
    """Mask uint8 0/1 (height, width) of a file that holds 0 and one other value.

    JPEG, which blurs edges, is cut at half of the range.
    """
    mask = read_image(ImageFile(path))
    if path.suffix.lower() in (".jpg", ".jpeg"):
        return (mask > 127).astype(np.uint8)
    values = np.unique(mask)
    if not np.isin(values, [0, values[-1]]).all():
        shown = ", ".join(map(str, values[:5]))
        raise UnusableImage(
            f"a mask of 0 and one other value was expected, it holds {shown} ... (several classes: "
            "a folder of masks for each)"
        )
    return (mask != 0).astype(np.uint8)


def sha_of_image(file: ImageFile) -> str:
    """Depends on the file's bytes and on the frame."""
    about = file.path.stat()
    sha = _sha_of_file(file.path, about.st_mtime_ns, about.st_size)
    return sha if file.frame is None else sha_of(f"{sha}/{file.frame}".encode())


@lru_cache(maxsize=16)
def _sha_of_file(path: Path, _modified: int, _size: int) -> str:
    """Kept for the frames of one loop, which follow each other."""
    return sha_of(path.read_bytes())


def _images_in(folder: Path) -> Iterator[ImageFile]:
    people: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.is_dir():
            continue
        if path.suffix.lower() in PICTURE_SUFFIXES:
            yield ImageFile(path)
        elif _is_dicom(path):
            yield from _frames_in(path, people)


def _is_dicom(path: Path) -> bool:
    """By its suffix; scanners often give none, and the letters at byte 128 tell then."""
    if path.suffix.lower() in DICOM_SUFFIXES:
        return True
    if path.suffix and not path.suffix[1:].isdigit():  # a UID for a name ends in .digits
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _frames_in(path: Path, people: dict[str, str]) -> list[ImageFile]:
    """One image a frame. `people` gives each patient a number; the file itself names him."""
    try:
        tags = ["NumberOfFrames", "PatientID", "StudyInstanceUID"]
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)
        count = int(header.get("NumberOfFrames") or 1)
        person = str(header.get("PatientID") or header.get("StudyInstanceUID") or path)
    except Exception:  # what it raises has no common base; reading the pixels tells what is wrong
        return [ImageFile(path)]
    subject = people.setdefault(person, f"p{len(people) + 1}")
    if count == 1:
        return [ImageFile(path, None, subject)]
    return [ImageFile(path, frame, subject) for frame in range(count)]


def _read_dicom(file: ImageFile) -> Picture:
    try:
        header = pydicom.Dataset()
        pixels = pixel_array(str(file.path), index=file.frame or 0, ds_out=header)
        return _dicom_picture(pixels, header)
    except FileNotFoundError:
        raise
    except Exception as error:  # what it and its decoders raise has no common base
        reason = str(error).partition("\n")[0]
        raise UnusableImage(f"not a DICOM image that can be read ({reason})") from None


def _dicom_picture(pixels: npt.NDArray[Any], header: pydicom.Dataset) -> Picture:
    if header.PhotometricInterpretation == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, header)
        pixels = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    if pixels.ndim == 3:
        return _from_colour(Image.fromarray(pixels), "DICOM")
    bits = int(header.BitsStored)
    values = pixels.astype(np.int64) + (2 ** (bits - 1) if header.PixelRepresentation else 0)
    grey = _to_8_bits(values, bits)
    inverted = header.PhotometricInterpretation == "MONOCHROME1"
    return Picture(255 - grey if inverted else grey, f"{bits}-bit grey DICOM")


def _read_pillow(image: Image.Image) -> Picture:
    if (frames := getattr(image, "n_frames", 1)) > 1:
        raise UnusableImage(f"{frames} pictures in one file: save each as its own")
    if image.format == "JPEG" and (turned := image.getexif().get(ORIENTATION, 1)) != 1:
        raise UnusableImage(f"is stored rotated (EXIF orientation {turned}): save it upright")
    if image.mode == "1":
        return Picture(np.asarray(image, dtype=np.uint8) * 255, "1-bit grey")
    if image.mode == "L":
        return Picture(np.asarray(image), "8-bit grey")
    if image.mode.startswith("I"):
        return _from_integers(np.asarray(image))
    if image.mode in ("P", "PA", "RGB", "RGBA", "LA", "CMYK", "YCbCr"):
        return _from_colour(image, image.mode)
    raise UnusableImage(f"mode {image.mode}: save it as grey of 8 or 16 bits")


def _from_integers(values: npt.NDArray[Any]) -> Picture:
    values = values.astype(np.int64)
    if values.min() < 0 or values.max() >= 2**16:
        raise UnusableImage(
            f"holds values of {values.min()} to {values.max()}: save it as grey of 8 or 16 bits"
        )
    bits = next(bits for bits in BIT_DEPTHS if values.max() < 2**bits)
    return Picture(_to_8_bits(values, bits), "16-bit grey")


def _to_8_bits(values: npt.NDArray[np.int64], bits: int) -> Grey:
    if bits == 8:
        return values.astype(np.uint8)
    return np.rint(values * (255 / (2**bits - 1))).astype(np.uint8)


def _from_colour(image: Image.Image, mode: str) -> Picture:
    pixels = np.asarray(image.convert("RGBA"))
    if (pixels[..., 3] != 255).any():
        raise UnusableImage("has transparent pixels: save it without")
    grey = (pixels[..., :1] == pixels[..., 1:3]).all()
    kind = f"8-bit {'grey' if grey else 'colour'} as {mode}"
    return Picture(np.asarray(image.convert("RGB").convert("L")), kind)
