"""How far a mask can be trusted, for score.py, as decision.json says under "quality"."""

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class Trust(NamedTuple):
    """Of a mask; None where the training images could not tell."""

    expected: float | None  # 0..1: the score to expect of it
    unlike: float | None  # 0..1: the share of the training images that are less unlike the others


def expected(levels: Array, mask: Array, presence: float, about: dict[str, Any]) -> float | None:
    """`levels` 0..255 and `mask` 0/1 (height, width); `presence` is what the gate was held against.

    `about` has the knots of a class.
    """
    area = int(np.count_nonzero(mask))
    line = about["marked" if area else "empty"]
    if line is None:
        return None
    value = believed(levels, mask, area, about["metric"]) if area else -presence
    return float(np.interp(value, line["x"], line["y"]))


def believed(levels: Array, mask: Array, area: int, metric: str) -> float:
    """The expected overlap over the expected union; for Dice over the sum of both areas."""
    everything = float(levels.sum(dtype=np.int64)) / 255
    inside = float(levels.sum(dtype=np.int64, where=mask > 0)) / 255
    if metric == "Dice":
        return 2 * inside / (area + everything)
    return inside / (area + everything - inside)


def unlike(times: float, steps: list[float] | None) -> float | None:
    """The percentile of so many times the usual distance."""
    if steps is None:
        return None
    return float(np.interp(times, steps, np.linspace(0, 1, len(steps))))


def text_of(trust: Trust) -> str:
    """As a mask's file keeps it; `cells_of` reads it back."""
    return " ".join("-" if value is None else f"{value:.4f}" for value in trust)


def cells_of(text: str) -> list[str]:
    """Cells of a table: empty where a value, or all of it, is missing."""
    cells = text.split() if text else ["-", "-"]
    return ["" if cell == "-" else cell for cell in cells]
