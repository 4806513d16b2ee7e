"""Resampling that rounds alike on every processor, as NumPy's basic operations do."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]  # float32, but for what is cut to its place


def resampled(picture: Array, places: Array, taps: Callable[[Array], list[Array]]) -> Array:
    """Rows of `picture` at fractional `places`; `taps` gives the weights of the rows around."""
    first = np.floor(places).astype(np.intp)
    weights = taps((places - first).astype(np.float32))
    total = np.zeros((len(places), picture.shape[1]), dtype=np.float32)
    for k, weight in enumerate(weights, start=1 - len(weights) // 2):
        total += picture[np.clip(first + k, 0, len(picture) - 1)] * weight[:, None]
    return total


def linear(t: Array) -> list[Array]:
    return [1 - t, t]


def cubic(t: Array) -> list[Array]:
    """Keys 1981 with a = -0.75, as in OpenCV."""
    near = [((1.25 * d - 2.25) * d * d + 1) for d in (t, 1 - t)]
    far = [((-0.75 * d + 3.75) * d - 6) * d + 3 for d in (1 + t, 2 - t)]
    return [far[0], near[0], near[1], far[1]]
