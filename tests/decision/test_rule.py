import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from lib import rle
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
from lib.decision.shapes import GRID, Shapes, fit_shapes, nearest_shape
from lib.metric import Overlap
from lib.runtime.errors import InputError

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
    assert np.array_equal(cleaned(drawn(PICTURE), components, fill, None), drawn(expected))


def test_pieces_that_touch_at_a_corner_are_one_and_close_a_hole() -> None:
    ring = drawn(".#.\n#.#\n.#.")
    assert np.array_equal(cleaned(ring, 1, False, None), ring)
    assert np.array_equal(cleaned(ring, 0, True, None), drawn(".#.\n###\n.#."))


masks = arrays(np.uint8, (7, 9), elements=st.integers(0, 1))


@given(masks)
def test_holes_are_filled_as_scipy_does(mask: np.ndarray) -> None:
    assert np.array_equal(cleaned(mask, 0, True, None), ndimage.binary_fill_holes(mask))


@given(masks, st.integers(1, 3))
def test_the_largest_pieces_are_those_of_scipy(mask: np.ndarray, pieces: int) -> None:
    kept = cleaned(mask, pieces, False, None)
    labels, number = ndimage.label(mask, np.ones((3, 3)))
    sizes = sorted(np.bincount(labels.ravel())[1:], reverse=True)
    assert np.count_nonzero(kept) == sum(sizes[:pieces])
    assert ndimage.label(kept, np.ones((3, 3)))[1] == min(pieces, number)
    assert (kept <= mask).all()


@given(masks)
def test_what_has_neither_pieces_nor_holes_is_left_as_it_is(mask: np.ndarray) -> None:
    changed = any(
        not np.array_equal(cleaned(mask, pieces, fill, None), mask)
        for pieces in (0, 1, 2)
        for fill in (False, True)
    )
    assert has_pieces_or_holes(mask) == changed


def ellipses(number: int, shape: tuple[int, int] = (60, 90)) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    found = []
    for _ in range(number):
        mask = np.zeros(shape, dtype=np.uint8)
        centre = tuple(random.integers(20, 40, 2).tolist())
        axes = tuple(random.integers(8, 16, 2).tolist())
        cv2.ellipse(mask, centre, axes, 0, 0, 360, 1, -1)
        found.append(mask)
    return found


def table_of(drawings: list[np.ndarray]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image": [str(k) for k in range(len(drawings))],
            "rle_mask": [rle.encode(mask) for mask in drawings],
            "height": drawings[0].shape[0],
            "width": drawings[0].shape[1],
        }
    )


def test_a_mask_is_projected_on_the_plane_of_mean_and_components() -> None:
    shapes = fit_shapes(table_of(ellipses(40)), "rle_mask", 5)
    assert shapes.mean.shape == (GRID[0] * GRID[1],)
    assert np.allclose(shapes.components @ shapes.components.T, np.eye(5), atol=1e-4)
    mask = np.zeros(GRID, dtype=np.uint8)
    mask[10:30, 20:50] = 1
    flat = mask.ravel() - shapes.mean
    expected = shapes.mean + shapes.components.T @ (shapes.components @ flat)
    assert np.array_equal(nearest_shape(mask, shapes).ravel(), expected > 0.5)


def test_a_speck_far_from_every_mask_is_projected_away_and_a_known_mask_stays() -> None:
    drawings = ellipses(40)
    shapes = fit_shapes(table_of(drawings), "rle_mask", 30)
    mask = drawings[0].copy()
    mask[55, 85] = 1
    near = nearest_shape(mask, shapes)
    assert near[55, 85] == 0
    overlap = 2 * (near & drawings[0]).sum() / (near.sum() + drawings[0].sum())
    assert overlap > 0.9


def test_a_projection_empties_no_mask() -> None:
    size = GRID[0] * GRID[1]
    nothing = Shapes(np.zeros(size, dtype=np.float32), np.zeros((1, size), dtype=np.float32))
    mask = drawn("##.\n...")
    assert np.array_equal(nearest_shape(mask, nothing), mask)
    assert np.array_equal(decide(mask * 255, 0.0, Rule(mask_pca=1), nothing), mask)


def test_more_components_than_masks_are_refused_with_the_number_allowed() -> None:
    with pytest.raises(
        InputError, match=r"mask_pca: 3: there are 3 masks .rle_mask. .* allowed here: 0 to 2"
    ):
        fit_shapes(table_of(ellipses(3)), "rle_mask", 3)
