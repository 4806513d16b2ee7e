"""The box around a mask."""

import numpy as np

from lib.data.masks.box import box_of


def test_a_box_holds_all_of_the_mask_and_a_margin_that_ends_where_the_picture_does() -> None:
    mask = np.zeros((10, 20), np.uint8)
    mask[2, 5] = mask[7, 16] = 1
    pixels = np.arange(mask.size).reshape(mask.shape)
    np.testing.assert_array_equal(pixels[box_of(mask)], pixels[2:8, 5:17])
    np.testing.assert_array_equal(pixels[box_of(mask, margin=3)], pixels[0:10, 2:20])


def test_an_empty_mask_has_an_empty_box() -> None:
    mask = np.zeros((10, 20), np.uint8)
    assert mask[box_of(mask)].size == 0
