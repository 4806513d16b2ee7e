"""Groups of images -> the fold of each, so that every fold is a small copy of the whole.

A greedy start, then the best swaps and moves until none helps, again from a few disturbed places.
What is made small is the sum, over folds and columns, of (weight x relative error)^2: the error of
the first column is that of the fold's number of images, the error of any other that of its mean
per image, as the share of images with a nerve. The weights: an image without a nerve scores 0 or 1,
so a fold's score follows above all its share of images with a nerve (4); the number of images
decides what is left to train on (4); the size of the nerves matters less (2).
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

IMAGES_WEIGHT, POSITIVES_WEIGHT, OTHER_WEIGHT = 4.0, 4.0, 2.0
# Errors are whole multiples of 1 / GRID: their sums are exact, thus the same on every processor.
GRID = 2.0**22
# Of more groups than this, evenly chosen ones are moved; the others stay where greed has put them.
MOVABLE = 300
# Disturbed starts, and how many groups are put elsewhere for one.
STARTS, DISTURBED = 200, 6
PAIRS = 30_000_000  # of groups compared at most, in about a second
LEAST_GAIN = 1e-9 * GRID**2  # less is rounding, which swaps back and forth

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def balance(features: Floats, shares: Sequence[float]) -> Ints:
    """The fold 0..len(shares)-1 of each row of `features`, no fold empty.

    `features` is (groups, columns), none negative: the number of images of a group, then sums over
    its images: how many show a nerve, their mask areas. `shares` are the wanted shares of the
    images, above 0, adding up to 1. The same rows in the same order give the same folds. Raises
    ValueError where there are fewer groups than folds.
    """
    if len(features) < len(shares):
        raise ValueError(f"{len(features)} groups cannot fill {len(shares)} folds")
    search = _Search(features, np.asarray(shares, dtype=np.float64))
    search.start()
    search.descend()
    best, least = search.fold, search.cost()
    for _ in range(STARTS):
        if search.pairs_left <= 0:
            break
        search.place(best)
        search.disturb()
        search.descend()
        if search.cost() < least:
            best, least = search.fold, search.cost()
    return best


class _Search:
    """A division of the groups, the folds' errors in it, and ways to make them smaller."""

    def __init__(self, features: Floats, shares: Floats) -> None:
        self.vectors = _vectors(features)
        self.costs = 1 / np.square(shares)  # an error of all images counts relative to the share
        self.empty = np.zeros((len(shares), features.shape[1]))  # errors of folds without a group
        self.empty[:, 0] = -np.rint(GRID * IMAGES_WEIGHT * shares)
        self.order = np.argsort(-_squares(self.vectors), kind="stable")  # the most uneven first
        self.movable = self.order[:: math.ceil(len(self.order) / MOVABLE)]
        self.random = np.random.RandomState(0)  # its numbers are the same in every NumPy (NEP 19)
        self.pairs_left = PAIRS
        # A move is a swap with nothing: each fold holds, for good, a row of zeros.
        self.rows = np.vstack([self.vectors[self.movable], np.zeros_like(self.empty)])
        squares = _squares(self.rows)
        self.distances = squares[:, None] + squares - 2 * self.rows @ self.rows.T

    def place(self, fold: Ints) -> None:
        self.fold = fold.copy()
        self.errors = self.empty.copy()
        np.add.at(self.errors, fold, self.vectors)

    def cost(self) -> float:
        return math.fsum(self.costs * _squares(self.errors))

    def start(self) -> None:
        """Puts each group, the most uneven first, into the fold where it costs least."""
        fold = np.zeros(len(self.vectors), dtype=np.int64)
        errors, unfilled = self.empty.copy(), np.full(len(self.costs), True)
        for left, group in zip(range(len(fold), 0, -1), self.order, strict=True):
            vector = self.vectors[group]
            added = self.costs * (2 * errors @ vector + vector @ vector)
            if left <= np.count_nonzero(unfilled):
                added[~unfilled] = np.inf
            chosen = added.argmin()
            fold[group], unfilled[chosen] = chosen, False
            errors[chosen] += vector
        self.place(fold)

    def disturb(self) -> None:
        """Puts a few movable groups anywhere, where that empties no fold."""
        few = self.random.permutation(self.movable)[:DISTURBED]
        fold = self.fold.copy()
        fold[few] = self.random.randint(len(self.costs), size=len(few))
        if np.bincount(fold, minlength=len(self.costs)).all():
            self.place(fold)

    def descend(self) -> None:
        """Makes the swap or move that helps most, until none helps."""
        while self.pairs_left > 0:
            changes = self._changes()
            one, other = divmod(int(changes.argmin()), len(self.rows))
            if changes[one, other] > -LEAST_GAIN:
                break
            self._swap(one, other)

    def _changes(self) -> Floats:
        """(movable, rows): what swapping a movable group with a row adds to the cost.

        A fold of cost c and error e that gains d costs c (2 e d + d^2) more.
        """
        n = len(self.movable)
        self.pairs_left -= len(self.rows) ** 2
        places = np.append(self.fold[self.movable], np.arange(len(self.costs)))
        costs = self.costs[places]
        along = costs[:, None] * (self.errors @ self.rows.T)[places]
        own = np.diagonal(along)
        changes = 2 * (along + along.T - own[:, None] - own)
        changes += (costs[:, None] + costs) * self.distances
        alone = np.bincount(self.fold, minlength=len(self.costs))[places[:n]] == 1
        changes[:n][alone, n:] = np.inf  # moving the only group would leave its fold empty
        return changes[:n]

    def _swap(self, one: int, other: int) -> None:
        n = len(self.movable)
        here = self.fold[self.movable[one]]
        there = self.fold[self.movable[other]] if other < n else other - n
        change = self.rows[other] - self.rows[one]
        self.errors[here] += change
        self.errors[there] -= change
        self.fold[self.movable[one]] = there
        if other < n:
            self.fold[self.movable[other]] = here


def _vectors(features: Floats) -> Floats:
    """(groups, columns): what a group adds to the errors of its fold, relative to all images.

    A column but the first holds the surplus over what as many average images would have: where
    those of a fold add up to 0, its mean per image is that of all.
    """
    totals = features.sum(axis=0)
    relative = features / np.where(totals > 0, totals, 1)
    relative[:, 1:] -= np.where(totals[1:] > 0, relative[:, :1], 0)
    weights = np.full(len(totals), OTHER_WEIGHT)
    weights[:2] = [IMAGES_WEIGHT, POSITIVES_WEIGHT][: len(totals)]
    return np.rint(GRID * weights * relative)


def _squares(vectors: Floats) -> Floats:
    """The squared length of each row."""
    squares: Floats = np.einsum("ij,ij->i", vectors, vectors)
    return squares
