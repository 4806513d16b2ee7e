"""What Pillow opens: its pages, which way up it is shown, and the refusal of what is unclear."""

import io
import re
import struct
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from lib.data.pictures.dicom import MOST_PIXELS
from lib.data.pictures.greys import Array, UnusableImage, one_number, require_small
from lib.data.pictures.tiff import BEGINNING, BITS, fractions_of_64_bits

COLOURS = {"P", "PA", "RGB", "RGBA", "LA", "CMYK", "YCbCr"}
MODES = COLOURS | {"1", "L", "I", "I;16", "I;16L", "I;16B", "F"}
SEVERAL = {".tif", ".tiff", ".gif"}  # formats whose pages are the frames of a loop
# TIFF's tags, the first of them in EXIF too: of a picture that is to be shown rotated or mirrored,
# and of one whose lowest value is white.
ORIENTATION, PHOTOMETRIC, WHITE_IS_ZERO = 274, 262, 0
DESCRIPTION = 270
QUARTER_TURNS = range(5, 9)  # the orientations that exchange height and width
# Where files other than TIFF keep an orientation, by the names that Pillow gives these places.
EXIF = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}
# What Pillow's decoders raise for files whose content is not as their format has it.
DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

Result = TypeVar("Result")


def opened(path: Path, read: Callable[[Image.Image], Result], page: int | None = None) -> Result:
    """What `read` makes of the picture, or of a page, from 0; UnusableImage for a file of none.

    A file of several pages is not read as a whole for one of them. Pillow gets no path, for it
    would map the file then, and mixes up a TIFF that is to be turned.
    """
    try:
        with _stream(path, page is None) as stream, _open(stream) as image:
            _turn_to(image, page)
            require_small(image.height, image.width)
            _require_plain(image)
            return read(image)
    except FileNotFoundError:
        raise UnusableImage("the file is missing") from None
    except UnidentifiedImageError:
        raise UnusableImage("not an image of a known format, or its end is missing") from None
    except Image.DecompressionBombError:
        raise UnusableImage(f"has more than {MOST_PIXELS:,} pixels: save it smaller") from None
    except DAMAGED as error:
        raise UnusableImage(f"damaged or truncated ({error})") from None


def _stream(path: Path, whole: bool) -> BinaryIO:
    return io.BytesIO(path.read_bytes()) if whole else path.open("rb")


def _open(stream: BinaryIO) -> Image.Image:
    try:
        return Image.open(stream)
    except UnidentifiedImageError:
        stream.seek(0)
        if re.match(BEGINNING, stream.read(4)):
            stream.seek(0)
            if (found := fractions_of_64_bits(stream.read(), require_small)) is not None:
                return Image.fromarray(found)
        raise


def _turn_to(image: Image.Image, page: int | None) -> None:
    pages = getattr(image, "n_frames", 1)
    if page is None and pages > 1:
        raise UnusableImage(f"{pages} pictures in one file: save each as its own")
    if (told := _told_by_imagej(image)) > pages:  # which lists the first alone where they are large
        raise UnusableImage(f"a stack of {told} pictures that lists {pages}: save it as a sequence")
    if page:
        size = image.size
        image.seek(page)
        if image.size != size:
            raise UnusableImage("its pages have several sizes: save each picture as its own")


def _told_by_imagej(image: Image.Image) -> int:
    if not isinstance(image, TiffImageFile):
        return 0
    text = str(image.tag_v2.get(DESCRIPTION, ""))
    told = re.search(r"^images=(\d+)", text, re.MULTILINE) if text.startswith("ImageJ=") else None
    return int(told[1]) if told else 0


def _require_plain(image: Image.Image) -> None:
    """Refuses what is shown turned in a way that no size can confirm, and colours of 16 bits."""
    if image.mode not in MODES:
        raise UnusableImage(f"mode {image.mode}: save it as grey of 8 or 16 bits")
    if image.mode in COLOURS and _bits_of_colour(image) > 8:
        raise UnusableImage("has 16 bits a colour: save it as grey, or with 8")
    turned = orientation_of(image)
    if turned != 1 and (turned not in QUARTER_TURNS or image.width == image.height):
        raise UnusableImage(f"is stored rotated (EXIF orientation {turned}): save it upright")


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


def require_opaque(image: Image.Image) -> None:
    if image.has_transparency_data and (np.asarray(image.convert("RGBA"))[..., 3] < 255).any():
        raise UnusableImage("has transparent pixels: save it without")


def _bits_of_colour(image: Image.Image) -> int:
    """As a PNG or TIFF tells them; Pillow reads the upper 8."""
    if isinstance(image, TiffImageFile):
        return max(image.tag_v2.get(BITS, (8,)))
    tile: Any = getattr(image, "tile", None)
    return 16 if image.format == "PNG" and tile and "16" in str(tile[0][3]) else 8


def white_is_zero(image: Image.Image) -> bool:
    """By a TIFF's tag; Pillow turns the values of 8 bits and fewer round, and no others."""
    return isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO


def stored_values(image: Image.Image) -> Array:
    """(height, width), integers or fractions: grey as it is stored, colours as one number each.

    Where only the transparency tells something, it is the value.
    """
    if image.mode in COLOURS:
        return _of_colours(upright(image))
    inverted = white_is_zero(image)
    pixels = np.asarray(upright(image))
    if pixels.dtype.itemsize > 1:
        return pixels if pixels.dtype.kind == "f" else pixels.astype(np.int64)
    whole = np.uint8(1 if image.mode == "1" else 255)
    pixels = pixels.astype(np.uint8)
    return whole - pixels if inverted else pixels


def _of_colours(image: Image.Image) -> Array:
    if not image.has_transparency_data:
        return one_number(np.asarray(image.convert("RGB")))
    pixels = np.asarray(image.convert("RGBA"))
    values, alpha = one_number(pixels[..., :3]), pixels[..., 3]
    if not alpha.any():  # nothing is seen: the mask of an image that shows no nerve
        return alpha
    if alpha.min() == alpha.max():
        return values
    seen = values[alpha > 0]
    if seen.min() == seen.max():
        return alpha
    if not np.isin(alpha, (0, 255)).all() or not seen.all():
        raise UnusableImage("has transparent pixels: save it without")
    return np.where(alpha == 0, 0, values)


def range_of(image: Image.Image, path: Path, page: int | None) -> tuple[float, float]:
    """The lowest and the highest value of the picture, or of all pages where it is one of them."""
    if page is None:
        pixels = np.asarray(image)
        return float(pixels.min()), float(pixels.max())
    about = path.stat()
    return _range_of_pages(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=16)
def _range_of_pages(path: Path, _modified: int, _size: int) -> tuple[float, float]:
    """Kept for the pages, which follow each other."""
    with path.open("rb") as stream, Image.open(stream) as image:
        pages = map(np.asarray, ImageSequence.Iterator(image))
        values = np.array([(page.min(), page.max()) for page in pages], dtype=float)
    return float(values[:, 0].min()), float(values[:, 1].max())


def pages_in(path: Path) -> int:
    """Of a TIFF or GIF; 1 where reading the pixels will tell what is wrong."""
    try:
        with path.open("rb") as file:
            start = file.read(16)
            if re.match(BEGINNING, start):
                return _pages_of_tiff(file, start)
        if start[:3] != b"GIF":
            return 1
        with Image.open(path) as image:
            return int(getattr(image, "n_frames", 1))
    except DAMAGED:
        return 1


def _pages_of_tiff(file: BinaryIO, start: bytes) -> int:
    """By the chain of its directories, in a tenth of the time that Pillow takes to open it."""
    order, big = "<" if start[:2] == b"II" else ">", b"+" in start[2:4]
    count, place, entry = ("Q", "Q", 20) if big else ("H", "I", 12)
    at = struct.unpack(order + place, start[8:16] if big else start[4:8])[0]
    seen: set[int] = set()
    while at and at not in seen:
        seen.add(at)
        file.seek(at)
        entries = struct.unpack(order + count, file.read(struct.calcsize(count)))[0]
        file.seek(entries * entry, io.SEEK_CUR)
        at = struct.unpack(order + place, file.read(struct.calcsize(place)))[0]
    return max(1, len(seen))
