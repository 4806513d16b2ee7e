import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from lib.decision.rule import (
    NEVER,
    Rule,
    above,
    blended,
    cleaned,
    compared,
    decide,
    has_pieces_or_holes,
    top_mean,
)
from lib.metric import Overlap

MAP = np.array([[0, 127, 128, 255]], dtype=np.uint8)
HALF = 0.5  # of the pixels: the mean of 128 and 255 is .75

DECISIONS = [
    (Rule(), 0.0, [0, 0, 1, 1]),
    (Rule(threshold=0.0), 0.0, [0, 1, 1, 1]),
    (Rule(threshold=1.0), 0.0, [0, 0, 0, 0]),
    (Rule(gate=0.75, top_share=HALF), 0.0, [0, 0, 1, 1]),
    (Rule(gate=0.76, top_share=HALF), 0.0, [0, 0, 0, 0]),
    (Rule(gate=0.76, head_weight=0.5, top_share=HALF), 0.77, [0, 0, 1, 1]),
    (Rule(gate=0.76, head_weight=0.5, top_share=HALF), 0.76, [0, 0, 0, 0]),
    (Rule(gate=0.4, head_weight=1.0, top_share=HALF), 0.4, [0, 0, 1, 1]),
    (Rule(gate=0.5, head_weight=1.0, top_share=HALF), 0.4, [0, 0, 0, 0]),
    (Rule(gate=NEVER, head_weight=1.0), 1.0, [0, 0, 0, 0]),
    (Rule(least_area=0.5), 0.0, [0, 0, 1, 1]),
    (Rule(least_area=0.51), 0.0, [0, 0, 0, 0]),
    (Rule(threshold=1.0, never_empty=True), 0.0, [0, 0, 1, 1]),  # above 255 // 2
    (Rule(threshold=0.9, never_empty=True), 0.0, [0, 0, 0, 1]),
    (Rule(threshold=1.0, never_empty=True, least_area=0.6), 0.0, [0, 0, 0, 0]),
]


@pytest.mark.parametrize(("rule", "presence", "expected"), DECISIONS)
def test_hand_worked_decisions(rule: Rule, presence: float, expected: list[int]) -> None:
    assert decide(MAP, presence, rule)[0].tolist() == expected


def test_a_map_of_zeros_is_empty_whatever_the_rule() -> None:
    rule = Rule(threshold=0.0, never_empty=True, components=1, fill_holes=True)
    assert not decide(np.zeros((3, 4), dtype=np.uint8), 1.0, rule).any()


def test_the_fixed_rule_is_what_training_compares_with() -> None:
    truth = np.array([[0, 1, 1, 0]], dtype=np.uint8)
    assert compared(truth, MAP, 0.5) == Overlap(truth=2, prediction=2, both=1)
    assert np.array_equal(above(MAP, 0.5), decide(MAP, 0.0, Rule()))


TOP = [  # levels of the pixels, share, mean of the largest
    ([0, 0, 0, 255], 0.25, 1.0),
    ([0, 0, 0, 255], 0.5, 0.5),
    ([0, 0, 0, 255], 0.0001, 1.0),  # one pixel at least
    ([51, 102, 153, 204], 1.0, 0.5),
    ([51, 102, 153, 204], 0.75, 0.6),
]


@pytest.mark.parametrize(("pixels", "share", "expected"), TOP)
def test_hand_worked_evidence(pixels: list[int], share: float, expected: float) -> None:
    levels = np.bincount(pixels, minlength=256)
    assert top_mean(levels[None], share)[0] == pytest.approx(expected)


def test_presence_is_a_mean_of_the_head_and_the_map() -> None:
    mixed = blended(np.array([0.8]), np.array([0.4]), 0.25)
    assert mixed[0] == pytest.approx(0.5)


PICTURE = """
.####....
.#..#..##
.#..#..##
.####....
.........
......#..
"""
CLEANED = [
    (0, False, PICTURE),
    (
        1,
        False,
        """
.####....
.#..#....
.#..#....
.####....
.........
.........
""",
    ),
    (
        2,
        True,
        """
.####....
.####..##
.####..##
.####....
.........
.........
""",
    ),
    (
        0,
        True,
        """
.####....
.####..##
.####..##
.####....
.........
......#..
""",
    ),
]


def drawn(picture: str) -> np.ndarray:
    return np.array([[c == "#" for c in row] for row in picture.split()], dtype=np.uint8)


@pytest.mark.parametrize(("components", "fill", "expected"), CLEANED)
def test_hand_worked_pieces_and_holes(components: int, fill: bool, expected: str) -> None:
    assert np.array_equal(cleaned(drawn(PICTURE), components, fill), drawn(expected))


def test_pieces_that_touch_at_a_corner_are_one_and_close_a_hole() -> None:
    ring = drawn(".#.\n#.#\n.#.")
    assert np.array_equal(cleaned(ring, 1, False), ring)
    assert np.array_equal(cleaned(ring, 0, True), drawn(".#.\n###\n.#."))


masks = arrays(np.uint8, (7, 9), elements=st.integers(0, 1))


@given(masks)
def test_holes_are_filled_as_scipy_does(mask: np.ndarray) -> None:
    assert np.array_equal(cleaned(mask, 0, True), ndimage.binary_fill_holes(mask))


@given(masks, st.integers(1, 3))
def test_the_largest_pieces_are_those_of_scipy(mask: np.ndarray, pieces: int) -> None:
    kept = cleaned(mask, pieces, False)
    labels, number = ndimage.label(mask, np.ones((3, 3)))
    sizes = sorted(np.bincount(labels.ravel())[1:], reverse=True)
    assert np.count_nonzero(kept) == sum(sizes[:pieces])
    assert ndimage.label(kept, np.ones((3, 3)))[1] == min(pieces, number)
    assert (kept <= mask).all()


@given(masks)
def test_what_has_neither_pieces_nor_holes_is_left_as_it_is(mask: np.ndarray) -> None:
    changed = any(
        not np.array_equal(cleaned(mask, pieces, fill), mask)
        for pieces in (0, 1, 2)
        for fill in (False, True)
    )
    assert has_pieces_or_holes(mask) == changed
