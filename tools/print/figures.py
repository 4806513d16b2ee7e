"""A plot of the page -> SVG, PDF and PNG as wide as a journal's columns, to the point.

A unit of the page's charts is POINTS of print, so their text of 12 units is 7.5 points high, in the
narrow column and in the wide one alike. The font is one that vl-convert brings along, as wide as
Arial letter by letter. A PDF holds the letters that it needs; an SVG names the font.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lib.runtime.files import written_whole
from tools.page.vega import Plot, as_svg, vl_convert
from tools.print.in_grey import Chart, in_grey, kind_of, units
from tools.report.tables import MAP

WIDTHS = (85, 174)  # millimetres: one column of a page, and two
POINTS = 0.625  # of print, a unit of a chart
POINTS_A_MM = 72 / 25.4
BESIDE_MAP = 30  # units, of the labels of the map of places
UNITS_A_TICK = 75  # of an axis across
PPI = 300  # pixels an inch of a PNG
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"


class Drawing(NamedTuple):
    """What stands inside of an <svg>, in units of which `width` are the width of the figure."""

    content: str
    width: float
    height: float
    mm: float  # the width in print

    def svg(self, width: str, height: str) -> str:
        """The drawing of this size; numbers without a unit are points in a PDF."""
        space = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        view = f'viewBox="0 0 {self.width:g} {self.height:g}"'
        return f'<svg {space} width="{width}" height="{height}" {view}>{self.content}</svg>\n'

    @property
    def in_mm(self) -> str:
        return self.svg(f"{self.mm:g}mm", f"{self._high(self.mm):.3f}mm")

    @property
    def in_points(self) -> str:
        width = self.mm * POINTS_A_MM
        return self.svg(f"{width:.4f}", f"{self._high(width):.4f}")

    def _high(self, width: float) -> float:
        return width * self.height / self.width


def save_plot(plot: Plot, marks: Sequence[str], folder: Path) -> list[Path]:
    """Both widths; `marks` stand above a figure, which may be seen without its text."""
    files = []
    for mm in WIDTHS:
        files += save_drawing(drawing_of(plot, marks, mm), folder / f"{plot.name}_{mm}mm")
    return files


def drawing_of(plot: Plot, marks: Sequence[str], mm: float) -> Drawing:
    """What the page has as a heading is the title of the axis that has none."""
    fit, width = {"type": "fit-x", "contains": "padding"}, mm * POINTS_A_MM / POINTS
    wide = in_grey(plot.chart) | {"width": width, "autosize": fit, "background": "white"}
    wide["config"] = _for_print(wide["config"], ticks=round(width / UNITS_A_TICK))
    if marks:
        wide["title"] = {"text": ", ".join(marks), "anchor": "end"}
    for unit in units(wide):
        _name_axis(unit, plot.title)
        if kind_of(unit) == "rect":  # a picture keeps its shape
            wide["height"] = (width - BESIDE_MAP) * MAP[0] / MAP[1]
    return _drawing_in(as_svg(wide), mm)


def _drawing_in(svg: str, mm: float) -> Drawing:
    whole = re.fullmatch(r'<svg [^>]*viewBox="0 0 (\S+) (\S+)"[^>]*>(.*)</svg>', svg, re.S)
    assert whole, "vl-convert gives every svg a viewBox"
    return Drawing(whole[3], float(whole[1]), float(whole[2]), mm)


def _for_print(config: Chart, ticks: int) -> Chart:
    texts = {"title": {"fontSize": 12}, "text": {"fontSize": 12}}
    return config | texts | {"font": FONT, "axisXQuantitative": {"tickCount": ticks}}


def _name_axis(unit: Chart, title: str) -> None:
    axis = unit.get("encoding", {}).get("y", {})
    if axis.get("type") == "quantitative" and axis.get("title", "") is None:
        axis["title"] = title


def save_drawing(drawing: Drawing, stem: Path) -> list[Path]:
    """STEM.svg, STEM.pdf and STEM.png."""
    points = drawing.in_points
    contents = {
        ".svg": drawing.in_mm.encode(),
        ".pdf": pdf_of(drawing),
        ".png": vl_convert.svg_to_png(points, ppi=PPI),
    }
    files = []
    for suffix, content in contents.items():
        files.append(stem.with_name(stem.name + suffix))
        with written_whole(files[-1]) as file:
            file.write(content)
    return files


def pdf_of(drawing: Drawing) -> bytes:
    content: bytes = vl_convert.svg_to_pdf(drawing.in_points)
    return content
