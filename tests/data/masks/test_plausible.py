"""Masks that no nerve can be: dots, copies, a class nobody has, outlines."""

import numpy as np
import pytest

from lib import rle
from lib.config.fields import Config
from lib.data.masks.plausible import Row, judged, measured

SHAPE = (40, 60)


def box(top: int = 5, left: int = 5, high: int = 20, wide: int = 20, line: int = 0) -> np.ndarray:
    """A rectangle, or its outline of so many pixels."""
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[top : top + high, left : left + wide] = 1
    if line:
        mask[top + line : top + high - line, left + line : left + wide - line] = 0
    return mask


def nerve(left: int = 5) -> np.ndarray:
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return ((rows - 15) ** 2 + (columns - left - 10) ** 2 <= 100).astype(np.uint8)


def rows(*masks: list[np.ndarray]) -> list[Row]:
    """A row for each image, of one mask a class."""
    return [
        {
            "image": f"i{number}",
            "subject": "",
            "height": SHAPE[0],
            "width": SHAPE[1],
            **{f"rle_mask_{k}": rle.encode(mask) for k, mask in enumerate(of)},
            "shapes": [measured(mask) for mask in of],
            "fits": [],
            "places": [None] * len(of),
        }
        for number, of in enumerate(masks)
    ]


def doubts(of: list[Row], classes: int = 1) -> list[str]:
    return judged(of, [f"rle_mask_{k}" for k in range(classes)], Config())


def test_usual_masks_are_not_doubted() -> None:
    assert doubts(rows(*([nerve(left=number)] for number in range(6)))) == []


@pytest.mark.parametrize(("count", "doubted"), [(5, True), (4, False)])
def test_five_rectangles_are_doubted(count: int, doubted: bool) -> None:
    found = doubts(rows(*([box(left=number)] for number in range(count))))
    told = "5 of 5 masks of 0 are rectangles, such as i0, i1, i2: boxes, no outlines"
    assert found == ([told] if doubted else [])


@pytest.mark.parametrize(("pixels", "doubted"), [(4, True), (5, False)])
def test_dots_are_doubted_up_to_four_pixels(pixels: int, doubted: bool) -> None:
    found = doubts(rows([box()], [box(high=1, wide=pixels)]))
    told = ["1 of 2 masks of 0 have 4 pixels or fewer, such as i1"]
    assert found == (told if doubted else [])


def test_a_class_that_nobody_has_is_doubted_by_its_name() -> None:
    found = doubts(rows(*([box(left=number), 0 * box()] for number in range(3))), classes=2)
    assert found == ["no image has a mask of 1"]


@pytest.mark.parametrize(("count", "doubted"), [(5, True), (4, False)])
def test_five_masks_that_are_alike_are_doubted(count: int, doubted: bool) -> None:
    found = doubts(rows(*([nerve()] for _ in range(count))))
    assert found == ([f"all {count} masks of 0 are alike, pixel by pixel"] if doubted else [])


def test_filled_outlines_name_their_class_and_say_where_they_hold_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outer = [box(left=left, high=30, wide=30, line=1) for left in range(3)]
    inner = [box(15, 15, 8, 8) * (left < 2) for left in range(3)]
    found = rows(*map(list, zip(outer, inner, strict=True)))
    assert doubts(found, classes=2) == []
    told = capsys.readouterr().out
    assert "3 of 3 masks of 0 are closed lines, such as i0, i1, i2: they are filled" in told
    assert "of 0 and of 1 overlap where they are filled, in 2 images such as i0" in told
    assert rle.decode(found[0]["rle_mask_0"], SHAPE).sum() == 900
