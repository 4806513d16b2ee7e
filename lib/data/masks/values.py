"""The numbers or colours in mask files -> classes, told by the whole set.

A set of masks is read in one of these ways: 0 and one other value, which is the nerve; 0 and a few
values or colours, each a class; grey edges between 0 and the brightest, cut at the half.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from lib import rle
from lib.data.pictures.arrays import ImageFile, UnusableImage, is_jpeg, raw_values
from lib.runtime.errors import InputError

MOST_VALUES = 20  # of a mask whose values are classes
# Pixels that nobody judged, as Pascal VOC has them: 255 beside low numbers, or its colour.
VOID, VOID_COLOUR = 255, 0xE0E0C0
MOST_COUNTED = 2  # numbers that the last value has in a set of classes, where some lack the last
LOW = 64  # classes are numbered below it, where there is a void
INSIDE = 5  # a class is somewhere as wide; a blurred edge is not
NEAR = 0.1  # of the brightest: values so near to it or to 0 belong to areas of these
FAINT = 16  # the noise of a JPEG that was black
GRADED = 40  # values between which those of one class, blurred by JPEG, do not spread
FEWEST_STEPS, LOOKED_AT = 4, 20  # values of one mask, and such masks of a set
# Of probabilities. Of 133 real frames at most a quarter is dark, and they have 59 spots or more.
DARK, FEW_SPOTS = 0.5, 20
PLAIN = 0.85  # of the pixels of a blurred mask do; of a picture far fewer

THRESHOLD = (
    "set the pixels below the threshold that you choose to 0 and the others to 255, and save that"
)


class Drawn(NamedTuple):
    """A mask file: the run lengths of each of its values but 0."""

    shape: tuple[int, int]
    runs: dict[int, str]  # a grey value, or red * 65536 + green * 256 + blue
    soft: bool  # grey edges, cut at the half: its only value is then the brightest


def drawn(file: ImageFile) -> Drawn:
    """Raises UnusableImage for a file that is no mask."""
    values = raw_values(file.path, file.frame)
    shape = (values.shape[0], values.shape[1])
    found = _values_in(values)
    blurred = is_jpeg(file.path)
    if found[-1] <= FAINT and blurred:
        return Drawn(shape, {}, soft=True)
    if soft := _is_soft(values, found, blurred):
        values = np.where(values.astype(np.int64) * 2 > found[-1], found[-1], 0)
        found = _values_in(values)
    if len(found) > MOST_VALUES:
        raise UnusableImage(_why_many(values, found))
    runs = {value: rle.encode((values == value).astype(np.uint8)) for value in found if value}
    return Drawn(shape, runs, soft)


def _why_many(values: npt.NDArray[np.integer], found: Sequence[int]) -> str:
    many = f"holds {len(found)} values"
    if found[-1] < 2**16 and _is_graded(values):
        return f"{many} from {found[0]} to {found[-1]}, as probabilities do: {THRESHOLD}"
    return f"{many}: a mask holds 0 and a few others, one for each class"


def _is_graded(values: npt.NDArray[np.integer]) -> bool:
    """Whether it is dark but for a few areas, as probabilities are; pictures have many spots."""
    high = (values.astype(np.int64) * 2 > values.max()).astype(np.uint8)
    spots = cv2.connectedComponents(high)[0] - 1
    return bool((values <= values.max() * NEAR).mean() >= DARK) and spots <= FEW_SPOTS


def _values_in(pixels: npt.NDArray[np.integer]) -> list[int]:
    """Each once, ascending; counted where two are not all, for sorting takes as long as reading."""
    low, high = int(pixels.min()), int(pixels.max())
    if np.count_nonzero(pixels == low) + np.count_nonzero(pixels == high) >= pixels.size:
        return sorted({low, high})
    if pixels.dtype == np.uint8:
        return np.flatnonzero(np.bincount(pixels.ravel())).tolist()
    return np.unique(pixels).tolist()


def _is_soft(values: npt.NDArray[np.integer], found: Sequence[int], blurred: bool) -> bool:
    """Whether values between 0 and the brightest are but the edges of areas; else UnusableImage."""
    top = found[-1]
    if len(found) <= 2 or top < LOW or top > 255:  # low numbers are classes, above are colours
        return False
    plain = (values <= top * NEAR) | (values >= top * (1 - NEAR))
    if len(found) <= MOST_VALUES and not blurred:
        return bool(plain.all()) and not _has_areas((values > 0) & (values < top))
    if plain.mean() < PLAIN:
        return False
    if _has_areas(~plain):
        grey = int(np.median(values[~plain]))
        low, high = np.quantile(values[_inner(~plain)], (0.1, 0.9))
        if high - low > GRADED:
            raise UnusableImage(
                f"has areas of all values between 0 and {top}, as probabilities do: {THRESHOLD}"
            )
        raise UnusableImage(
            f"has areas of grey {grey} between 0 and {top}: save a mask of several classes as PNG, "
            "where JPEG blurs their values"
        )
    return True


def _has_areas(pixels: npt.NDArray[np.bool_]) -> bool:
    """Whether they are somewhere wider than the edge of an area."""
    return bool(_inner(pixels).any())


def _inner(pixels: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    return cv2.erode(pixels.astype(np.uint8), np.ones((INSIDE, INSIDE), np.uint8)).astype(bool)


class Classes(NamedTuple):
    """What the values of a set mean."""

    names: dict[int, str]  # by value; empty: every value but 0 is the one class
    told: str  # for a person; "" where nothing had to be guessed


def classes_of(masks: Iterable[Drawn], known: Mapping[int, str], origin: str) -> Classes:
    """`known` are names of values that a file beside the masks tells, `origin` is that file.

    Values are classes where one mask holds several, where all are low numbers, or where they are
    colours; else a mask is 0 and any other value. So it is where values number the objects of one
    class, which is told.
    """
    masks = list(masks)
    several, values, void = False, set(), set()
    for mask in masks:
        nobody = _void(mask.runs)
        several |= len(mask.runs.keys() - nobody) > 1
        values |= mask.runs.keys() - nobody
        void |= nobody
    void |= _void(values)
    values -= void
    low = max(values, default=0) < LOW
    colours = min(values, default=0) > 255
    if len(values) <= 1 or not (several or low or colours):
        return Classes({}, "")
    if not known and _are_objects(masks, values):
        return Classes({}, "the masks' values number objects, which are taken for one class")
    if not known and _are_steps(masks, values):
        raise InputError(
            f"the masks hold steps of one size, {', '.join(map(str, sorted(values)))}, each inside "
            f"the one before, as probabilities or several readers' votes do: {THRESHOLD}. (Where "
            "each is a class, a classes.txt beside the masks tells so: a name a line, from 0 on.)"
        )
    unnamed = values - known.keys()
    names = {value: known.get(value) or _name(value) for value in sorted(values)}
    background = [value for value, name in names.items() if name.casefold() == "background"]
    for value in background:
        del names[value]
    told = f"{origin}" if not unnamed else "the masks' values"
    if void:
        told += "; 255 is taken for pixels that nobody judged, and for no class"
    return Classes(names, told)


def _are_objects(masks: Sequence[Drawn], values: set[int]) -> bool:
    """Whether masks number 1, 2, ..., one up to 2, others up to 3 and 5; or hold colours once."""
    tops = {max(mask.runs, default=0) for mask in masks} - {0}
    counted = all(sorted(mask.runs) == list(range(1, len(mask.runs) + 1)) for mask in masks)
    if counted and len(tops) > MOST_COUNTED:
        return True
    seen = Counter(value for mask in masks for value in mask.runs)
    rare = sum(seen[value] == 1 for value in values)
    return len(values) > MOST_COUNTED and rare > len(values) / 2


def _are_steps(masks: Sequence[Drawn], values: set[int]) -> bool:
    """Whether values are spread evenly up to the brightest, and each lies inside the one below."""
    steps = {high - low for low, high in pairwise([0, *sorted(values)])}
    if len(values) < FEWEST_STEPS or max(values) not in range(250, 256) or len(steps) > 2:
        return False
    several = [mask for mask in masks if len(mask.runs) >= FEWEST_STEPS][:LOOKED_AT]
    return bool(several) and all(map(_is_nested, several))


def _is_nested(mask: Drawn) -> bool:
    """Whether what is above the lowest value touches the background nowhere."""
    lowest = min(mask.runs)
    areas = {value: rle.decode(text, mask.shape) for value, text in mask.runs.items()}
    above = np.maximum.reduce([area for value, area in areas.items() if value != lowest])
    around = cv2.dilate(above, np.ones((3, 3), np.uint8)) - above
    return bool(np.count_nonzero(around & (1 - areas[lowest])) < 0.1 * np.count_nonzero(around))


def _void(values: Iterable[int]) -> set[int]:
    others = set(values) - {VOID, VOID_COLOUR}
    if not others:
        return set()
    void = {VOID} if max(others) < LOW else {VOID_COLOUR} if min(others) > 255 else set()
    return void & set(values)


def _name(value: int) -> str:
    return str(value) if value <= 255 else f"colour_{value:06x}"


def value_of(name: str) -> int | None:
    """The value that `_name` wrote; None for the name of another class."""
    if name.isdecimal():
        return int(name)
    colour = re.fullmatch("colour_([0-9a-f]{6})", name)
    return int(colour[1], 16) if colour else None


def runs_by_class(mask: Drawn, names: Mapping[int, str]) -> dict[str, list[str]]:
    """The run lengths of a mask by the name of their class; "" is the only one."""
    if not names:
        return {"": [text for value, text in mask.runs.items() if value not in _void(mask.runs)]}
    return {name: [mask.runs[value]] for value, name in names.items() if value in mask.runs}
