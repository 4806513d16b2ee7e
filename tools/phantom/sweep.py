"""The way of the probe over one person: random numbers -> frames in video order, and twins."""

from dataclasses import dataclass

import numpy as np

from tools.phantom.anatomy import new_wander
from tools.phantom.canvas import PLANES, Array, Random
from tools.phantom.rounding import sigmoid


@dataclass(frozen=True)
class Frame:
    """Where the probe is: `z` in planes along the neck, `shift` in pixels, `stretch` by pressure.

    `nerve` 0..1 is how much of the nerve there is to see, `labelled` whether the mask shows it,
    `noise` (2, 12) the annotator's errors of nerve and vessel, in standard deviations.
    """

    z: float
    shift: float
    stretch: float
    nerve: float
    labelled: bool
    noise: Array


def sweep(
    rng: Random, count: int, share: float, twins: int, slower: float = 1
) -> tuple[list[Frame], list[tuple[int, int]]]:
    """The video of a subject; pairs (frame with a nerve, its twin with the empty label)."""
    z = _path(rng, count, slower)
    shown = int(np.clip(round(share * count), 1, max(1, count - 1)))
    low, high = _stretch_of_neck(rng, np.sort(z), shown)
    with_nerve = (z > low) & (z < high)
    # Nerves are not equally plain to see, and none ends at a point.
    plain = rng.uniform(0.7, 1.0)
    nerve = plain * sigmoid((z - low) / 0.05) * sigmoid((high - z) / 0.05)
    shift, stretch = new_wander(rng, 0, 11), new_wander(rng, 1, 0.012)
    frames = []
    for t in range(count):
        pose = (float(z[t]), shift(0.09 * t / slower), stretch(0.11 * t / slower), float(nerve[t]))
        noise = np.clip(rng.standard_normal((2, 12)), -2.5, 2.5)
        frames.append(Frame(*pose, bool(with_nerve[t]), noise))
    pairs = _twin_pairs(rng, with_nerve, twins)
    for image, twin in pairs:
        frames[twin] = _twin(frames[image])
    return frames, pairs


def _path(rng: Random, count: int, slower: float) -> Array:
    """Place along the neck, to and fro between the first and the last plane."""
    end = PLANES - 1.001
    way = rng.uniform(0, 2 * end) + np.cumsum(rng.uniform(0.02, 0.12, count)) / slower
    return np.asarray(end - np.abs(way % (2 * end) - end))


def _stretch_of_neck(rng: Random, z: Array, shown: int) -> tuple[float, float]:
    """The stretch of the neck with the nerve: it holds `shown` of the places `z`, sorted."""
    edges = np.concatenate([[-np.inf], (z[1:] + z[:-1]) / 2, [np.inf]])
    first = int(rng.integers(0, len(z) - shown + 1))
    return float(edges[first]), float(edges[first + shown])


def _twin_pairs(rng: Random, with_nerve: Array, twins: int) -> list[tuple[int, int]]:
    """A twin takes the place of a frame that had no nerve, so the share stays as it was drawn."""
    images = rng.permutation(np.flatnonzero(with_nerve))
    empty = rng.permutation(np.flatnonzero(~with_nerve))
    return [(int(a), int(b)) for a, b in zip(images[:twins], empty[:twins], strict=False)]


def _twin(frame: Frame) -> Frame:
    z = frame.z + (0.004 if frame.z < 1 else -0.004)
    return Frame(z, frame.shift + 0.2, frame.stretch, frame.nerve, False, frame.noise)
