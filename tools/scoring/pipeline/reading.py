"""Files -> grey images, for score.py: pictures, videos and DICOM (by dicom.py).

What is damaged, cut off or ambiguous is refused (Unusable), with the reason; nothing is guessed or
filled up. Nothing is written, and of a DICOM file only what its pixels need is read.
"""

import hashlib
import re
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

if __package__:
    from lib.data.pictures.tiff import BITS, fractions_of_64_bits
else:  # in a scoring pipeline it stands beside this file
    from tiff import BITS, fractions_of_64_bits  # type: ignore[import-not-found, no-redef]

NUMPY, SEVERAL = ".npy", {".tif", ".tiff", ".gif"}  # whose pages are the frames of a loop
PICTURES = SEVERAL | {NUMPY, ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".pgm"}
ESTIMATED = {".mkv", ".webm", ".mpg", ".mpeg"}  # hold no count of frames, only a duration
VIDEOS, DICOMS = {".mp4", ".m4v", ".avi", ".mov"} | ESTIMATED, {".dcm", ".dicom"}
VOLUMES = {".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"}  # are refused by name
COLOURS = {"P", "PA", "RGB", "RGBA", "LA", "CMYK", "YCbCr"}  # Pillow's modes
# Tags of a TIFF, the first of them in EXIF too; WHITE_IS_ZERO is a value of PHOTOMETRIC.
ORIENTATION, PHOTOMETRIC, DESCRIPTION, WHITE_IS_ZERO = 274, 262, 270, 0
QUARTER_TURNS = range(5, 9)  # the orientations that exchange height and width
# Where files other than TIFF keep an orientation, by the names that Pillow gives these places.
EXIF = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}
AS_GREY = "save it as grey of 8 or 16 bits"
SIDES = (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH)
MOST_PIXELS = 1 << 26  # of a picture: one of more would fill the memory
# What Pillow's decoders raise for files whose content is not as their format has it.
DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
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
    known = [f for f in files if suffix_of(f) in PICTURES | VIDEOS | VOLUMES or is_dicom(f)]
    if others := len(files) - len(known):
        print(f"{path}: {others} other files, no images by their names, are left out")
    return known or [path]


def suffix_of(path: Path) -> str:
    """In small letters, and .nii.gz as a whole."""
    return ".nii.gz" if path.name.lower().endswith(".nii.gz") else path.suffix.lower()


def images_in(path: Path, bits: int) -> Iterator[Input]:
    """The image of a file, or each frame of it; Unusable where it holds none."""
    if not path.is_file():
        what = "a folder without images" if path.is_dir() else "there is no such file or folder"
        raise Unusable(what)
    if suffix_of(path) in VOLUMES:
        raise Unusable("a volume, which is not read here: save its slices as .png or one .tif")
    with path.open("rb") as file:
        origin = f"{hashlib.file_digest(file, 'sha256').hexdigest()} {bits}"
    if path.suffix.lower() in VIDEOS:
        yield from video_frames(path, origin)
    elif is_dicom(path):
        yield from dicom_frames(path, origin, bits)
    else:
        yield from pages(path, origin, bits)


def pages(path: Path, origin: str, bits: int) -> Iterator[Input]:
    """The picture, or page k of a TIFF or GIF, from 1, as the image NAME_k."""
    count = pages_in(path) if path.suffix.lower() in SEVERAL else 1
    if count == 1:
        yield Input(path.stem, origin, partial(read_picture, path, bits))
        return
    for k in range(count):
        read = partial(read_picture, path, bits, k)
        yield Input(f"{path.stem}_{k + 1}", f"{origin} {k}", read, clip=True)


def pages_in(path: Path) -> int:
    """1 where reading the pixels will tell what is wrong."""
    try:
        with Image.open(path) as image:
            return int(getattr(image, "n_frames", 1))
    except DAMAGED:  # that it is no image at all is an OSError too
        return 1


def read_picture(path: Path, bits: int, page: int | None = None) -> Array:
    """Grey uint8 (height, width) of a file, or of a page, from 0; `bits` are those that files of
    more than 8 use."""
    if path.suffix.lower() == NUMPY:
        return read_array(path, bits)
    try:
        with path.open("rb") as file, opened(file) as image:
            if image.format == "PNG":
                image.verify()  # Pillow checks the sums of a PNG when it is told to
        # Of a path it would map the file, and mixes up a TIFF that is to be turned.
        with path.open("rb") as file, opened(file) as image:
            turn_to(image, page)
            refuse_unclear(image)
            return to_grey(upright(image), bits, path, page)
    except UnidentifiedImageError:
        raise Unusable("not an image of a known format, or its end is missing") from None
    except DAMAGED as error:
        raise Unusable(f"damaged, or its end is missing ({error})") from None


def opened(file: BinaryIO) -> Image.Image:
    """Pillow does not open a TIFF of fractions with 64 bits; here it gets them with 32."""
    try:
        return Image.open(file)
    except UnidentifiedImageError:
        file.seek(0)
        if (found := fractions_of_64_bits(file.read(), require_small)) is not None:
            return Image.fromarray(found)
        raise


def turn_to(image: Image.Image, page: int | None) -> None:
    count, size = getattr(image, "n_frames", 1), image.size
    if page is None and count > 1:
        raise Unusable(f"{count} pictures in one file: save each as its own")
    text = str(image.tag_v2.get(DESCRIPTION, "")) if isinstance(image, TiffImageFile) else ""
    told = re.search(r"^images=(\d+)", text, re.MULTILINE) if text.startswith("ImageJ=") else None
    if told and int(told[1]) > count:  # it lists the first alone where they are large
        raise Unusable(f"a stack of {told[1]} pictures that lists {count}: save it as a sequence")
    if page:
        image.seek(page)
        if image.size != size:
            raise Unusable("its pages have several sizes: save each picture as its own")


def refuse_unclear(image: Image.Image) -> None:
    """Unusable where a file can be read in more than one way, or takes too much memory."""
    require_small(image.height, image.width)
    if image.mode in COLOURS and bits_of_colour(image) > 8:
        raise Unusable("has 16 bits a colour: save it as grey, or with 8")
    turned = orientation_of(image)
    if turned != 1 and (turned not in QUARTER_TURNS or image.width == image.height):
        raise Unusable(f"is stored rotated (EXIF orientation {turned}): save it upright")
    if image.mode not in COLOURS:
        return
    if image.has_transparency_data and (np.asarray(image.convert("RGBA"))[..., 3] < 255).any():
        raise Unusable("has transparent pixels: save it without")


def require_small(height: int, width: int) -> None:
    if height * width > MOST_PIXELS:
        raise Unusable(f"is {height} x {width}, more than {MOST_PIXELS:,} pixels: save it smaller")


def orientation_of(image: Image.Image) -> int:
    """1 where the picture is shown as it is stored."""
    if isinstance(image, TiffImageFile):
        return int(image.tag_v2.get(ORIENTATION, 1))
    if image.format == "PNG":
        image.load()  # it may be told behind the pixels
    if image.format != "JPEG" and not EXIF & image.info.keys():
        return 1
    return int(image.getexif().get(ORIENTATION, 1))


def upright(image: Image.Image) -> Image.Image:
    """As every viewer shows it; Pillow turns a TIFF when it reads the pixels."""
    if isinstance(image, TiffImageFile) or orientation_of(image) == 1:
        return image
    return ImageOps.exif_transpose(image)


def bits_of_colour(image: Image.Image) -> int:
    """As a TIFF or a PNG states them; Pillow reads the upper 8."""
    if isinstance(image, TiffImageFile):
        return max(image.tag_v2.get(BITS, (8,)))
    tiles: Any = getattr(image, "tile", None)
    return 16 if image.format == "PNG" and tiles and "16" in str(tiles[0][3]) else 8


def to_grey(image: Image.Image, bits: int, path: Path, page: int | None) -> Array:
    """uint8; colours become luminance (ITU-R 601), as the networks' training images had them."""
    if image.mode in COLOURS:
        return np.asarray(image.convert("RGB").convert("L"))
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))
    inverted = isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO
    pixels = np.asarray(image)
    if pixels.dtype.kind == "f":
        one = page is None
        whole = range_of(pixels) if one else range_of_pages(path, path.stat().st_mtime_ns)
        grey = from_fractions(pixels, *whole)
    else:
        grey = from_integers(pixels, bits)
    return 255 - grey if inverted else grey


def range_of(pixels: Array) -> tuple[float, float]:
    return float(pixels.min()), float(pixels.max())


@lru_cache(maxsize=2)
def range_of_pages(path: Path, _modified: int) -> tuple[float, float]:
    """Kept for the pages, which follow each other."""
    with path.open("rb") as file, Image.open(file) as image:
        every = [range_of(np.asarray(page)) for page in ImageSequence.Iterator(image)]
    return float(np.min(every)), float(np.max(every))


def from_fractions(pixels: Array, low: float, high: float) -> Array:
    """uint8 of 0 to 1 or of 0 to 255: `low` and `high`, of the whole file, tell which."""
    if not 0 <= low <= high <= 255:
        raise Unusable(
            f"holds values of {low:g} to {high:g}, where 0 to 1 or 0 to 255 was expected: {AS_GREY}"
        )
    top = 1 if high <= 1 else 255
    return np.rint(pixels.astype(np.float64) * (255 / top)).astype(np.uint8)


def from_integers(pixels: Array, bits: int) -> Array:
    low, high = pixels.min(), pixels.max()
    if low < 0 or high >= 2**16:
        raise Unusable(f"holds values of {low} to {high}: {AS_GREY}")
    if high >= 2**bits:
        raise Unusable(f"holds values up to {high}: --bits {bits} is too few")
    return to_8_bits(pixels, bits)


def read_array(path: Path, bits: int) -> Array:
    """Grey uint8 of an array that NumPy saved."""
    try:
        told = np.load(path, mmap_mode="r", allow_pickle=False)  # takes no memory, and cannot lie
        if not isinstance(told, np.ndarray) or told.ndim != 2 or not told.size:
            raise Unusable("an array of (height, width) was expected")
        require_small(*told.shape)
        pixels = np.array(told)
    except Unusable:
        raise
    except Exception as error:  # what its parser of headers raises has no common base
        raise Unusable(f"not an array that can be read ({error})") from None
    if pixels.dtype in (np.bool_, np.uint8):
        return pixels if pixels.dtype == np.uint8 else pixels.astype(np.uint8) * 255
    if pixels.dtype.kind != "f" and pixels.dtype != np.uint16:
        raise Unusable(f"is an array of {pixels.dtype}: save it as uint8 or uint16")
    if pixels.dtype.kind == "f":
        return from_fractions(pixels, *range_of(pixels))
    return from_integers(pixels, bits)


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
    told -= path.suffix.lower() in ESTIMATED  # a duration may round up
    try:
        require_small(*(int(capture.get(p)) for p in SIDES))
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


def dicom_reader() -> Any:
    """dicom.py, once pydicom is there."""
    try:
        if __package__:
            from lib.data.pictures import dicom
        else:
            import dicom  # type: ignore[import-not-found, no-redef]
        import pydicom
    except ImportError:
        raise Unusable("DICOM needs one more package: python -m pip install pydicom") from None
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE  # it quotes values
    return dicom


def dicom_frames(path: Path, origin: str, bits: int) -> Iterator[Input]:
    count = dicom_reader().frames_in(path)
    # A UID for a name ends in .digits, which is no suffix.
    stem = path.name if path.suffix[1:].isdigit() else path.stem
    for k in range(count):
        name = stem if count == 1 else f"{stem}_{k + 1}"
        yield Input(name, f"{origin} {k}", partial(read_dicom, path, k, bits), clip=count > 1)


def read_dicom(path: Path, number: int, bits: int) -> Array:
    """Grey uint8 of a frame, from 0, as lib reads it for training."""
    reader = dicom_reader()
    try:
        frame = reader.frame_of(path, number)
    except reader.DicomError as error:
        raise Unusable(f"not a DICOM image that can be read ({error})") from None
    if frame.pixels.ndim == 3:
        return luminance(frame.pixels)
    grey, high = reader.shown(frame, bits)
    if high >= 2 ** reader.depth_of(frame, bits):
        raise Unusable(f"holds values up to {high}: --bits {bits} is too few")
    return np.asarray(grey)


def screen_note(files: list[Path]) -> str:
    """Of the DICOM files that show all of a scanner's screen, by what they tell; "" of none."""
    try:
        reader = dicom_reader()
    except Unusable:
        return ""
    known = [f for f in files if f.is_file() and suffix_of(f) not in PICTURES and is_dicom(f)]
    found = {path: region for path in known if (region := reader.region_of(path))}
    if not found:
        return ""
    count = sum(reader.frames_in(path) for path in found)
    top, bottom, left, right = Counter(found.values()).most_common(1)[0][0]
    return (
        f"{count} DICOM images show a scanner's screen: the picture is rows {top} to {bottom - 1}, "
        f"columns {left} to {right - 1}; the networks see the screen too, unless it is cropped as "
        "in their training images"
    )
