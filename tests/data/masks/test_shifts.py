"""Masks that all lie beside what they mark are doubted, those that lie right are not."""

import cv2
import numpy as np
import pytest

from lib.data.masks.shifts import FEWEST_PEOPLE, Place, doubts_of, places

SIZE = (180, 256)


def frame(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Speckle, brighter towards the skin, with a bright ellipse; its mask."""
    random = np.random.default_rng(seed)
    mask = np.zeros(SIZE, dtype=np.uint8)
    centre = (int(random.integers(80, 170)), int(random.integers(60, 120)))
    cv2.ellipse(mask, centre, (40, 22), float(random.integers(0, 180)), 0, 360, 1, -1)
    grey = 110 - 0.3 * np.arange(SIZE[0])[:, None] + 40 * mask
    grey = grey * cv2.GaussianBlur(random.gamma(4, 0.25, SIZE), (0, 0), 1.5)
    return grey.clip(0, 255).astype(np.uint8), mask


def measured(
    down: int = 0, along: int = 0, people: int = 15, dark: bool = False, scale: int = 1
) -> list[tuple[str, Place | None]]:
    found = []
    for seed in range(2 * people):
        image, mask = frame(seed)
        image = 255 - image if dark else image
        image, mask = (of.repeat(scale, axis=0).repeat(scale, axis=1) for of in (image, mask))
        moved = np.roll(mask, (down, along), axis=(0, 1))
        found.append((f"p{seed // 2}", places(image, moved)))
    return found


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("move", [(0, 0), (1, 0), (0, -2)])
def test_masks_that_lie_right_or_two_pixels_beside_are_not_doubted(
    dark: bool, move: tuple[int, int]
) -> None:
    assert doubts_of(measured(*move, dark=dark)) == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    ("move", "told"),
    [((5, 0), "5 pixels up"), ((-5, 0), "5 pixels down"), ((0, 6), "6 pixels to the left")],
)
def test_masks_beside_are_doubted_with_the_way_back(
    dark: bool, move: tuple[int, int], told: str
) -> None:
    (doubt,) = doubts_of(measured(*move, dark=dark), " of nerve")
    assert f"the masks of nerve of 15 people fit their pictures better moved by {told}" in doubt


def test_pixels_are_those_of_the_picture() -> None:
    (doubt,) = doubts_of(measured(0, -12, scale=2))
    assert "12 pixels to the right" in doubt


def test_few_or_unknown_people_and_pictures_of_nothing_tell_nothing() -> None:
    assert doubts_of(measured(6, 0, people=FEWEST_PEOPLE - 1)) == []
    assert doubts_of([("", place) for _, place in measured(6, 0)]) == []
    assert doubts_of([]) == []
    _, mask = frame(0)
    assert places(mask * 0, mask) is None
    assert places(frame(0)[0], np.ones_like(mask)) is None
