"""What is gained where a person looks at the most doubtful images."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from lib.quality.referral import curve, kept, rank_correlation, referral

SCORES = np.arange(10) / 10
SUBJECTS = np.array(list("aabbccddee"))


def test_the_images_of_least_expectation_are_referred() -> None:
    expected = np.array([0.9, 0.1, 0.5, 0.5])
    assert kept(expected, 0.25).tolist() == [2, 3, 0]
    assert kept(expected, 0).tolist() == [1, 2, 3, 0]


@pytest.mark.parametrize(
    ("expected", "score"), [(SCORES, 0.55), (-SCORES, 0.35), (np.zeros(10), 0.55)]
)
def test_the_score_of_the_rest_stands_beside_the_perfect_order(
    expected: np.ndarray, score: float
) -> None:
    """Of 0, .1, ... .9 the best eight have a mean of .55, the worst .35; equals go as they come."""
    row = referral(expected, SCORES, SUBJECTS)[-1]
    assert (row["referred"], row["images"]) == (0.2, 8)
    assert row["score"] == pytest.approx(score)
    assert row["perfect"] == pytest.approx(0.55)
    assert row["interval"][0] < score < row["interval"][1]


def test_a_curve_begins_with_all_and_ends_with_half() -> None:
    rows = curve(SCORES, SCORES)
    assert rows[0] == {"referred": 0, "score": pytest.approx(0.45), "perfect": pytest.approx(0.45)}
    assert rows[-1]["referred"] == 0.5
    assert rows[-1]["score"] == pytest.approx(0.7)


def test_the_rank_correlation_is_spearmans_with_an_interval_over_subjects() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=200)
    y = x + random.normal(size=200)
    subjects = np.array([str(k // 10) for k in range(200)])
    found = rank_correlation(x, y, subjects)
    assert found.mean == pytest.approx(spearmanr(x, y)[0])
    assert None not in found and found.n == 20
    low, mean, high = (value or 0 for value in (found.low, found.mean, found.high))
    assert 0.4 < low < mean < high < 0.9
    assert rank_correlation(x, y, np.full(200, "one")).low is None
    assert rank_correlation(np.ones(200), y, subjects).mean is None
    seldom = np.where(subjects == "3", 1.0, 0.0)  # many a draw has nothing but zeros
    assert rank_correlation(seldom, y, subjects)[1:3] == (None, None)
