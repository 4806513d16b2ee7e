"""The competition's run lengths: `start length` pairs, 1-based, down the columns first.

Format: https://www.kaggle.com/c/ultrasound-nerve-segmentation/overview/evaluation. Pixels are
numbered from 1 at the top left, top to bottom, then left to right; runs are sorted and do not
overlap; the empty string is the empty mask.
"""

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.uint8]


class RleError(ValueError):
    """A run-length string that does not describe a mask of the given shape."""


def encode(mask: npt.NDArray[np.generic]) -> str:
    """Mask (height, width), any dtype, non-zero = nerve -> run lengths; "" where all is zero."""
    height = mask.shape[0]
    columns = np.flatnonzero(mask.any(axis=0))
    if not columns.size:
        return ""
    left, right = int(columns[0]), int(columns[-1]) + 1
    # Only the columns with a nerve are laid out column by column, with a zero at either end.
    pixels = np.zeros((right - left) * height + 2, dtype=bool)
    pixels[1:-1].reshape(right - left, height)[:] = mask[:, left:right].T
    edges = np.flatnonzero(pixels[1:] != pixels[:-1])
    edges[1::2] -= edges[::2]
    edges[::2] += left * height + 1
    return " ".join(map(str, edges.tolist()))


def decode(rle: str, shape: tuple[int, int], image: str = "") -> Mask:
    """Run lengths -> uint8 mask 0/1 of `shape` (height, width), C-contiguous.

    Allocates the mask and no more, whatever numbers the string holds. Raises RleError, with the
    name of the `image` where it is given, for a string that is not a valid mask of this shape.
    """
    height, width = shape
    mask: Mask = np.zeros(shape, dtype=np.uint8)
    try:
        starts, ends = _runs(rle, height * width)
    except RleError as error:
        raise RleError(f"{image}: {error}" if image else str(error)) from None
    if not starts:
        return mask
    left, right = starts[0] // height, (ends[-1] - 1) // height + 1
    columns = np.zeros((right - left) * height, dtype=np.uint8)
    offset = left * height
    for start, end in zip(starts, ends, strict=True):
        columns[start - offset : end - offset] = 1
    mask[:, left:right] = columns.reshape(right - left, height).T
    return mask


def decode_as(rle: str, shape: tuple[int, int], order: str, start: int) -> Mask:
    """Run lengths of another convention -> mask of `shape` (height, width).

    `order` is "columns" (down the columns first, as here) or "rows", `start` the number of the
    first pixel, 1 or 0. Raises RleError.
    """
    if start == 0:
        words = rle.split()
        words[::2] = [_next(word) for word in words[::2]]
        rle = " ".join(words)
    if order == "columns":
        return decode(rle, shape)
    return np.ascontiguousarray(decode(rle, shape[::-1]).T)


def read_the_other_way(mask: Mask, order: str) -> Mask:
    """What the run lengths of `mask`, which were read by `order`, mean in the other order."""
    if order == "columns":
        return decode_as(encode(mask), (mask.shape[0], mask.shape[1]), "rows", 1)
    return decode(encode(mask.T), (mask.shape[0], mask.shape[1]))


def _runs(rle: str, pixels: int) -> tuple[list[int], list[int]]:
    """Zero-based starts and ends (exclusive) of the runs, checked; RleError says what is wrong."""
    words = rle.split()
    if len(words) % 2:
        raise RleError(f"{len(words)} numbers: run lengths come in pairs `start length`")
    digits = "".join(words)
    if words and not (digits.isascii() and digits.isdigit()):
        raise RleError(_complaint(words))
    if len(digits) > 4000:  # Python refuses to read one number of more than 4300 digits
        words = [_shortened(word) for word in words]
    numbers = list(map(int, words))
    starts = [start - 1 for start in numbers[::2]]
    ends = [start + length for start, length in zip(starts, numbers[1::2], strict=True)]
    _check(starts, ends, pixels)
    return starts, ends


def _check(starts: list[int], ends: list[int], pixels: int) -> None:
    previous_start, previous_end = -1, 0
    for start, end in zip(starts, ends, strict=True):
        if start < 0 or end <= start:
            raise RleError(f"run `{start + 1} {end - start}`: start and length are at least 1")
        if end > pixels:
            raise RleError(f"run `{start + 1} {end - start}` ends outside the {pixels} pixels")
        if start < previous_start:
            raise RleError(f"run `{start + 1} {end - start}` starts before the one ahead of it")
        if start < previous_end:
            raise RleError(f"run `{start + 1} {end - start}` overlaps the one ahead of it")
        previous_start, previous_end = start, end


def _complaint(words: list[str]) -> str:
    word = next(word for word in words if not (word.isascii() and word.isdigit()))
    if word[0] == "-" and word[1:].isdigit():
        return f"`{word[:40]}` is negative: start and length are at least 1"
    return f"`{word[:40]}` is not a whole number"


def _next(word: str) -> str:
    """The number after it; what is no number, or far outside of any image, stays as it is."""
    return str(int(word) + 1) if word.isascii() and word.isdigit() and len(word) < 20 else word


def _shortened(word: str) -> str:
    """The number cut to 40 digits, which is still far outside of any image."""
    return word.lstrip("0")[:40] or "0"
