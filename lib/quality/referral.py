"""What is gained where a person looks at the most doubtful images."""

from typing import Any

import numpy as np
import numpy.typing as npt

from lib.metric import Floats, Score, bootstrap_means, interval_of_all, mean_score

SHARES = (0.05, 0.1, 0.2)  # that are referred
CURVE = tuple(k / 50 for k in range(26))  # 0 to half of them


def rank_correlation(expected: Floats, scores: Floats, subjects: npt.NDArray[np.str_]) -> Score:
    """Spearman's, with a 95 % interval over subjects: draws weigh the ranks in all images.

    No interval where some draw has only equal values of one of the two.
    """
    from scipy.stats import rankdata  # slow to load

    x, y = rankdata(expected), rankdata(scores)
    columns = np.column_stack([x, y, x * x, y * y, x * y])
    draws = bootstrap_means(columns, subjects)
    n, found = len(np.unique(subjects)), correlation_of(columns.mean(axis=0, keepdims=True))[0]
    if np.isnan(found):
        return Score(None, None, None, n)
    interval = interval_of_all(None if draws is None else correlation_of(draws), n)
    low, high = interval or (None, None)
    return Score(float(found), low, high, n)


def correlation_of(means: Floats) -> Floats:
    """(draws, 5) -> (draws,): of the means of x, y, xx, yy and xy; NaN where one does not vary."""
    x, y, xx, yy, xy = means.T
    spread = (xx - x * x) * (yy - y * y)
    return np.divide(xy - x * y, np.sqrt(spread), out=np.full(len(x), np.nan), where=spread > 0)


def kept(expected: Floats, share: float) -> npt.NDArray[np.int64]:
    """The images that are not referred: all but so large a share of those of least expectation."""
    order = np.argsort(expected, kind="stable")
    return order[round(share * len(order)) :]


def referral(
    expected: Floats, scores: Floats, subjects: npt.NDArray[np.str_]
) -> list[dict[str, Any]]:
    """For each of SHARES the score of the images that are left, and of the perfect order."""
    rows = []
    for share in SHARES:
        rest = kept(expected, share)
        score = mean_score(scores[rest], subjects[rest])
        rows.append(
            {
                "referred": share,
                "images": len(rest),
                "score": score.mean,
                "interval": score.interval,
                "perfect": float(scores[kept(scores, share)].mean()),
            }
        )
    return rows


def curve(expected: Floats, scores: Floats) -> list[dict[str, float]]:
    """The same at the shares of CURVE, to be drawn."""
    return [
        {
            "referred": share,
            "score": float(scores[kept(expected, share)].mean()),
            "perfect": float(scores[kept(scores, share)].mean()),
        }
        for share in CURVE
    ]
