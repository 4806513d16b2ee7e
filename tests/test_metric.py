import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score

from lib.metric import (
    Metric,
    Overlap,
    area_under_curve,
    bootstrap_interval,
    bootstrap_means,
    dice,
    iou,
    mean_score,
    overlap,
)
from lib.training.learner import batch_scores

HAND_WORKED = [
    ([0, 0, 0, 0], [0, 0, 0, 0], 1.0, 1.0),  # both empty
    ([0, 0, 0, 0], [0, 0, 0, 1], 0.0, 0.0),  # a false alarm of one pixel
    ([0, 1, 1, 0], [0, 0, 0, 0], 0.0, 0.0),  # missed
    ([0, 1, 1, 0], [0, 1, 1, 0], 1.0, 1.0),
    ([0, 1, 1, 0], [0, 0, 1, 1], 1 / 3, 1 / 2),
    ([1, 1, 1, 1], [1, 0, 0, 0], 1 / 4, 2 / 5),
]


@pytest.mark.parametrize(("truth", "prediction", "expected_iou", "expected_dice"), HAND_WORKED)
def test_hand_worked_scores(
    truth: list[int], prediction: list[int], expected_iou: float, expected_dice: float
) -> None:
    counts = overlap(np.array([truth]), np.array([prediction]))
    assert iou(counts) == pytest.approx(expected_iou)
    assert dice(counts) == pytest.approx(expected_dice)


@pytest.mark.parametrize(("truth", "prediction", "expected_iou", "expected_dice"), HAND_WORKED)
def test_scores_of_a_batch_are_those_worked_by_hand(
    truth: list[int], prediction: list[int], expected_iou: float, expected_dice: float
) -> None:
    """Beside an image that is right, which changes nothing of it."""
    logits = torch.tensor([[0, 1, 0, 1], prediction]).view(2, 1, 2, 2) * 4.0 - 2
    truths = torch.tensor([[0, 1, 0, 1], truth], dtype=torch.uint8).view(2, 1, 2, 2)
    right, found = batch_scores(logits, truths, 0.5).tolist()
    assert right == [1, 1]
    assert found == pytest.approx([expected_iou, expected_dice])


@pytest.mark.parametrize(
    ("threshold", "expected"), [(0.2, 2 / 3), (0.4, 1.0), (0.7, 1 / 2), (0.95, 0.0)]
)
def test_a_batch_is_scored_by_the_pixels_above_the_threshold(
    threshold: float, expected: float
) -> None:
    logits = torch.tensor([0.1, 0.3, 0.6, 0.9]).logit().view(1, 1, 2, 2)
    truth = torch.tensor([0, 0, 1, 1]).view(1, 1, 2, 2)
    assert batch_scores(logits, truth, threshold)[0, 0].item() == pytest.approx(expected)


def test_a_batch_is_scored_by_the_mean_of_classes_and_a_soft_mask_is_cut_at_half() -> None:
    """Classes: one right, one missed of a soft mask whose .4 is no nerve."""
    logits = torch.tensor([[2.0, -2], [-2, -2]]).view(1, 2, 1, 2)
    masks = torch.tensor([[1.0, 0.4], [0.5, 0.4]]).view(1, 2, 1, 2)
    assert batch_scores(logits, masks, 0.5).tolist() == [[0.5, 0.5]]


masks = arrays(np.uint8, (2, 5, 6), elements=st.integers(0, 1))


@given(masks, masks)
def test_scores_equal_those_of_segmentation_models_pytorch(
    truths: np.ndarray, predictions: np.ndarray
) -> None:
    stats = smp.metrics.get_stats(
        torch.from_numpy(predictions)[:, None], torch.from_numpy(truths)[:, None], mode="binary"
    )
    counts = [overlap(*pair) for pair in zip(truths, predictions, strict=True)]
    theirs = smp.metrics.iou_score(*stats, reduction="micro-imagewise", zero_division=1.0)
    assert np.mean([iou(count) for count in counts]) == pytest.approx(float(theirs), abs=1e-6)
    theirs = smp.metrics.f1_score(*stats, reduction="micro-imagewise", zero_division=1.0)
    assert np.mean([dice(count) for count in counts]) == pytest.approx(float(theirs), abs=1e-6)


def test_the_interval_draws_subjects_not_images() -> None:
    # Two subjects of 50 equal frames: the mean is one of 0, 1/2, 1, so the interval is all of 0..1.
    scores = np.repeat([0.0, 1.0], 50)
    assert bootstrap_interval(scores, np.repeat(["a", "b"], 50)) == (0.0, 1.0)
    low, high = bootstrap_interval(scores, np.arange(100).astype(str)) or (0, 0)
    assert 0.38 < low < 0.43
    assert 0.57 < high < 0.62


def test_the_interval_of_equal_scores_is_that_score() -> None:
    assert bootstrap_interval(np.full(6, 0.25), np.array(list("aabbcc"))) == (0.25, 0.25)


def test_one_subject_has_no_interval() -> None:
    assert bootstrap_interval(np.array([0.1, 0.9]), np.array(["a", "a"])) is None


SCORES = [
    ([0.2, 0.4, 0.9], ["a", "a", "a"], None, (0.5, None, None, 1)),
    ([0.25, 0.25, 0.25], ["a", "b", "c"], None, (0.25, 0.25, 0.25, 3)),
    ([0.0, 1.0], ["a", "a"], [3.0, 1.0], (0.25, None, None, 1)),
    ([], [], None, (None, None, None, 0)),
]


@pytest.mark.parametrize(("values", "subjects", "weights", "expected"), SCORES)
def test_hand_worked_scores_of_images(
    values: list[float],
    subjects: list[str],
    weights: list[float] | None,
    expected: tuple[float | None, float | None, float | None, int],
) -> None:
    counted = None if weights is None else np.array(weights)
    found = mean_score(np.array(values), np.array(subjects, dtype=str), weights=counted)
    assert found == expected


def test_weights_count_images_as_often_as_they_say() -> None:
    scores, subjects = np.array([0.2, 0.8, 0.5]), np.array(["a", "b", "c"])
    twice = bootstrap_interval(np.repeat(scores, 2), np.repeat(subjects, 2))
    assert bootstrap_interval(scores, subjects, weights=np.full(3, 2.0)) == twice
    without = bootstrap_interval(scores[:2], subjects[:2])
    assert bootstrap_interval(scores, subjects, weights=np.array([1.0, 1.0, 0])) == without


def draw(random: np.random.Generator, people: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of like frames of people, and whose they are; the mean of all people is .6."""
    sizes = np.full(people, 12)
    means = random.normal(0.6, 0.15, people)
    scores = np.repeat(means, sizes) + random.normal(0, 0.1, sizes.sum())
    return scores, np.repeat(np.arange(people), sizes).astype(str)


@pytest.mark.parametrize("people", [6, 12, 40])
def test_the_interval_over_subjects_holds_the_truth_as_often_as_it_says_over_images_not(
    people: int,
) -> None:
    """Neither do the draws' middle 95 % where people are few: of 6 they hold it 87 times in 100."""
    random, times = np.random.default_rng(7), 800
    held, held_by_the_middle, held_over_images = 0, 0, 0
    for _ in range(times):
        scores, subjects = draw(random, people)
        low, high = bootstrap_interval(scores, subjects, 1000) or (1, 0)
        held += low <= 0.6 <= high
        means = bootstrap_means(scores, subjects, 1000)
        assert means is not None
        low, high = np.quantile(means, [0.025, 0.975])
        held_by_the_middle += low <= 0.6 <= high
        half = 1.96 * scores.std() / np.sqrt(len(scores))
        held_over_images += abs(scores.mean() - 0.6) <= half
    assert 0.92 <= held / times <= 0.98
    assert held_over_images / times <= 0.60
    if people == 6:
        assert held_by_the_middle / times <= 0.90


PRESENCE = [
    ([False, False, True, True], [0.1, 0.2, 0.3, 0.4], 1.0),
    ([True, False], [0.1, 0.2], 0.0),
    ([True, False, True], [0.5, 0.5, 0.5], 0.5),
    ([True, False, True, False], [0.9, 0.5, 0.3, 0.1], 0.75),
    ([True, True], [0.1, 0.2], None),
    ([False], [0.1], None),
]


@pytest.mark.parametrize(("there", "presence", "expected"), PRESENCE)
def test_hand_worked_areas_under_the_curve(
    there: list[bool], presence: list[float], expected: float | None
) -> None:
    assert area_under_curve(np.array(there), np.array(presence)) == expected


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=30))
def test_areas_under_the_curve_equal_those_of_scikit_learn(images: list[tuple[bool, int]]) -> None:
    there, presence = np.array(images).T
    found = area_under_curve(there > 0, presence.astype(float))
    if len(set(there.tolist())) > 1:
        assert found == pytest.approx(roc_auc_score(there, presence))


@given(st.lists(st.tuples(*[st.integers(0, 30)] * 3), min_size=1, max_size=20))
def test_scores_of_arrays_are_those_of_each_overlap(regions: list[tuple[int, int, int]]) -> None:
    counts = [Overlap(both + one, both + other, both) for one, other, both in regions]
    arrays = np.array(counts).T
    assert Metric.IOU.of_counts(*arrays).tolist() == [iou(count) for count in counts]
    assert Metric.DICE.of_counts(*arrays).tolist() == [dice(count) for count in counts]
