"""The one rasteriser, against hand-worked masks, the formula of the ellipse and OpenCV."""

from typing import Any

import cv2
import numpy as np
import pytest

from lib.data.formats.parts.polygon import ellipse, filled
from tests.data.formats.pictures import ANGLE, ANGLE_MASK, SHAPE, SLANTED, disc, is_near


def test_an_outline_at_whole_pixels_holds_exactly_the_pixels_inside() -> None:
    assert np.array_equal(filled(ANGLE, SHAPE), ANGLE_MASK)


def test_it_does_not_matter_where_an_outline_begins_and_which_way_it_goes() -> None:
    turned = np.roll(ANGLE[::-1], 2, axis=0)
    assert np.array_equal(filled(turned, SHAPE), ANGLE_MASK)


def test_a_slanted_outline_is_opencvs_but_for_the_edge() -> None:
    drawn = np.zeros(SHAPE, dtype=np.uint8)
    cv2.fillPoly(drawn, [np.rint(SLANTED).astype(np.int32)], 1)
    assert is_near(filled(SLANTED, SHAPE), drawn)


@pytest.mark.parametrize("turned", [0, 30, -60, 90])
def test_an_ellipse_is_that_of_the_formula_and_turns_clockwise(turned: float) -> None:
    about = (31.5, 22.0, 18.0, 9.0)
    found, told = filled(ellipse(*about, turned), SHAPE), disc(*about, turned)
    assert is_near(found, told)
    assert abs(int(found.sum()) - int(told.sum())) < 0.02 * told.sum()


def test_what_goes_a_little_beyond_the_image_is_cut_off() -> None:
    found = filled([(-5, -5), (10, -5), (10, 8), (-5, 8)], SHAPE)
    assert found[:8, :10].all()
    assert found.sum() == 80


BAD: list[tuple[Any, str]] = [
    ([(1, 1), (9, 9)], "three points or more"),
    ([1, 1, 9, 1, 9, 9], "made of x and y"),
    ([(1, 1, 1), (9, 1, 1), (9, 9, 1)], "made of x and y"),
    ([(1, 1), (float("nan"), 1), (9, 9)], "no number"),
    ([(1, 1), (float("inf"), 1), (9, 9)], "no number"),
    ([(1, 1), (129, 1), (9, 9)], "129, 1 is far outside"),
    ([(1, 1), (9, -49), (9, 9)], "9, -49 is far outside"),
    ([(-9, 1), (-1, 1), (-1, 9)], "as a whole outside"),
    ([(1, 48), (9, 50), (9, 60)], "as a whole outside"),
    ([(0.1, 0.2), (0.8, 0.2), (1, 1)], "shares of the image's size"),
    ([("a", 1), (9, 1), (9, 9)], "could not convert"),
    (None, "made of x and y"),
]


@pytest.mark.parametrize(("points", "complaint"), BAD)
def test_what_is_no_outline_in_the_image_is_refused(points: Any, complaint: str) -> None:
    with pytest.raises((ValueError, TypeError), match=complaint):
        filled(points, SHAPE)


def test_in_a_picture_of_four_pixels_an_outline_may_be_within_the_first() -> None:
    assert filled([(0, 0), (1, 0), (1, 1), (0, 1)], (2, 2)).tolist() == [[1, 0], [0, 0]]
