"""Chooses the rule on out-of-fold images, without drawing a mask.

An image's counts of each stored probability, over all its pixels and over the nerve's, give the
score of every candidate gate, threshold and area. Pieces and holes need masks: nested.py.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d

from lib.decision.rule import NEVER, Levels, Rule, blended, level_of, top_mean
from lib.metric import Counts, Floats, Metric

HEAD_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
THRESHOLDS = tuple(k / 20 for k in range(2, 19))
# Least areas as shares of the image, 0 but for a mask that is never empty (None): 1/1024 to 1/32.
AREAS: tuple[float | None, ...] = (None, 0.0, *(2 ** (k / 2) for k in range(-20, -9)))
GATES = np.array([*(k / 100 for k in range(101)), NEVER])
# A candidate counts as the mean of so many around it, itself in the middle: with some dozen
# subjects a peak of one candidate is chance, a plateau is not.
NEIGHBOURS = {"thresholds": 3, "areas": 3, "gates": 5}
WHISKER = 1e-9  # of candidates as good as that, the one nearest to the fixed rule

Parts = npt.NDArray[np.int64]


class Evidence(NamedTuple):
    """What is known of the images of one class, one value or row an image."""

    pixels: Levels  # (images, 256): pixels of each stored probability
    true: Levels  # those of them that show a nerve
    presence: Floats  # as the probability file has it
    head: bool  # whether that is the network's own, not the largest pixel

    @property
    def truth(self) -> Counts:
        """The nerve's pixels."""
        return self.true.sum(axis=1)


def above_level(levels: Levels) -> Counts:
    """(images, 256) -> the same: how many pixels are above each stored probability."""
    at_least = levels[:, ::-1].cumsum(axis=1)[:, ::-1]
    return at_least - levels


class Masks(NamedTuple):
    """What a rule does to each image, before its mask is cleaned."""

    shown: npt.NDArray[np.bool_]  # whether the image gets a mask at all
    level: npt.NDArray[np.int64]  # the pixels above it are the mask
    area: Counts
    both: Counts  # pixels of the mask that show a nerve


def masks_of(evidence: Evidence, rule: Rule) -> Masks:
    """As lib.decision.rule.decide() does it to each map, without the cleaning."""
    area, both = above_level(evidence.pixels), above_level(evidence.true)
    level = effective_level(area, rule.threshold, rule.never_empty)
    image = np.arange(len(area))
    area, both = area[image, level], both[image, level]
    least = rule.least_area * evidence.pixels.sum(axis=1)
    shown = (presence_of(evidence, rule) >= rule.gate) & (area >= least) & (area > 0)
    return Masks(shown, level, np.where(shown, area, 0), np.where(shown, both, 0))


def presence_of(evidence: Evidence, rule: Rule) -> Floats:
    found = top_mean(evidence.pixels, rule.top_share)
    return blended(evidence.presence, found, rule.head_weight)


def effective_level(area: Counts, threshold: float, never_empty: bool) -> npt.NDArray[np.int64]:
    """(images,): that of the threshold, or of half the largest probability where none is above."""
    level = np.full(len(area), level_of(threshold))
    if never_empty:
        largest = (area > 0).sum(axis=1)  # as there are pixels above each probability below it
        level = np.where(area[:, level_of(threshold)] > 0, level, largest // 2)
    return level


class Sums(NamedTuple):
    """Of the images without and with a nerve of each part: their number, and scores added up."""

    images: Floats  # (parts, 2)
    scores: Floats  # (parts, 2, head weights, thresholds, areas, gates)
    head_weights: tuple[float, ...]

    def without(self, part: int | None) -> "Sums":
        """All parts but one, or all, as a single part."""
        kept = [k for k in range(len(self.images)) if k != part]
        images, scores = self.images[kept].sum(axis=0), self.scores[kept].sum(axis=0)
        return Sums(images[None], scores[None], self.head_weights)


def sums_of(evidence: Evidence, part: Parts, metric: Metric) -> Sums:
    """Scores every candidate on every image; `part` 0, 1, ... is that of each image."""
    truth = evidence.truth
    group = 2 * part + (truth > 0)
    groups = 2 * (int(part.max()) + 1)
    withheld = (truth == 0).astype(float)
    head_weights = HEAD_WEIGHTS if evidence.head else HEAD_WEIGHTS[:1]
    gains = np.empty((groups, len(head_weights), len(THRESHOLDS), len(AREAS), len(GATES)))
    place = [
        group * len(GATES)
        + np.searchsorted(GATES, presence_of(evidence, Rule(weight)), "right")
        - 1
        for weight in head_weights
    ]
    for t, a, gain in _gains(evidence, withheld, metric):
        for h in range(len(head_weights)):
            added = np.bincount(place[h], gain, groups * len(GATES)).reshape(groups, -1)
            gains[:, h, t, a] = added[:, ::-1].cumsum(axis=1)[:, ::-1]
    scores = np.bincount(group, withheld, groups)[:, None, None, None, None] + gains
    images = np.bincount(group, minlength=groups).astype(float)
    return Sums(images.reshape(-1, 2), scores.reshape(-1, 2, *gains.shape[1:]), head_weights)


def _gains(
    evidence: Evidence, withheld: Floats, metric: Metric
) -> Iterable[tuple[int, int, Floats]]:
    """Number of threshold and area, and what a mask by them scores more than an empty one."""
    areas, boths = above_level(evidence.pixels), above_level(evidence.true)
    pixels, image = evidence.pixels.sum(axis=1), np.arange(len(withheld))
    least_areas = list(enumerate(AREAS))
    for t, threshold in enumerate(THRESHOLDS):
        for never_empty in (True, False):  # a least area draws no other mask, it empties some
            level = effective_level(areas, threshold, never_empty)
            area = areas[image, level]
            gain = metric.of_counts(evidence.truth, area, boths[image, level]) - withheld
            for a, least in least_areas:
                if (least is None) == never_empty:
                    yield t, a, np.where(area >= (least or 0) * pixels, gain, 0)


def choose(sums: Sums, positive_share: float) -> Rule:
    """The best rule over all parts, for a set of which `positive_share` (0..1) shows a nerve.

    A share of 0 is that of the images themselves. Where none of those that count is empty, none is
    emptied: the gate is open.
    """
    shares = shares_of(sums.images.sum(axis=0), positive_share)
    number = np.maximum(sums.images.sum(axis=0), 1)
    expected = np.tensordot(shares / number, sums.scores.sum(axis=0), 1)
    if not shares[0]:
        expected = expected[:, :, :1, :1]
    for axis, width in enumerate(NEIGHBOURS.values(), start=1):
        expected = uniform_filter1d(expected, width, axis=axis, mode="nearest")
    best = np.argwhere(expected >= expected.max() - WHISKER)
    return min((rule_at(sums, *places) for places in best.tolist()), key=_strangeness)


def shares_of(images: Floats, positive_share: float) -> Floats:
    """(2,): what images without and with a nerve weigh in a score; `images` are their numbers."""
    if positive_share and images.all():
        return np.array([1 - positive_share, positive_share])
    return images / images.sum()


def weights_of(there: npt.NDArray[np.bool_], positive_share: float) -> Floats:
    """(images,), mean 1: what each counts where `positive_share` of the images show a nerve."""
    images = np.bincount(there, minlength=2).astype(np.float64)
    each = shares_of(images, positive_share) / np.maximum(images, 1)
    return len(there) * each[there.astype(np.int64)]


def weighted_mean(scores: Floats, there: npt.NDArray[np.bool_], positive_share: float) -> Floats:
    """Of (images, ...), expected where `positive_share` of the images show a nerve."""
    return np.tensordot(weights_of(there, positive_share), scores, 1) / len(there)


def rule_at(sums: Sums, head: int, threshold: int, area: int, gate: int) -> Rule:
    least = AREAS[area]
    return Rule(
        head_weight=sums.head_weights[head],
        gate=float(GATES[gate]),
        threshold=THRESHOLDS[threshold],
        never_empty=least is None,
        least_area=least or 0.0,
    )


def _strangeness(rule: Rule) -> tuple[float, ...]:
    """How far it is from half the head and the fixed rule."""
    return (
        abs(rule.threshold - Rule().threshold),
        rule.gate,
        rule.least_area,
        abs(rule.head_weight - 0.5),
    )
