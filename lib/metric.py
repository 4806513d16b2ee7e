"""IoU and Dice per image, as the competition counts the empty image."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Overlap(NamedTuple):
    """Pixels of the true mask, of the predicted one, and of both."""

    truth: int
    prediction: int
    both: int


def overlap(truth: npt.NDArray[np.generic], prediction: npt.NDArray[np.generic]) -> Overlap:
    """Counts over two masks (height, width), non-zero = nerve."""
    both = np.logical_and(truth, prediction)
    return Overlap(*(int(np.count_nonzero(mask)) for mask in (truth, prediction, both)))


def iou(counts: Overlap) -> float:
    """Intersection over union; 1 where both masks are empty, 0 where exactly one is."""
    union = counts.truth + counts.prediction - counts.both
    return counts.both / union if union else 1.0


def dice(counts: Overlap) -> float:
    """2 |A and B| / (|A| + |B|); 1 where both masks are empty, 0 where exactly one is."""
    total = counts.truth + counts.prediction
    return 2 * counts.both / total if total else 1.0


def bootstrap_interval(
    scores: npt.NDArray[np.float64], subjects: npt.NDArray[np.str_], draws: int = 10_000
) -> tuple[float, float] | None:
    """95 % percentile interval of the mean score, drawing whole subjects with replacement.

    The frames of one subject are near-copies, so the subject is the sample (cluster bootstrap:
    Davison and Hinkley 1997, section 3.8). `scores` and `subjects` are one value an image. None for
    fewer than two subjects. The same input gives the same interval.
    """
    _, index = np.unique(subjects, return_inverse=True)
    sums, sizes = np.bincount(index, scores), np.bincount(index)
    if len(sums) < 2:
        return None
    random, equal = np.random.default_rng(0), np.full(len(sums), 1 / len(sums))
    means = np.empty(draws)
    for at in range(0, draws, 500):  # so many at a time that memory stays small with any number
        times = random.multinomial(len(sums), equal, min(500, draws - at))
        means[at : at + 500] = times @ sums / (times @ sizes)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
