"""What benchmarks/clips.py counts, against tables worked by hand."""

import numpy as np
import pytest

from benchmarks.clips import changes, delays


@pytest.mark.parametrize(
    ("true", "found", "expected"),
    [
        ("0011100", "0011100", [0, 0]),
        ("0011100", "0001110", [1, 1]),
        ("0011100", "0111000", [-1, -1]),
        ("0011100", "0000000", [None, None]),
        ("0011100", "1111111", [None, None]),
        ("0011100", "0101110", [-1, 1]),  # of -1 and 1, equally near, the first
        ("0001111", "1000010", [2]),
        ("1110000", "1111110", [3]),
        ("0000000", "0100100", []),
    ],
)
def test_a_delay_is_the_way_to_the_nearest_change_of_its_kind(
    true: str, found: str, expected: list[int | None]
) -> None:
    assert delays(*(np.array([*word]) == "1" for word in (true, found))) == expected


def test_changes_are_shares_of_a_frame() -> None:
    frames = np.zeros((3, 2, 2), np.uint8)
    frames[1, 0, 0] = frames[2, 1] = 1
    assert changes(frames).tolist() == [0.25, 0.75]
    assert changes(np.array([True, False, False])).tolist() == [1, 0]
