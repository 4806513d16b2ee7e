"""What is told of two readings of the same images, with 95 % intervals over subjects."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lib.metric import Floats, Score, bootstrap_means, interval_of, interval_of_all, mean_score

Subjects = npt.NDArray[np.str_]
Interval = tuple[float, float] | None  # None for fewer than two subjects
WIDTH = 1.96  # standard deviations to either side, between which 95 % of a normal distribution lie
NOT_INFERIOR, INFERIOR, OPEN = "not inferior", "inferior", "not decided"


def verdict(difference: Score, margin: float) -> str:
    """Of a score less another one: whether it is lower by less than the margin, 0 to 1.

    By the 95 % interval: above -margin as a whole, below it as a whole, or neither (Piaggio et al.
    2012, JAMA 308).
    """
    if difference.low is None or difference.high is None:
        return OPEN
    if difference.low > -margin:
        return NOT_INFERIOR
    return INFERIOR if difference.high < -margin else OPEN


def non_inferiority(changes: Floats, subjects: Subjects, margin: float) -> dict[str, Any]:
    """`changes` are one score an image less another of the same image."""
    found = mean_score(changes, subjects)
    return {
        "difference": found.mean,
        "interval": found.interval,
        "margin": margin,
        "verdict": verdict(found, margin),
    }


def kappa(shares: Floats) -> Floats:
    """Agreement on presence beyond chance (Cohen 1960), of shares (..., 4).

    These are what both see, the first alone, the second alone, and neither. 1: always, 0: as by
    chance. NaN where both see it always, or both never: there is nothing to agree on.
    """
    both, first, second, neither = np.moveaxis(shares, -1, 0)
    of_first, of_second = both + first, both + second
    chance = of_first * of_second + (1 - of_first) * (1 - of_second)
    agreed = both + neither
    out = np.full(agreed.shape, np.nan)
    return np.divide(agreed - chance, 1 - chance, out=out, where=1 - chance > 1e-12)


def presence(first: Floats, second: Floats, subjects: Subjects) -> dict[str, Any]:
    """Of the areas of each image's two masks: who sees something, and how far both agree on it."""
    one, other = first > 0, second > 0
    kinds = np.stack([one & other, one & ~other, ~one & other, ~one & ~other], axis=1)
    names = ("both", "only_first", "only_second", "neither")
    counts = dict(zip(names, kinds.sum(axis=0).tolist(), strict=True))
    found = kappa(kinds.mean(axis=0))
    draws = bootstrap_means(kinds.astype(float), subjects)
    kappas = None if draws is None else kappa(draws)
    return counts | {
        "kappa": None if np.isnan(found) else float(found),
        "kappa_interval": interval_of_all(kappas, len(set(subjects))),
    }


class Limits(NamedTuple):
    """Bland and Altman's: 95 % of the differences are expected between `low` and `high`."""

    mean: float
    mean_interval: Interval
    low: float
    low_interval: Interval
    high: float
    high_interval: Interval
    masks: int
    subjects: int


def limits_of_agreement(differences: Floats, subjects: Subjects) -> Limits | None:
    """Mean difference and mean -+ 1.96 standard deviations (Bland and Altman 1986, Lancet 327).

    The deviation is that over all images, people's frames together. None for fewer than two
    values.
    """
    n = len(differences)
    if n < 2:
        return None
    own = _with_limits(np.array([[differences.mean(), (differences**2).mean()]]), n)[0]
    draws = bootstrap_means(np.stack([differences, differences**2], axis=1), subjects)
    people, intervals = len(set(subjects)), list[Interval]([None] * 3)
    if draws is not None:
        intervals = [interval_of(column, people) for column in _with_limits(draws, n).T]
    middle, low, high = own.tolist()
    return Limits(middle, intervals[0], low, intervals[1], high, intervals[2], n, people)


def _with_limits(moments: Floats, n: int) -> Floats:
    """(rows, 2) means of the values and of their squares -> (rows, 3): mean, low, high."""
    mean, square = moments.T
    reach = WIDTH * np.sqrt(np.maximum(square - mean**2, 0) * n / (n - 1))
    return np.stack([mean, mean - reach, mean + reach], axis=1)
