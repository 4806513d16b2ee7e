"""Masks that lie wrong on their pictures are doubted, those that lie right are not."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from lib.data.masks.fitting import AROUND, FEWEST, TURNS, _fit, doubts_of, fits
from tests.conftest import tiny_image


def measured(change: Callable[[np.ndarray], np.ndarray], count: int = 40) -> list[list[float]]:
    found = []
    for seed in range(count):
        image, mask = tiny_image(seed, nerve=True)
        found.append(fits(image, np.ascontiguousarray(change(mask))))
    return found


def test_masks_that_lie_right_are_not_doubted() -> None:
    assert doubts_of(measured(lambda mask: mask)) == []


@pytest.mark.parametrize("name", [name for name in TURNS if "exchanged" not in name])
def test_masks_that_were_turned_are_doubted_by_the_turn(name: str) -> None:
    (doubt,) = doubts_of(measured(TURNS[name]))
    assert f"better {name}" in doubt


def test_exchanged_rows_and_columns_are_told_on_square_pictures() -> None:
    found = []
    for seed in range(40):
        image, mask = (picture[:60, 5:65] for picture in tiny_image(seed, nerve=True))
        found.append(fits(image, np.ascontiguousarray(mask.T)))
    assert any("rows and columns exchanged" in doubt for doubt in doubts_of(found))


def test_people_whose_frames_agree_by_chance_are_no_proof() -> None:
    """Twelve people of twenty frames, of whom seven seem to be mirrored."""
    found = [[1.0, 1.0 + (0.9 if k % 12 < 7 else -0.6), 1.0, 1.0, 1.0] for k in range(240)]
    assert len(doubts_of(found)) == 1
    assert doubts_of(found, [f"p{k % 12}" for k in range(240)]) == []


def test_of_few_people_one_whose_masks_fit_better_turned_is_no_proof() -> None:
    """Ten times the error of 120 images, and not twice that of their three people."""
    people = ["a"] * 40 + ["b"] * 40 + ["c"] * 40
    gains = [0.5 if person == "a" else 0.05 for person in people]
    measured = [[1.0, 1.0 + gain, 0.9, 0.9, 0.9] for gain in gains]
    assert doubts_of(measured) != []
    assert doubts_of(measured, people) == []
    assert doubts_of([[1.0, 1.5, 0.9, 0.9, 0.9]] * 120, people) != []
    assert doubts_of(measured, ["one"] * 120) == []


def test_few_images_and_masks_of_chance_tell_nothing() -> None:
    name = "mirrored left to right"
    assert doubts_of(measured(TURNS[name], FEWEST - 1)) == []
    random = np.random.default_rng(0)
    assert doubts_of([list(row) for row in random.normal(1, 0.3, (200, 1 + len(TURNS)))]) == []
    assert doubts_of([]) == []


def test_the_fit_is_that_of_the_whole_picture() -> None:
    steep = np.random.default_rng(0).random((60, 80), dtype=np.float32)
    for box in (np.s_[20:30, 30:50], np.s_[0:8, 70:80], np.s_[25:27, 0:80]):
        mask = np.zeros((60, 80), np.uint8)
        mask[box] = 1
        outline = (mask - cv2.erode(mask, np.ones((3, 3), np.uint8))).astype(bool)
        around = cv2.dilate(mask, np.ones((AROUND, AROUND), np.uint8)).astype(bool)
        assert _fit(steep, mask) == steep[outline].mean() / steep[around].mean()
