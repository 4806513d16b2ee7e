"""Values of any depth -> 8-bit grey, and the refusal of those that no rule makes grey."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from lib.data.pictures.dicom import MOST_PIXELS

Grey = npt.NDArray[np.uint8]
Array = npt.NDArray[Any]
AS_GREY = "save it as grey of 8 or 16 bits"


class UnusableImage(Exception):
    """An image file that cannot be used; the message says why, without the image's name."""


class Picture(NamedTuple):
    pixels: Grey  # (height, width)
    kind: str  # what the file held, such as "16-bit grey"
    bits_used: int = 0  # of a file of more than 8 that does not tell them; 0 of others


def require_small(height: int, width: int) -> None:
    """UnusableImage for a picture that would fill the memory, as the header of a bomb tells it."""
    if height * width > MOST_PIXELS:
        raise UnusableImage(
            f"is {height} x {width}, more than {MOST_PIXELS:,} pixels: save it smaller"
        )


def from_integers(values: Array, bits: int) -> Picture:
    """Grey of more than 8 bits, of which `bits` are used."""
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= 2**16:
        raise UnusableImage(f"holds values of {low} to {high}: {AS_GREY}")
    used = used_of(high, bits)
    return Picture(to_8_bits(values, bits), f"16-bit grey, {used} used", used)


def used_of(high: int, bits: int) -> int:
    """The bits that the highest value needs; UnusableImage where they are more than are told."""
    used = high.bit_length()
    if used > bits:
        raise UnusableImage(f"holds values up to {high}: image_bits={bits} is less than its {used}")
    return used


def from_floats(values: Array, low: float, high: float) -> Picture:
    """Grey of 0 to 1 or of 0 to 255; `low` and `high`, of the whole file, tell which."""
    if not 0 <= low <= high <= 255:
        raise UnusableImage(
            f"holds values of {low:g} to {high:g}, where 0 to 1 or 0 to 255 was expected: {AS_GREY}"
        )
    top = 1 if high <= 1 else 255
    pixels = np.rint(values.astype(np.float64) * (255 / top)).astype(np.uint8)
    return Picture(pixels, f"grey of 0 to {top} in fractions")


def colours_of(image: Image.Image) -> Grey:
    """RGB (height, width, 3) of a picture of 8 bits; UnusableImage of others."""
    if image.mode in ("F", "I", "I;16", "I;16B", "I;16L"):
        raise UnusableImage("has more than 8 bits")
    return np.asarray(image.convert("RGB"))


def from_colour(image: Image.Image, mode: str) -> Picture:
    """Colours become their luminance (ITU-R 601)."""
    colours = image.convert("RGB")
    pixels = np.asarray(colours)
    grey = (pixels[..., :1] == pixels[..., 1:3]).all()
    kind = f"8-bit {'grey' if grey else 'colour'} as {mode}"
    return Picture(np.asarray(colours.convert("L")), kind)


def to_8_bits(values: Array, bits: int) -> Grey:
    if bits == 8:
        return values.astype(np.uint8)
    return np.rint(values * (255 / (2**bits - 1))).astype(np.uint8)


def one_number(colours: Array) -> Array:
    """uint8 (height, width, 3) -> (height, width): of a colour one number, of a grey its value."""
    red, green, blue = np.moveaxis(colours.astype(np.int32), -1, 0)
    grey = (red == green) & (green == blue)
    return np.where(grey, red, (red << 16) + (green << 8) + blue)
