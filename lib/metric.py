"""IoU and Dice per image, as the competition counts the empty image."""

from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
DRAWS = 10_000  # of a bootstrap


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


def precision(counts: Overlap) -> float:
    """|A and B| / |B|, B the predicted mask; 1 where both are empty, 0 where exactly one is."""
    return counts.both / counts.prediction if counts.prediction else float(not counts.truth)


def sensitivity(counts: Overlap) -> float:
    """|A and B| / |A|, A the true mask; 1 where both are empty, 0 where exactly one is."""
    return counts.both / counts.truth if counts.truth else float(not counts.prediction)


class Metric(StrEnum):
    """How a mask is scored against the true one; the value is that of the setting `metric`."""

    IOU = "IoU"
    DICE = "Dice"

    @property
    def column(self) -> str:
        """Its name in tables and JSON files: iou, dice."""
        return self.value.lower()

    def of_counts(self, truth: Counts, prediction: Counts, both: Counts) -> Floats:
        """iou() or dice() of many overlaps at once; the counts broadcast."""
        top, bottom = 2 * both, truth + prediction
        if self is Metric.IOU:
            top, bottom = both, bottom - both
        return np.divide(top, bottom, out=np.ones(bottom.shape), where=bottom > 0)


class Score(NamedTuple):
    """The mean of a metric over images, with its 95 % interval over people."""

    mean: float | None  # None without images
    low: float | None  # None, as `high`, for fewer than two subjects
    high: float | None
    n: int  # subjects

    @property
    def interval(self) -> tuple[float, float] | None:
        return None if self.low is None or self.high is None else (self.low, self.high)


def area_under_curve(there: npt.NDArray[np.bool_], presence: Floats) -> float | None:
    """How often an image with a nerve has more presence than one without; equals count half.

    None where there is no image of either kind (Mann and Whitney 1947).
    """
    positives, negatives = int(there.sum()), int((~there).sum())
    if not positives or not negatives:
        return None
    _, place, times = np.unique(presence, return_inverse=True, return_counts=True)
    ranks = (times.cumsum() - (times - 1) / 2)[place]  # of equals, the mean of their ranks
    return float((ranks[there].sum() / positives - (positives + 1) / 2) / negatives)


def bootstrap_interval(
    scores: Floats,
    subjects: npt.NDArray[np.str_],
    draws: int = DRAWS,
    weights: Floats | None = None,
) -> tuple[float, float] | None:
    """95 % interval of the mean score over `bootstrap_means`; None where they are."""
    means = bootstrap_means(scores, subjects, draws, weights)
    counted = subjects if weights is None else subjects[weights > 0]
    return None if means is None else interval_of(means, len(np.unique(counted)))


def mean_score(
    scores: Floats,
    subjects: npt.NDArray[np.str_],
    draws: int = DRAWS,
    weights: Floats | None = None,
) -> Score:
    """The (weighted) mean and `bootstrap_interval`; `scores` and `subjects` are one an image."""
    mean = float(np.average(scores, weights=weights)) if len(scores) else None
    low, high = bootstrap_interval(scores, subjects, draws, weights) or (None, None)
    return Score(mean, low, high, len(set(subjects)))


def mean_scores(scores: Floats, subjects: npt.NDArray[np.str_]) -> list[Score]:
    """`mean_score` of each column of (images, columns), by the same draws of subjects."""
    n = len(set(subjects))
    if not len(scores):
        return [Score(None, None, None, n)] * scores.shape[1]
    means = bootstrap_means(scores, subjects)
    intervals: list[tuple[float | None, float | None]] = [(None, None)] * scores.shape[1]
    if means is not None:
        intervals = [interval_of(column, n) for column in means.T]
    pairs = zip(scores.mean(axis=0).tolist(), intervals, strict=True)
    return [Score(mean, *interval, n) for mean, interval in pairs]


def interval_of(means: Floats, subjects: int) -> tuple[float, float]:
    """95 % interval: the middle of the means of draws of so many subjects.

    More than their middle 95 %, which is too narrow where subjects are few: draws spread by n where
    the estimate of a variance has n - 1, and know nothing of Student's t (the expanded percentile
    interval: Hesterberg 2015, section 5.3, The American Statistician 69). Of 8 subjects it is their
    middle 98.9 %, of 40 their middle 95.9 %.
    """
    from scipy.special import ndtr, stdtrit  # slow to load, and overlaps need nothing of it

    tail = ndtr(stdtrit(subjects - 1, 0.025) * np.sqrt(subjects / (subjects - 1)))
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def interval_of_all(draws: Floats | None, subjects: int) -> tuple[float, float] | None:
    """`interval_of`; None without draws, and where some draw has no value."""
    return None if draws is None or np.isnan(draws).any() else interval_of(draws, subjects)


def spread_of(subjects: int) -> float:
    """How many times as far as draws of so many subjects spread, `interval_of` reaches."""
    from scipy.special import ndtri, stdtrit  # slow to load, and overlaps need nothing of it

    reach = stdtrit(subjects - 1, 0.025) * np.sqrt(subjects / (subjects - 1))
    return float(reach / ndtri(0.025))


def bootstrap_means(
    scores: Floats,
    subjects: npt.NDArray[np.str_],
    draws: int = DRAWS,
    weights: Floats | None = None,
) -> Floats | None:
    """The mean score in each of so many draws of whole subjects with replacement: (draws,).

    The frames of one subject are near-copies, so the subject is the sample (cluster bootstrap:
    Davison and Hinkley 1997, section 3.8). `scores` and `subjects` are one value an image; scores
    (images, columns) give (draws, columns). None for fewer than two subjects. The same input gives
    the same draws. `weights` make it a weighted mean; a subject of no weight is none.
    """
    _, index = np.unique(subjects, return_inverse=True)
    weights = np.ones(len(scores)) if weights is None else weights
    columns = scores.T if scores.ndim > 1 else scores[None]
    sizes = np.bincount(index, weights)
    sums = np.stack([np.bincount(index, weights * column) for column in columns], axis=-1)
    sums, sizes = sums[sizes > 0].reshape(-1, *scores.shape[1:]), sizes[sizes > 0]
    if len(sums) < 2:
        return None
    random, equal = np.random.default_rng(0), np.full(len(sums), 1 / len(sums))
    means = np.empty((draws, *scores.shape[1:]))
    for at in range(0, draws, 500):  # so many at a time that memory stays small with any number
        times = random.multinomial(len(sums), equal, min(500, draws - at))
        means[at : at + 500] = ((times @ sums).T / (times @ sizes)).T
    return means
