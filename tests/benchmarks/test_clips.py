"""What benchmarks/clips.py counts, against tables worked by hand."""

import numpy as np
import pytest

from benchmarks.clips import delays, row
from tools.scoring.pipeline.score import Scorer


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


class Told(Scorer):
    """Finds in a frame what is brighter than a half."""

    def __init__(self) -> None:
        self.average = 0.5

    def start_clip(self) -> None:
        pass

    def masks(self, grey: np.ndarray) -> dict[str, np.ndarray]:
        return {"nerve": (grey > 127).astype(np.uint8)}


def test_the_row_of_a_clip_worked_by_hand() -> None:
    true = np.zeros((4, 2, 5), np.uint8)
    true[1:3, 0, :2] = 1  # there in the frames 1 and 2
    found = np.zeros_like(true)
    found[2:, 0, :2] = 1  # a frame late, and a frame too long
    found[2, 1, 4] = 1  # a speck
    clips = [list(zip(found * 255, true, strict=True))]
    # IoU 1, 0, 2/3, 0. The steps change wrongly 0, 3 and 1 pixels of 10.
    expected = "| 0.5 | 0.417 | 0.333 | 133.33 | -1 | 1.0 (1) | 1 of 2 |"
    assert row(Told(), clips) == expected
