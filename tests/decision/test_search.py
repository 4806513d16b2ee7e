from collections.abc import Callable, Sequence

import numpy as np
import pytest

from lib.decision import search as tuning
from lib.decision.rule import NEVER, Rule, decide, levels_of
from lib.decision.search import (
    AREAS,
    GATES,
    HEAD_WEIGHTS,
    THRESHOLDS,
    Evidence,
    Sums,
    choose,
    masks_of,
    presence_of,
    sums_of,
    weighted_mean,
    weights_of,
)
from lib.metric import Metric, Overlap, dice, iou, overlap

SHAPE = (16, 20)


def blob(random: np.random.Generator, top: float) -> np.ndarray:
    """A map uint8 with one smooth hill as high as `top`, 0..1, on some noise."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    row, column = random.uniform(5, 11), random.uniform(6, 14)
    hill = top * np.exp(-(((rows - row) / 3) ** 2 + ((columns - column) / 4) ** 2))
    return np.rint(255 * np.clip(hill + random.normal(0, 0.04, SHAPE), 0, 1)).astype(np.uint8)


def made_up(images: int, seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Maps, true masks (every third empty) and presences."""
    random = np.random.default_rng(seed)
    maps, truths = [], []
    for number in range(images):
        low, high = (0.5, 1.0) if number % 3 else (0.1, 0.7)
        maps.append(blob(random, random.uniform(low, high)))
        truths.append(((blob(random, 1.0) if number % 3 else maps[-1] * 0) > 110).astype(np.uint8))
    means = [0.65 if truth.any() else 0.35 for truth in truths]
    return maps, truths, np.clip(random.normal(means, 0.2), 0, 1)


def evidence_of(
    maps: Sequence[np.ndarray], truths: Sequence[np.ndarray], presence: np.ndarray, head: bool
) -> Evidence:
    return Evidence(
        np.stack([levels_of(probability) for probability in maps]),
        np.stack([levels_of(p, truth) for p, truth in zip(maps, truths, strict=True)]),
        presence,
        head,
    )


def every_rule(head: bool) -> list[tuple[tuple[int, ...], Rule]]:
    """With its place among the candidates."""
    weights = HEAD_WEIGHTS if head else HEAD_WEIGHTS[:1]
    return [
        (
            (h, t, a, g),
            Rule(
                head_weight=weight,
                gate=float(gate),
                threshold=threshold,
                never_empty=least is None,
                least_area=least or 0.0,
            ),
        )
        for h, weight in enumerate(weights)
        for t, threshold in enumerate(THRESHOLDS)
        for a, least in enumerate(AREAS)
        for g, gate in enumerate(GATES)
    ]


def test_every_candidate_scores_what_its_masks_score() -> None:
    """Brute force: each of 22,542 rules draws the masks of four images."""
    maps, truths, presence = made_up(4)
    sums = sums_of(evidence_of(maps, truths, presence, False), np.array([0, 1, 0, 1]), Metric.IOU)
    found = sums.scores.sum(axis=(0, 1))
    drawn = np.zeros_like(found)
    for place, rule in every_rule(head=False):
        masks = [decide(p, 0.0, rule) for p in maps]
        drawn[place] = sum(iou(overlap(t, m)) for t, m in zip(truths, masks, strict=True))
    assert np.abs(found - drawn).max() < 1e-9
    assert found.argmax() == np.round(drawn, 9).argmax()


@pytest.mark.parametrize(("metric", "score"), [(Metric.IOU, iou), (Metric.DICE, dice)])
def test_candidates_with_a_head_score_what_their_masks_score(
    metric: Metric, score: Callable[[Overlap], float]
) -> None:
    maps, truths, presence = made_up(12)
    sums = sums_of(evidence_of(maps, truths, presence, True), np.zeros(12, dtype=int), metric)
    rules = every_rule(head=True)
    for k in np.random.default_rng(0).integers(len(rules), size=200):
        place, rule = rules[k]
        masks = [decide(p, there, rule) for p, there in zip(maps, presence.tolist(), strict=True)]
        scores = [score(overlap(truth, mask)) for truth, mask in zip(truths, masks, strict=True)]
        assert sums.scores[0].sum(axis=0)[place] == pytest.approx(sum(scores))


def test_counts_tell_the_area_of_each_mask_that_is_drawn() -> None:
    maps, truths, presence = made_up(30)
    evidence = evidence_of(maps, truths, presence, True)
    rules = every_rule(head=True)
    for k in np.random.default_rng(1).integers(len(rules), size=40):
        rule = rules[k][1]
        found = masks_of(evidence, rule)
        for i, (probability, truth) in enumerate(zip(maps, truths, strict=True)):
            mask = decide(probability, float(presence[i]), rule)
            counts = overlap(truth, mask)
            assert (found.area[i], found.both[i]) == (counts.prediction, counts.both)
            assert found.shown[i] == mask.any()
            if found.shown[i]:
                assert np.array_equal(probability > found.level[i], mask)


def hits_only() -> Evidence:
    maps, truths, presence = made_up(60)
    kept = [k for k, truth in enumerate(truths) if truth.any()]
    maps = [maps[k] // (1 + k % 9) for k in kept]  # some of them hardly to be seen
    return evidence_of(maps, [truths[k] for k in kept], presence[kept], True)


def test_where_every_image_has_a_nerve_the_gate_is_open_and_none_is_emptied() -> None:
    evidence = hits_only()
    part = np.arange(len(evidence.presence)) % 5
    sums = sums_of(evidence, part, Metric.IOU)
    for left_out in (None, 0, 1, 2, 3, 4):
        rule = choose(sums.without(left_out), 0.0)
        assert (rule.gate, rule.least_area, rule.never_empty) == (0.0, 0.0, True)
        assert masks_of(evidence, rule).shown.all()
    assert (evidence.pixels[:, 128:].sum(axis=1) == 0).any()  # that .5 would have emptied


def test_where_no_image_has_a_nerve_none_gets_a_mask() -> None:
    maps, truths, presence = made_up(20)
    evidence = evidence_of(maps, [truth * 0 for truth in truths], presence, False)
    rule = choose(sums_of(evidence, np.zeros(20, dtype=int), Metric.IOU), 0.0)
    assert not masks_of(evidence, rule).shown.any()


def test_more_nerves_expected_in_the_test_set_mean_more_masks() -> None:
    maps, truths, presence = made_up(90)
    evidence = evidence_of(maps, truths, presence, False)
    sums = sums_of(evidence, np.zeros(90, dtype=int), Metric.IOU)
    shown = [
        masks_of(evidence, choose(sums, share)).shown.sum() for share in (0.05, 0.5, 0.95, 1.0)
    ]
    assert shown == sorted(shown)
    assert shown[0] < shown[-1] == 90


def test_a_share_as_in_the_images_changes_nothing() -> None:
    maps, truths, presence = made_up(30)
    sums = sums_of(evidence_of(maps, truths, presence, False), np.zeros(30, dtype=int), Metric.IOU)
    assert choose(sums, 0.0) == choose(sums, 20 / 30)


def surface(*regions: tuple[slice, slice, float]) -> Sums:
    """An image of either kind; candidates of these thresholds and gates score so much, others 0."""
    values = np.zeros((1, len(THRESHOLDS), len(AREAS), len(GATES)))
    for thresholds, gates, score in regions:
        values[0, thresholds, :, gates] = score
    return Sums(np.ones((1, 2)), np.stack([values, values])[None], (0.0,))


def test_a_plateau_is_chosen_before_a_peak_that_is_higher() -> None:
    plateau = slice(7, 10), slice(38, 43), 0.9  # thresholds .45 to .55, gates .38 to .42
    peak = slice(2, 3), slice(80, 81), 1.0
    rule = choose(surface(plateau, peak), 0.0)
    assert (rule.threshold, rule.gate) == (0.5, 0.4)


def test_of_equal_candidates_the_one_nearest_to_the_fixed_rule_is_chosen() -> None:
    rule = choose(surface(), 0.0)
    assert (rule.threshold, rule.gate, rule.least_area) == (0.5, 0.0, 0.0)


def test_the_candidates_hold_the_fixed_rule_and_that_of_no_masks() -> None:
    assert Rule().threshold in THRESHOLDS
    assert (GATES[0], GATES[-1]) == (0.0, NEVER)
    assert list(AREAS[:2]) == [None, 0.0]
    assert all(width % 2 for width in tuning.NEIGHBOURS.values())


def test_weights_make_the_mean_that_of_the_share() -> None:
    there, scores = np.array([True, False, False, False]), np.array([0.0, 1.0, 1.0, 0.4])
    assert weighted_mean(scores, there, 0.0) == pytest.approx(0.6)
    assert weighted_mean(scores, there, 0.5) == pytest.approx(0.4)
    assert weighted_mean(scores, there, 1.0) == pytest.approx(0.0)
    assert weights_of(there, 0.5).tolist() == pytest.approx([2, 2 / 3, 2 / 3, 2 / 3])
    assert weights_of(~there[:1] | True, 0.5).tolist() == [1.0]  # of one kind only


def test_presence_follows_the_head_alone_where_its_weight_is_one() -> None:
    maps, truths, presence = made_up(6)
    evidence = evidence_of(maps, truths, presence, True)
    assert np.array_equal(presence_of(evidence, Rule(head_weight=1.0)), presence)
