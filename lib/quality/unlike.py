"""How unlike an image is to those that a network knows, by the features of its encoder.

The distance of Mahalanobis from the fold's own images (Lee et al. 2018, NeurIPS), which the network
never trained on: so an image that it never saw is held against others that it never saw.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from lib.metric import Floats

LEAST = 20  # images that others are held against
SHRINKAGE = 0.1  # towards features that know nothing of each other: they may outnumber the images
BLOCKS = 10  # of whole groups, each held against the others
STEPS = 100  # percentiles

Features = npt.NDArray[np.floating]  # (images, channels)


class Known(NamedTuple):
    """The images of a fold, as its network sees them."""

    mean: Floats  # (channels,)
    spread: Floats  # (channels,): the standard deviation
    inverse: Floats  # (channels, channels): of the correlations
    usual: float  # the median distance of one of these images from the others

    def times_as_far(self, features: Features) -> Floats:
        """(images, channels) -> (images,): the distance, as a multiple of the usual one."""
        return _distance(features, *self[:3]) / self.usual


def known(features: Features, group: npt.NDArray[np.str_]) -> Known | None:
    """None for fewer than LEAST images, or of one group; `group` is one an image."""
    usual = _usual(own_distances(features, group))
    return Known(*_moments(features), usual) if usual else None


def own_distances(features: Features, group: npt.NDArray[np.str_]) -> Floats:
    """(images,): that of each image from those of other groups; NaN where these are too few."""
    block = pd.factorize(group)[0] % BLOCKS
    found = np.full(len(features), np.nan)
    for number in np.unique(block):
        own = block == number
        if np.count_nonzero(~own) >= LEAST:
            found[own] = _distance(features[own], *_moments(features[~own]))
    return found


def own_times_as_far(features: Features, group: npt.NDArray[np.str_]) -> Floats:
    """`own_distances` as multiples of their median."""
    own = own_distances(features, group)
    return own / (_usual(own) or np.nan)


def steps_of(times: Floats) -> list[float] | None:
    """The 0th to 100th percentile of `times_as_far`; None where no image has one."""
    told = times[np.isfinite(times)]
    if not len(told):
        return None
    return [float(step) for step in np.quantile(told, np.linspace(0, 1, STEPS + 1))]


def percentile(times: Floats, steps: list[float]) -> Floats:
    """0..1: the share of the images behind the steps that are less unlike; NaN stays."""
    return np.interp(times, steps, np.linspace(0, 1, STEPS + 1))


def _usual(own: Floats) -> float:
    """The median; 0 where no image has a distance."""
    told = own[np.isfinite(own)]
    return float(np.median(told)) if len(told) else 0.0


def _moments(features: Features) -> tuple[Floats, Floats, Floats]:
    values = features.astype(np.float64)
    mean, spread = values.mean(axis=0), values.std(axis=0)
    spread[spread == 0] = 1
    scaled = (values - mean) / spread
    correlation = scaled.T @ scaled / len(scaled)
    shrunk = (1 - SHRINKAGE) * correlation + SHRINKAGE * np.eye(len(mean))
    return mean, spread, np.linalg.inv(shrunk)


def _distance(features: Features, mean: Floats, spread: Floats, inverse: Floats) -> Floats:
    scaled = (features.astype(np.float64) - mean) / spread
    return np.sqrt(np.einsum("ij,jk,ik->i", scaled, inverse, scaled, optimize=True))
