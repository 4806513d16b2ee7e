"""Distances of two masks: by hand, and beside MONAI's and DeepMind's on random masks."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import center_of_mass

from benchmarks.boundary_tools import FILE, random_pairs
from benchmarks.boundary_tools import hash_of as hash_of_masks
from lib.decision.boundary import Apart, Spacing, apart, boundary, centroid

PAIRS = list(random_pairs())
REFERENCE = json.loads(FILE.read_text())
THEIRS = dict(zip(REFERENCE["columns"], np.array(REFERENCE["scores"]).T, strict=True))


def square(top: int, left: int, side: int = 3) -> np.ndarray:
    mask = np.zeros((12, 16), np.uint8)
    mask[top : top + side, left : left + side] = 1
    return mask


NOTHING = square(0, 0, 0)
CASES: list[tuple[np.ndarray, np.ndarray, float, Spacing, Apart]] = [
    (NOTHING, NOTHING, 1, (1, 1), Apart(0, 0, 1, 0)),
    (NOTHING, square(1, 1), 1, (1, 1), Apart(20, 20, 0, 20)),  # 12, 16 and their diagonal
    (square(1, 1), NOTHING, 99, (1, 1), Apart(20, 20, 0, 20)),
    (square(1, 1), NOTHING, 1, (0.5, 0.5), Apart(10, 10, 0, 10)),
    (square(1, 1), square(1, 1), 0, (1, 1), Apart(0, 0, 1, 0)),
    (square(1, 1, 1), square(4, 5, 1), 4, (1, 1), Apart(5, 5, 0, 5)),
    (square(1, 1, 1), square(4, 5, 1), 5, (1, 1), Apart(5, 5, 1, 5)),  # the tolerance is within
    (square(1, 1, 1), square(4, 5, 1), 0.5, (0.1, 0.1), Apart(0.5, 0.5, 1, 0.5)),
    (square(1, 1, 1), square(4, 5, 1), 9, (2, 0.5), Apart(40**0.5, 40**0.5, 1, 40**0.5)),
    # A square of 3 has eight boundary pixels. Of those two columns to the right of another's three
    # are 2 away, two 1, and three lie on it.
    (square(1, 1), square(1, 3), 1, (1, 1), Apart(2, 1, 5 / 8, 2)),
]


@pytest.mark.parametrize(("truth", "prediction", "tolerance", "spacing", "expected"), CASES)
def test_distances_are_those_worked_by_hand(
    truth: np.ndarray,
    prediction: np.ndarray,
    tolerance: float,
    spacing: Spacing,
    expected: Apart,
) -> None:
    assert apart(truth, prediction, tolerance, spacing) == pytest.approx(expected)


def test_the_boundary_has_the_pixels_at_the_edge_of_the_picture_and_around_holes() -> None:
    mask = np.ones((5, 5), np.uint8)
    assert len(boundary(mask)) == 16
    mask[2, 2] = 0
    assert len(boundary(mask)) == 20  # those above, below and beside the hole, not across corners


def test_the_masks_are_those_that_the_other_programs_scored() -> None:
    assert hash_of_masks(PAIRS) == REFERENCE["masks"], "run benchmarks/boundary_tools.py again"
    assert len(PAIRS) == 1000
    assert len({pair.spacing for pair in PAIRS}) > 400


@pytest.fixture(scope="module")
def ours() -> np.ndarray:
    """(pairs, 3): hd95, assd, nsd."""
    return np.array(
        [apart(p.truth, p.prediction, p.tolerance, p.spacing)[:3] for p in PAIRS], dtype=float
    )


@pytest.mark.parametrize(("place", "name"), enumerate(("hd95", "assd", "nsd")))
def test_scores_are_monais(ours: np.ndarray, place: int, name: str) -> None:
    """The reference has seven digits."""
    assert ours[:, place] == pytest.approx(THEIRS[name], rel=2e-6, abs=2e-6)


# What half, and what 95 % of the pairs differ by at most; distances in diagonals of a pixel.
@pytest.mark.parametrize(
    ("place", "name", "half", "most"),
    [(0, "hd95", 0.17, 2.3), (1, "assd", 0.21, 1.2), (2, "nsd", 0.016, 0.12)],
)
def test_scores_are_near_those_of_a_boundary_between_the_pixels(
    ours: np.ndarray, place: int, name: str, half: float, most: float
) -> None:
    """DeepMind's: its pieces lie at the corners of pixels and count by their length."""
    unit = np.array([np.hypot(*pair.spacing) for pair in PAIRS]) if place < 2 else 1
    differences = np.abs(ours[:, place] - THEIRS[f"deepmind_{name}"]) / unit
    found = np.quantile(differences, [0.5, 0.95])
    assert (found <= [half, most]).all(), found


def test_centroids_are_scipys() -> None:
    for pair in PAIRS[:200]:
        assert centroid(pair.truth) == pytest.approx(center_of_mass(pair.truth))


@given(st.integers(0, 999), st.floats(0.01, 9))
def test_distances_grow_with_the_pixels_and_do_not_depend_on_the_order(
    number: int, size: float
) -> None:
    truth, prediction, (down, across), tolerance = PAIRS[number]
    found = apart(truth, prediction, tolerance, (down, across))
    other = apart(prediction, truth, size * tolerance, (size * down, size * across))
    assert other == pytest.approx(
        Apart(size * found.hd95, size * found.assd, found.nsd, size * found.centroid_distance)
    )
