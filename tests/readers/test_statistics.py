"""Kappa, limits of agreement and the verdict, worked by hand."""

import numpy as np
import pytest

from lib.metric import Score, mean_score
from lib.readers.statistics import (
    INFERIOR,
    NOT_INFERIOR,
    OPEN,
    kappa,
    limits_of_agreement,
    non_inferiority,
    presence,
    verdict,
)

MARGIN = 0.05
PEOPLE = np.array(["a", "a", "b", "b", "c"])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.049, 0.02, NOT_INFERIOR),
        (0.01, 0.02, NOT_INFERIOR),
        (-0.05, 0.02, OPEN),  # at the margin
        (-0.051, 0.02, OPEN),
        (-0.2, -0.05, OPEN),  # at the margin
        (-0.2, -0.051, INFERIOR),
        (None, None, OPEN),  # one person
    ],
)
def test_the_verdict_is_where_the_interval_lies_beside_the_margin(
    low: float | None, high: float | None, expected: str
) -> None:
    assert verdict(Score(0.0, low, high, 5), MARGIN) == expected


def test_the_interval_is_over_subjects_as_that_of_any_score() -> None:
    changes = np.array([0.1, -0.1, 0.0, -0.3, 0.2])
    found = non_inferiority(changes, PEOPLE, MARGIN)
    score = mean_score(changes, PEOPLE)
    assert found["difference"] == pytest.approx(-0.02)
    assert found["interval"] == (score.low, score.high)
    assert found["margin"] == MARGIN
    assert found["verdict"] == OPEN
    alone = non_inferiority(changes, np.array(["a"] * 5), MARGIN)
    assert (alone["interval"], alone["verdict"]) == (None, OPEN)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        # 35 of 50 agree; by chance .5 x .6 + .5 x .4 = .5 do: (.7 - .5) / (1 - .5)
        ([20, 5, 10, 15], 0.4),
        ([7, 0, 0, 3], 1),
        ([0, 5, 5, 0], -1),
        ([4, 4, 1, 1], 0),  # as by chance
        ([9, 0, 0, 0], np.nan),  # both always
        ([0, 0, 0, 9], np.nan),  # both never
    ],
)
def test_kappa_is_that_worked_by_hand(counts: list[int], expected: float) -> None:
    shares = np.array(counts) / sum(counts)
    assert kappa(shares) == pytest.approx(expected, nan_ok=True)


def test_presence_counts_who_marks_anything() -> None:
    first, second = np.array([5.0, 5, 0, 0, 9]), np.array([6.0, 0, 3, 0, 9])
    found = presence(first, second, PEOPLE)
    names = ("both", "only_first", "only_second", "neither")
    assert [found[name] for name in names] == [2, 1, 1, 1]
    assert found["kappa"] == pytest.approx((0.6 - 0.52) / 0.48)
    always = presence(first + 1, second + 1, PEOPLE)
    assert (always["kappa"], always["kappa_interval"]) == (None, None)


def test_presence_has_an_interval_over_subjects() -> None:
    first = np.array([1.0, 0, 1, 0] * 6)
    second = np.array([1.0, 0, 0, 0, 1, 0, 1, 0] * 3)
    people = np.repeat([f"{k}" for k in range(6)], 4)
    found = presence(first, second, people)
    low, high = found["kappa_interval"]
    assert -1 <= low < found["kappa"] < high <= 1


def test_limits_of_agreement_are_those_worked_by_hand() -> None:
    found = limits_of_agreement(np.array([1.0, 2, 3, 4, 5]), PEOPLE)
    assert found is not None
    reach = 1.96 * np.sqrt(2.5)  # the variance of 1 to 5 over n - 1
    wanted = pytest.approx((3, 3 - reach, 3 + reach))
    assert (found.mean, found.low, found.high) == wanted
    assert (found.masks, found.subjects) == (5, 3)
    for value, interval in (
        (found.mean, found.mean_interval),
        (found.low, found.low_interval),
        (found.high, found.high_interval),
    ):
        assert interval is not None
        assert interval[0] < value < interval[1]


def test_limits_of_equal_differences_are_their_value_and_one_subject_has_no_interval() -> None:
    found = limits_of_agreement(np.array([7.0, 7, 7]), np.array(["a", "a", "a"]))
    assert found is not None
    assert (found.low, found.mean, found.high) == (7, 7, 7)
    assert found.mean_interval is None
    assert limits_of_agreement(np.array([7.0]), np.array(["a"])) is None
    assert limits_of_agreement(np.array([]), np.array([], dtype=str)) is None


def test_limits_hold_95_percent_of_a_normal_distribution() -> None:
    random = np.random.default_rng(0)
    values = random.normal(20, 5, 1000)
    found = limits_of_agreement(values, np.arange(1000).astype(str))
    assert found is not None
    inside = (values > found.low) & (values < found.high)
    assert inside.mean() == pytest.approx(0.95, abs=0.015)
