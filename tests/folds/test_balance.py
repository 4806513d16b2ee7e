import itertools
import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.folds.balance import balance

# images, images with a nerve, mask area of each group; shares; the groups that belong together
HAND_WORKED = [
    ([[4, 2, 8]], [1.0], [{0}]),
    ([[4, 2, 8], [4, 2, 8]], [0.5, 0.5], [{0}, {1}]),
    # by size alone {0, 1} would do as well, but a half of the images with a nerve is 10
    ([[10, 10, 50], [10, 8, 40], [10, 2, 10], [10, 0, 0]], [0.5, 0.5], [{0, 3}, {1, 2}]),
    # the same shares of images with a nerve either way: the areas decide
    ([[10, 5, 90], [10, 5, 70], [10, 5, 30], [10, 5, 10]], [0.5, 0.5], [{0, 3}, {1, 2}]),
    # sizes differ, shares of images with a nerve do not: 7 + 3 = 6 + 4
    ([[7, 7, 7], [6, 6, 6], [4, 4, 4], [3, 3, 3]], [0.5, 0.5], [{0, 3}, {1, 2}]),
    # the largest first, each to the smaller half, gives 8+6+4 | 7+5 and stays wrong without swaps
    ([[8, 0, 0], [7, 0, 0], [6, 0, 0], [5, 0, 0], [4, 0, 0]], [0.5, 0.5], [{0, 1}, {2, 3, 4}]),
    ([[1, 1, 3], [2, 1, 3], [2, 2, 6], [5, 4, 12]], [0.1, 0.9], [{0}, {1, 2, 3}]),
]


@pytest.mark.parametrize(("rows", "shares", "together"), HAND_WORKED)
def test_hand_worked_groups_are_divided_as_well_as_can_be(
    rows: list[list[int]], shares: list[float], together: list[set[int]]
) -> None:
    fold = balance(np.array(rows, dtype=float), shares)
    found = [{int(group) for group in np.flatnonzero(fold == one)} for one in range(len(shares))]
    assert sorted(map(sorted, found)) == sorted(map(sorted, together))


def test_unequal_shares_go_to_their_own_folds() -> None:
    fold = balance(np.tile([10.0, 4.0, 70.0], (20, 1)), [0.7, 0.1, 0.2])
    assert np.bincount(fold).tolist() == [14, 2, 4]


def test_fewer_groups_than_folds_are_refused() -> None:
    with pytest.raises(ValueError, match="2 groups cannot fill 3 folds"):
        balance(np.ones((2, 3)), [0.4, 0.3, 0.3])


def test_as_many_groups_as_folds_are_one_each_however_unequal() -> None:
    fold = balance(np.array([[1000.0, 900, 9], [1, 0, 0], [1, 1, 1]]), [0.4, 0.3, 0.3])
    assert sorted(fold) == [0, 1, 2]


def subjects(number: int = 47, seed: int = 0) -> np.ndarray:
    """120 frames a subject, each with its own share of frames with a nerve and its own area."""
    random = np.random.default_rng(seed)
    positives = random.binomial(120, random.beta(1.5, 2, number))
    return np.column_stack(
        [np.full(number, 120.0), positives, positives * random.normal(7000, 1500, number).round()]
    )


def share_spread(features: np.ndarray, fold: np.ndarray) -> float:
    """Largest - smallest share of images with a nerve over the folds."""
    images, positives = np.bincount(fold, features[:, 0]), np.bincount(fold, features[:, 1])
    return float(np.ptp(positives / images))


@pytest.mark.parametrize("seed", range(5))
def test_folds_of_subjects_differ_by_less_than_a_point_in_images_with_a_nerve(seed: int) -> None:
    features = subjects(seed=seed)
    fold = balance(features, [0.2] * 5)
    assert share_spread(features, fold) < 0.01
    assert set(np.bincount(fold)) == {9, 10}


TABLES = st.lists(
    st.tuples(st.integers(1, 40), st.floats(0, 1), st.integers(0, 99)), min_size=3, max_size=25
).map(lambda rows: np.array([[n, int(n * share), area] for n, share, area in rows], dtype=float))
SHARES = st.sampled_from([[0.5, 0.5], [0.2, 0.8], [0.25, 0.25, 0.5], [1 / 3] * 3])


@settings(deadline=None)
@given(TABLES, SHARES)
def test_no_fold_is_empty_and_the_same_rows_give_the_same_folds(
    features: np.ndarray, shares: list[float]
) -> None:
    fold = balance(features, shares)
    assert fold.shape == (len(features),)
    assert set(fold) == set(range(len(shares)))
    assert np.array_equal(fold, balance(features.copy(), shares))


ROUNDING = 1e-4
# True of nearly every table, as a search gives no promise: the same tables in each run.
SEARCHED = settings(deadline=None, derandomize=True)


def cost(features: np.ndarray, shares: Sequence[float], fold: np.ndarray) -> float:
    """What `balance` makes small, worked out from its description."""
    totals = features.sum(axis=0)
    found = 0.0
    for number, share in enumerate(shares):
        images, *sums = features[fold == number].sum(axis=0)
        found += (4 * (images / (share * totals[0]) - 1)) ** 2
        for weight, part_sum, total in zip([4, 2], sums, totals[1:], strict=True):
            surplus = part_sum - images * total / totals[0]
            found += (weight * surplus / (share * total)) ** 2 if total else 0
    return found


def by_size(features: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """The largest group first, to the fold that lacks most images: what GroupKFold does."""
    lacking = np.array(shares) * features[:, 0].sum()
    fold = np.zeros(len(features), dtype=int)
    for group in np.argsort(-features[:, 0], kind="stable"):
        fold[group] = lacking.argmax()
        lacking[fold[group]] -= features[group, 0]
    return fold


@settings(deadline=None)
@given(TABLES, SHARES)
def test_no_swap_of_two_groups_and_no_move_of_one_helps(
    features: np.ndarray, shares: list[float]
) -> None:
    fold = balance(features, shares)
    least = cost(features, shares, fold) - ROUNDING
    for one, other in itertools.combinations(range(len(fold)), 2):
        swapped = fold.copy()
        swapped[[one, other]] = fold[[other, one]]
        assert cost(features, shares, swapped) > least
    for group, place in itertools.product(range(len(fold)), range(len(shares))):
        moved = fold.copy()
        moved[group] = place
        assert len(set(moved)) < len(shares) or cost(features, shares, moved) > least


@SEARCHED
@given(TABLES, SHARES)
def test_the_division_is_no_worse_than_one_by_size(
    features: np.ndarray, shares: list[float]
) -> None:
    plain = by_size(features, shares)
    least = cost(features, shares, balance(features, shares)) - ROUNDING
    assert len(set(plain)) < len(shares) or cost(features, shares, plain) > least


@SEARCHED
@given(TABLES.filter(lambda features: len(features) <= 7))
def test_few_groups_are_divided_as_well_as_trying_all_divisions_finds(features: np.ndarray) -> None:
    divisions = map(np.array, itertools.product([0, 1], repeat=len(features)))
    least = min(cost(features, [0.5, 0.5], fold) for fold in divisions if 0 < fold.mean() < 1)
    assert cost(features, [0.5, 0.5], balance(features, [0.5, 0.5])) < least + ROUNDING


def test_a_hundred_thousand_single_images_take_seconds_and_end_up_even() -> None:
    random = np.random.default_rng(0)
    positive = random.random(100_000) < 0.4
    features = np.column_stack([np.ones(len(positive)), positive, positive * 7000.0])
    start = time.perf_counter()
    fold = balance(features, [0.2] * 5)
    assert time.perf_counter() - start < 10  # about 1, on a machine with nothing else to do
    assert set(np.bincount(fold)) == {20_000}
    assert share_spread(features, fold) < 1e-3
