"""The figure of examples: nobody chooses them, and it shows the masks that were scored."""

import re
from xml.etree import ElementTree

import cv2
import numpy as np
import pandas as pd
import pytest

from lib.decision.rule import Mask
from lib.metric import Metric
from tools.print.examples import Example, Frame, chosen
from tools.print.figures import POINTS_A_MM, WIDTHS, pdf_of
from tools.print.panels import figure_of

SHAPE = (60, 80)


def rows_of(scores: list[float], alarms: dict[str, int]) -> pd.DataFrame:
    """Images i0, i1, ... with a nerve and these scores, and others with a false mask."""
    shown = [(f"i{k}", score, 50, 60) for k, score in enumerate(scores)]
    return pd.DataFrame(
        [*shown, *((name, 0.0, area, 0) for name, area in alarms.items()), ("empty", 1.0, 0, 0)],
        columns=["image", "iou", "area", "true_area"],
    ).assign(dice=lambda table: table["iou"])


@pytest.mark.parametrize(
    ("scores", "alarms", "names"),
    [
        ([0.5, 0.1, 0.9, 0.3, 0.7], {}, ["i1", "i3", "i0", "i4", "i2"]),
        ([0.5, 0.5, 0.5, 0.5, 0.5], {}, ["i0", "i1", "i2", "i3", "i4"]),
        ([0.4, 0.2], {"a": 5, "b": 9, "c": 9}, ["i1", "i0", "b"]),
        ([], {"a": 5}, ["a"]),
        ([], {}, []),
    ],
    ids=["five", "equal", "two", "alarm", "none"],
)
def test_examples_are_those_at_the_quartiles_and_the_largest_false_alarm(
    scores: list[float], alarms: dict[str, int], names: list[str]
) -> None:
    rows = rows_of(scores, alarms)
    found = chosen(rows, Metric.IOU)
    assert [one.row["image"] for one in found] == names
    assert found == chosen(rows.sample(frac=1, random_state=1), Metric.IOU)


def mask_at(x: int) -> Mask:
    mask = np.zeros(SHAPE, dtype=np.uint8)
    cv2.ellipse(mask, (x, 30), (14, 8), 30, 0, 360, 1, -1)
    return mask


def frame(name: str = "1_1", empty: bool = False) -> Frame:
    mask = np.zeros(SHAPE, dtype=np.uint8) if empty else mask_at(45)
    row = {"image": name, "iou": 0.5, "dice": 0.667, "area": int(mask.sum()), "true_area": 9}
    grey = np.full(SHAPE, 90, dtype=np.uint8)
    return Frame(Example("median", row), grey, mask_at(35), mask)


def test_the_outlines_are_those_of_the_true_mask_and_of_the_scored_one() -> None:
    svg = figure_of({"nerve": [frame()]}, [], 85).content
    for colour, mask in (("#8fd3ff", mask_at(35)), ("#ffc14d", mask_at(45))):
        (path,) = re.findall(rf'd="M([^"]*)Z" fill="none" stroke="{colour}"', svg)
        line = np.array([point.split() for point in path.split("L")], dtype=np.int32)
        drawn = cv2.fillPoly(np.zeros_like(mask), [line], 1)
        assert np.count_nonzero(drawn != mask) < 0.03 * np.count_nonzero(mask)


def test_dashes_tell_the_predicted_outline_from_the_true_one() -> None:
    svg = figure_of({"nerve": [frame()]}, [], 85).content
    dashed = {line for line in re.findall(r"<path [^>]*>", svg) if "dasharray" in line}
    assert len(dashed) == 2  # in the legend, and around the mask
    assert all("#ffc14d" in line for line in dashed)


def test_an_image_without_a_mask_says_so() -> None:
    assert "Dice 0.667, no mask<" in figure_of({"nerve": [frame(empty=True)]}, [], 85).content
    assert "no mask" not in figure_of({"nerve": [frame()]}, [], 85).content


@pytest.mark.parametrize("mm", WIDTHS)
def test_the_figure_has_the_width_of_its_column_and_holds_any_name(mm: int) -> None:
    names = ["a<b>&\"'.png", "line\nbreak\x07.png", "x" * 300]
    frames = {"C5 & C6": [frame(name) for name in names], "vessel": [frame()]}
    drawing = figure_of(frames, ["LEAK"], mm)
    texts = [found.text or "" for found in ElementTree.fromstring(drawing.in_mm).iter()]
    assert "median: a<b>&\"'.png" in texts
    assert {"C5 & C6", "vessel", "LEAK"} < set(texts)
    assert max(map(len, texts)) < 80
    box = re.search(rb"/MediaBox ?\[0 0 ([\d.]+) ", pdf_of(drawing))
    assert box and float(box[1]) == pytest.approx(mm * POINTS_A_MM, abs=0.001)
