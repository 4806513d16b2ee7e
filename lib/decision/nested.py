"""The rules of 04, each chosen without the images that it is scored on, and what they do.

Most of a rule is chosen from counts (search.py). Pieces and holes are counted on masks, which
takes a second reading of the probabilities, with the rest of the rule as it was chosen: images that
no rule gives a mask are not read, masks of one piece without a hole are not cleaned.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib.artifacts.folds import Folds, true_mask
from lib.artifacts.probabilities import Probability
from lib.config.fields import Config
from lib.decision.evidence import Unseen, open_all
from lib.decision.rule import Mask, Rule, cleaned, decide, has_pieces_or_holes
from lib.decision.search import (
    Evidence,
    Masks,
    Parts,
    choose,
    masks_of,
    presence_of,
    sums_of,
    weighted_mean,
)
from lib.folds.balance import balance
from lib.metric import Counts, Floats, Metric, overlap
from lib.runtime.threads import with_bar

PARTS = 5  # of the images, where there are fewer than three folds


class Cleaning(NamedTuple):
    """The last fields of a rule."""

    components: int
    fill_holes: bool


class Areas(NamedTuple):
    """Pixels of each image's mask, and those of them that show a nerve."""

    area: Counts
    both: Counts


class Decided(NamedTuple):
    """Of one class."""

    rule: Rule  # chosen on all images, or fixed: for the test images
    nested_rules: list[Rule]  # of each part of the images: chosen without it
    nested: Areas  # of each image, by the rule of its part
    presence: Floats  # what that rule holds against its gate
    tuned: Areas  # by `rule`
    fixed: Areas  # of the pixels above probability_threshold


def decide_all(unseen: Unseen, part: Parts, folds: Folds, config: Config) -> list[Decided]:
    """The rules of each class, and their masks of the images; `part` is `parts_of` them.

    Where that is one part, nothing is chosen: all rules are the fixed one.
    """
    rules = [_rules(evidence, part, config) for evidence in unseen.evidence]
    masks = [
        [masks_of(evidence, rule) for rule in of_class]
        for evidence, of_class in zip(unseen.evidence, rules, strict=True)
    ]
    candidates = cleanings(part)
    counts = [_uncleaned(of_class, len(candidates)) for of_class in masks]
    if part.any():
        _count_cleaned(counts, unseen, masks, candidates, folds, config)
    return [
        _decided(*of_class, part, candidates, config)
        for of_class in zip(unseen.evidence, rules, counts, strict=True)
    ]


def nested_masks(
    planes: Probability, presence: Sequence[float], part: int, decided: Sequence[Decided]
) -> list[Mask]:
    """The masks of an image of the part, one a class, each by the rule chosen without the part.

    `planes` (classes, height, width) and `presence`, one a class, are of its probability file.
    """
    rules = [found.nested_rules[part] for found in decided]
    return [decide(*of_class) for of_class in zip(planes, presence, rules, strict=True)]


def parts_of(table: pd.DataFrame, config: Config) -> Parts:
    """The part 0, 1, ... of each image: a rule is chosen without one part and scored on it.

    The folds, or, of fewer than three, parts of like size whose groups are whole. A single part
    where nothing is to be chosen, or there is one group only.
    """
    fold, names = pd.factorize(table["fold"], sort=True)
    if len(names) >= 3 and config.tune_decision:
        return np.asarray(fold, dtype=np.int64)
    group, names = pd.factorize(table["group"], sort=True)
    parts = min(PARTS, len(names))
    if parts < 2 or not config.tune_decision:
        return np.zeros(len(table), dtype=np.int64)
    images = np.bincount(group)[:, None].astype(np.float64)
    return balance(images, [1 / parts] * parts)[group]


def cleanings(part: Parts) -> list[Cleaning]:
    """The candidates; the first leaves a mask as it is. It alone where nothing is chosen."""
    if not part.any():
        return [Cleaning(0, False)]
    return [Cleaning(pieces, fill) for pieces in (0, 1, 2) for fill in (False, True)]


def _rules(evidence: Evidence, part: Parts, config: Config) -> list[Rule]:
    """That of all images, then that without each part."""
    number = int(part.max()) + 1
    if number == 1:
        return [Rule(threshold=config.probability_threshold)] * 2
    sums = sums_of(evidence, part, Metric(config.metric))
    return [
        choose(sums.without(left_out), config.test_positive_share)
        for left_out in (None, *range(number))
    ]


def _uncleaned(rules: list[Masks], candidates: int) -> Counts:
    """(rules, images, candidates, 2): area and overlap of each image's mask."""
    each = np.stack([np.stack([rule.area, rule.both], axis=-1) for rule in rules])
    return np.repeat(each[:, :, None], candidates, axis=2)


def _count_cleaned(
    counts: list[Counts],
    unseen: Unseen,
    masks: list[list[Masks]],
    candidates: list[Cleaning],
    folds: Folds,
    config: Config,
) -> None:
    """Puts into the counts of each class (`_uncleaned`) those of the masks that are cleaned."""
    shown = np.array([[rule.shown for rule in of_class] for of_class in masks])
    rows = unseen.table.assign(place=range(len(unseen.table)))[shown.any(axis=(0, 1))]
    with open_all(unseen.table, folds, config) as files:

        def clean(row: dict[str, Any]) -> list[dict[int, Counts]]:
            planes = files[row["fold"]][row["image"]]
            of_classes = zip(planes, folds.masks, masks, strict=True)
            return [
                _by_level(plane, row, column, _levels(rules, row["place"]), candidates)
                for plane, column, rules in of_classes
            ]

        found = with_bar(clean, rows.to_dict("records"), "pieces and holes")
        for place, by_class in zip(rows["place"], found, strict=True):
            for rules, by_level, count in zip(masks, by_class, counts, strict=True):
                for number, rule in enumerate(rules):
                    if rule.shown[place] and rule.level[place] in by_level:
                        count[number, place] = by_level[rule.level[place]]


def _levels(rules: list[Masks], place: int) -> set[int]:
    """Those above which the pixels are the image's mask, by any of the rules."""
    return {int(rule.level[place]) for rule in rules if rule.shown[place]}


def _by_level(
    plane: Probability,
    row: dict[str, Any],
    column: str,
    levels: set[int],
    candidates: list[Cleaning],
) -> dict[int, Counts]:
    """(candidates, 2) of each level whose mask a cleaning may change."""
    masks = {level: (plane > level).astype(np.uint8) for level in levels}
    masks = {level: mask for level, mask in masks.items() if has_pieces_or_holes(mask)}
    if not masks:
        return {}
    truth = true_mask(row, column)
    return {level: _of_each(mask, truth, candidates) for level, mask in masks.items()}


def _of_each(mask: Mask, truth: Mask, candidates: list[Cleaning]) -> Counts:
    counts = [overlap(truth, cleaned(mask, *candidate)) for candidate in candidates]
    return np.array([(count.prediction, count.both) for count in counts], dtype=np.int64)


def _decided(
    evidence: Evidence,
    rules: list[Rule],
    counts: Counts,
    part: Parts,
    candidates: list[Cleaning],
    config: Config,
) -> Decided:
    best = _best_cleanings(evidence.truth, counts, part, config)
    rules = [replace(rule, **candidates[k]._asdict()) for rule, k in zip(rules, best, strict=True)]
    image, own = np.arange(len(part)), 1 + part  # the rule chosen without the image
    nested, tuned = counts[own, image, np.array(best)[own]], counts[0, :, best[0]]
    presence = np.stack([presence_of(evidence, rule) for rule in rules])
    fixed = masks_of(evidence, Rule(threshold=config.probability_threshold))
    return Decided(
        rules[0],
        rules[1:],
        Areas(nested[:, 0], nested[:, 1]),
        presence[own, image],
        Areas(tuned[:, 0], tuned[:, 1]),
        Areas(fixed.area, fixed.both),
    )


def _best_cleanings(truth: Counts, counts: Counts, part: Parts, config: Config) -> list[int]:
    """Of each rule, on the images that chose it; of equals the first."""
    metric = Metric(config.metric)
    scores = metric.of_counts(truth[:, None], counts[..., 0], counts[..., 1])
    left_out = [-1, *range(len(counts) - 1)] if part.any() else [-1, -1]
    means = [
        weighted_mean(of_rule[part != out], truth[part != out] > 0, config.test_positive_share)
        for of_rule, out in zip(scores, left_out, strict=True)
    ]
    return [int(np.round(mean, 9).argmax()) for mean in means]
