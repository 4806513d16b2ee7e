"""The score that a mask can be expected to have, by the probabilities that it was drawn from."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lib.metric import Floats, Metric

LEAST = 20  # images that a calibration is made from


def believed(
    probability: npt.NDArray[np.uint8], mask: npt.NDArray[np.uint8], metric: Metric
) -> float:
    """What a mask scores where so many of the pixels of a probability are nerve as it says.

    Both (height, width), 0..255 = 0..1 and 0/1. The expected overlap over the expected union (over
    the expected sum of both areas for Dice), which is the expected ratio but for terms of the order
    of its variance. NaN for an empty mask.
    """
    area = int(np.count_nonzero(mask))
    if not area:
        return float("nan")
    everything = float(probability.sum(dtype=np.int64)) / 255
    inside = float(probability.sum(dtype=np.int64, where=mask > 0)) / 255
    if metric is Metric.DICE:
        return 2 * inside / (area + everything)
    return inside / (area + everything - inside)


class Calibration(NamedTuple):
    """Rising lines from knot to knot, and flat beyond the last; both lists may have one entry."""

    x: list[float]
    y: list[float]

    def of(self, values: Floats) -> Floats:
        return np.interp(values, self.x, self.y)


def calibrated(values: Floats, scores: Floats) -> Calibration | None:
    """The rising curve nearest to the scores by least squares; None for fewer than LEAST images.

    Isotonic regression (Zadrozny and Elkan 2002, KDD) gives steps; the curve goes through their
    middles, so that unlike values keep their order.
    """
    if len(values) < LEAST:
        return None
    from scipy.optimize import isotonic_regression  # slow to load

    order = np.argsort(values, kind="stable")
    x, found = values[order], isotonic_regression(scores[order])
    steps = list(zip(found.blocks[:-1], found.blocks[1:], strict=True))
    middles = [float(x[start:end].mean()) for start, end in steps]
    return Calibration(middles, [float(found.x[start]) for start, _ in steps])


class Expectation(NamedTuple):
    """Of one class: from `believed` where there is a mask, from the presence where it is empty."""

    marked: Calibration | None
    empty: Calibration | None

    def of(self, believed: Floats, presence: Floats) -> Floats:
        """NaN where too few images told what to expect. Less presence: an empty mask is likelier
        right."""
        shown = ~np.isnan(believed)
        found = np.full(len(believed), np.nan)
        if self.marked:
            found[shown] = self.marked.of(believed[shown])
        if self.empty:
            found[~shown] = self.empty.of(-presence[~shown])
        return found


def expectation(believed: Floats, presence: Floats, scores: Floats) -> Expectation:
    """Learnt from images with a truth; one value an image."""
    shown = ~np.isnan(believed)
    return Expectation(
        calibrated(believed[shown], scores[shown]), calibrated(-presence[~shown], scores[~shown])
    )


def nested(
    believed: Floats, presence: Floats, scores: Floats, part: npt.NDArray[np.int64]
) -> Floats:
    """What to expect of each image, learnt from the images of the other parts; NaN of one part."""
    found = np.full(len(believed), np.nan)
    for number in np.unique(part):
        own = part == number
        others = expectation(believed[~own], presence[~own], scores[~own])
        found[own] = others.of(believed[own], presence[own])
    return found
