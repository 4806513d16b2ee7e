"""A chart of the page -> one that is legible without colour.

Colours that stand beside each other differ in lightness. What colour tells is told by dashes or
shapes too. Dark means much, as ink does.
"""

import copy
from collections.abc import Iterator
from typing import Any

from tools.page.vega import PALETTE

Chart = dict[str, Any]

# Dark and light in turns, in place of PALETTE.
INKS = ["#1b4f80", "#f0a040", "#117755", "#e8a3c9", "#7a5c00", "#8fcdf0", "#6b2f10", "#b3b9f0"]

DASHES = [[1, 0], [6, 3], [2, 2], [9, 3, 2, 3], [12, 3], [1, 3], [6, 2, 2, 2, 2, 2], [3, 6]]

LONG_LINES = {"symbolType": "stroke", "symbolSize": 700}  # so that a legend shows whole dashes

CLOSED = {"width": {"band": 1.05}, "height": {"band": 1.05}}  # else paper shines through the seams

SHAPES = [
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    "triangle-left",
    "triangle-right",
]


def in_grey(chart: Chart) -> Chart:
    """A copy; the chart stays as it is."""
    found: Chart = _inked(copy.deepcopy(chart))
    for unit in units(found):
        _tell_twice(unit)
    return found


def _inked(part: Any) -> Any:
    """The same with INKS in place of the page's colours."""
    if isinstance(part, dict):
        return {name: _inked(value) for name, value in part.items()}
    if isinstance(part, list):
        return [_inked(value) for value in part]
    return INKS[PALETTE.index(part)] if part in PALETTE else part


def units(chart: Chart) -> Iterator[Chart]:
    """The chart, or each of its layers."""
    if "layer" not in chart:
        yield chart
    for layer in chart.get("layer", []):
        yield from units(layer)


def _tell_twice(unit: Chart) -> None:
    encoding = unit.get("encoding", {})
    colour, kind = encoding.get("color", {}), kind_of(unit)
    if kind == "rect":
        colour["scale"] = {"scheme": "greys"}
        unit["mark"] = {"type": "rect"} | CLOSED
    names = colour.get("scale", {}).get("domain", [])
    if colour.get("type") != "nominal" or len(names) < 2:
        return
    if kind == "line":
        encoding["strokeDash"] = _by(colour, names, DASHES)
        colour["legend"] = LONG_LINES
    if kind == "point":
        encoding["shape"] = _by(colour, names, SHAPES)


def kind_of(unit: Chart) -> str:
    """Of a unit: what it draws, such as line or rect."""
    mark = unit.get("mark", "")
    return str(mark["type"] if isinstance(mark, dict) else mark)


def _by(colour: Chart, names: list[str], signs: list[Any]) -> Chart:
    """The legend of colours shows the signs too, as both are of the same field and title."""
    chosen = [signs[place % len(signs)] for place in range(len(names))]
    scale = {"domain": names, "range": chosen}
    return {"field": colour["field"], "type": "nominal", "title": None, "scale": scale}
