"""Arithmetic of pictures that rounds alike on every processor.

NumPy's basic operations do. Filters, powers and logarithms do not, in their last bit: here they are
sums of whole numbers, which leave nothing to round, and tables.
"""

import math
from collections.abc import Callable
from functools import cache

import cv2
import numpy as np

from lib.runtime.portable import Array


def blurred(picture: Array, axial: float, lateral: float) -> Array:
    """Gaussian blur of values below 2**12; sigmas in rows and columns."""
    # Whole numbers of at most 53 bits: no processor has anything to round in these sums.
    whole = np.rint(picture * np.float32(2**12))
    total = cv2.sepFilter2D(whole, cv2.CV_64F, _kernel(lateral), _kernel(axial))
    return np.asarray(total * 2.0**-32, dtype=np.float32)


@cache
def _kernel(sigma: float) -> Array:
    """Weights of a Gaussian in 1024ths."""
    reach = math.ceil(3.5 * sigma)
    weights = [math.exp(-0.5 * (k / sigma) ** 2) for k in range(-reach, reach + 1)]
    kernel = np.rint(np.array(weights) * 1024 / sum(weights))
    kernel[reach] += 1024 - kernel.sum()
    return kernel


def length(x: Array, y: Array) -> Array:
    return np.asarray(np.sqrt(x * x + y * y))


def line(distance: Array, width: float) -> Array:
    """A bright line with the profile of a Gaussian."""
    return _bell(distance * np.float32(1 / width))


def _tabled(
    function: Callable[[float], float], low: float, high: float, steps: int
) -> Callable[[Array], Array]:
    """`function` of arrays, float32, rounded to `steps` a unit; constant outside low..high.

    A table, as the last bit of NumPy's and OpenCV's own functions depends on the processor.
    """

    @cache
    def table() -> Array:
        places = np.arange(round((high - low) * steps) + 1) / steps + low
        return np.array([function(place) for place in places.tolist()], dtype=np.float32)

    def look_up(x: Array) -> Array:
        rows = np.rint((x - low) * steps)
        return table()[np.clip(rows, 0, len(table()) - 1).astype(np.intp)]

    return look_up


sigmoid = _tabled(lambda x: 1 / (1 + math.exp(-x)), -12, 12, 256)

_bell = _tabled(lambda x: math.exp(-(x**2)), -4, 4, 512)

amplitude_of = _tabled(lambda decibel: 10 ** (decibel / 20), -100, 20, 64)


@cache
def grey_of(gamma: float) -> Callable[[Array], Array]:
    return _tabled(lambda bright: 255 * bright**gamma, 0, 1, 4096)


def decibel_of(amplitude: Array) -> Array:
    """20 log10: the bits of a positive float, cut to 11 of its mantissa, number a table's rows."""
    first, table = _decibel_table()
    rows = (amplitude.view(np.int32) >> 12) - first
    return table[np.clip(rows, 0, len(table) - 1)]


@cache
def _decibel_table() -> tuple[int, Array]:
    low, high = (int(np.float32(end).view(np.int32)) >> 12 for end in (1e-5, 100))
    middles = (((np.arange(low, high, dtype=np.int32) << 12) + (1 << 11)).view(np.float32)).tolist()
    return low, np.array([20 * math.log10(middle) for middle in middles], dtype=np.float32)
