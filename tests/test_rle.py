import contextlib
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lib import rle

HAND_WORKED = [
    ("", [[0, 0], [0, 0]]),
    ("1 1", [[1, 0], [0, 0]]),
    ("2 1", [[0, 0], [1, 0]]),  # down the column first
    ("3 1", [[0, 1], [0, 0]]),
    ("1 4", [[1, 1], [1, 1]]),
    ("2 2", [[0, 1], [1, 0]]),  # a run goes on at the top of the next column
    ("1 1 4 1", [[1, 0], [0, 1]]),
    ("2 1 5 2", [[0, 0, 1], [1, 0, 1]]),
    ("3 3", [[0, 1], [0, 1], [1, 0]]),
]


@pytest.mark.parametrize(("text", "mask"), HAND_WORKED)
def test_hand_worked_masks_are_encoded_and_decoded(text: str, mask: list[list[int]]) -> None:
    array = np.array(mask, dtype=np.uint8)
    assert rle.encode(array) == text
    assert np.array_equal(rle.decode(text, array.shape), array)


@given(
    arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 1))
)
def test_decoding_what_was_encoded_gives_the_mask(mask: np.ndarray) -> None:
    text = rle.encode(mask)
    assert np.array_equal(rle.decode(text, mask.shape), mask)
    assert rle.encode(rle.decode(text, mask.shape)) == text


@given(
    arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 1))
)
def test_the_pixels_named_are_those_that_a_plain_count_gives(mask: np.ndarray) -> None:
    numbers = list(map(int, rle.encode(mask).split()))
    named = [
        start + step
        for start, length in zip(numbers[::2], numbers[1::2], strict=True)
        for step in range(length)
    ]
    assert named == [number + 1 for number, pixel in enumerate(mask.T.reshape(-1)) if pixel]


def test_any_value_but_zero_is_nerve() -> None:
    assert rle.encode(np.array([[0, 255], [7, 0]], dtype=np.uint8)) == "2 2"
    assert rle.encode(np.array([[False, True]])) == "2 1"


BAD = [
    ("1 2 3", "pairs"),
    ("0 1", "at least 1"),
    ("1 0", "at least 1"),
    ("-3 2", "negative"),
    ("1 -2", "negative"),
    ("6 2", "outside"),
    ("7 1", "outside"),
    ("1 " + "9" * 30, "outside"),
    ("1 " + "9" * 5000, "outside"),
    ("9" * 5000 + " 1", "outside"),
    ("3 2 1 1", "starts before"),
    ("1 3 3 1", "overlaps"),
    ("a 1", "not a whole number"),
    ("1.0 2", "not a whole number"),
    ("1_0 2", "not a whole number"),
    ("+1 2", "not a whole number"),
    ("² 1", "not a whole number"),
    ("nan", "pairs"),
]


@pytest.mark.parametrize(("text", "complaint"), BAD)
def test_a_bad_string_names_the_image_and_what_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(rle.RleError, match=complaint) as caught:
        rle.decode(text, (2, 3), "12_7")
    assert str(caught.value).startswith("12_7: ")
    assert len(str(caught.value)) < 200


@given(st.text(alphabet="0123456789 -x", max_size=30))
def test_no_string_does_anything_but_decode_or_raise_its_error(text: str) -> None:
    try:
        mask = rle.decode(text, (3, 4))
    except rle.RleError:
        return
    assert mask.shape == (3, 4)
    assert mask.sum() == sum(map(int, text.split()[1::2]))


@pytest.mark.parametrize("text", ["1 " + "9" * 30, "1 243600", "5 1 243599 1"])
def test_decoding_allocates_little_more_than_the_mask(text: str) -> None:
    tracemalloc.start()
    with contextlib.suppress(rle.RleError):
        rle.decode(text, (420, 580))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.2 * 420 * 580
