"""The score to expect of a mask, by its map alone."""

import numpy as np
import pytest

from lib.metric import Metric, dice, iou, overlap
from lib.quality.expected import LEAST, believed, calibrated, expectation, nested

NOTHING = float("nan")
# Levels of four pixels, their mask, what IoU and Dice it believes in.
CASES = [
    ([255, 255, 0, 0], [1, 1, 0, 0], 1, 1),
    ([255, 255, 0, 0], [1, 0, 0, 0], 1 / 2, 2 / 3),
    ([255, 255, 0, 0], [1, 1, 1, 1], 1 / 2, 2 / 3),
    ([51, 51, 51, 51], [1, 1, 0, 0], 0.4 / 2.4, 0.8 / 2.8),
    ([0, 0, 0, 0], [1, 0, 0, 0], 0, 0),
    ([255, 255, 0, 0], [0, 0, 0, 0], NOTHING, NOTHING),
]


@pytest.mark.parametrize(("levels", "mask", "of_iou", "of_dice"), CASES)
def test_a_map_tells_what_its_mask_scores(
    levels: list[int], mask: list[int], of_iou: float, of_dice: float
) -> None:
    both = np.array([levels], np.uint8), np.array([mask], np.uint8)
    assert believed(*both, Metric.IOU) == pytest.approx(of_iou, nan_ok=True)
    assert believed(*both, Metric.DICE) == pytest.approx(of_dice, nan_ok=True)


def test_truths_drawn_from_a_map_score_what_it_believes() -> None:
    random = np.random.default_rng(0)
    levels = random.integers(0, 256, (30, 40), dtype=np.uint8)
    mask = (levels > 100).astype(np.uint8)
    draws = [overlap(random.random(levels.shape) < levels / 255, mask) for _ in range(300)]
    for metric, score in ((Metric.IOU, iou), (Metric.DICE, dice)):
        mean = np.mean([score(counts) for counts in draws])
        assert believed(levels, mask, metric) == pytest.approx(mean, abs=2e-3)


def test_a_calibration_rises_and_goes_through_the_middles_of_its_steps() -> None:
    values = np.arange(20.0)
    scores = np.where(values < 10, 0.2, 0.6) + np.where(values % 2, 0.1, -0.1)
    line = calibrated(values, scores)
    assert line is not None
    assert line.of(np.array([-5.0, 50.0])) == pytest.approx([0.1, 0.7])
    assert (np.diff(line.y) > 0).all()
    assert line.of(np.array([4.5, 14.5])) == pytest.approx([0.2, 0.6], abs=0.01)


def test_too_few_images_tell_nothing() -> None:
    assert calibrated(np.arange(LEAST - 1.0), np.zeros(LEAST - 1)) is None
    few = expectation(np.arange(5.0), np.ones(5), np.ones(5))
    assert np.isnan(few.of(np.array([0.5, NOTHING]), np.array([1.0, 0.0]))).all()


def test_an_empty_mask_is_likelier_right_the_less_presence_there_is() -> None:
    presence = np.linspace(0, 1, 40)
    empty = expectation(np.full(40, NOTHING), presence, (presence < 0.5).astype(float))
    found = empty.of(np.full(3, NOTHING), np.array([0.1, 0.5, 0.9]))
    assert found[0] == 1 and found[2] == 0


def test_the_scores_of_a_part_say_nothing_in_what_is_expected_of_it() -> None:
    random = np.random.default_rng(1)
    values, part = random.random(90), np.repeat([0, 1, 2], 30)
    scores = np.clip(values + random.normal(0, 0.1, 90), 0, 1)
    before = nested(values, np.ones(90), scores, part)
    turned = np.where(part == 1, 1 - scores, scores)
    after = nested(values, np.ones(90), turned, part)
    assert np.array_equal(before[part == 1], after[part == 1])
    assert not np.allclose(before[part != 1], after[part != 1])
    assert np.isnan(nested(values, np.ones(90), scores, np.zeros(90, np.int64))).all()
