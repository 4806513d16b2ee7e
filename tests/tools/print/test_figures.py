"""Charts for print: as wide as a column to the point, with their letters, legible in grey."""

import copy
import itertools
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import altair as alt
import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from tools.page.vega import PALETTE, WHOLE, Plot, colour, plot_of
from tools.print.figures import POINTS, POINTS_A_MM, PPI, WIDTHS, drawing_of, save_plot
from tools.print.in_grey import INKS, in_grey, units
from tools.report.calibration_charts import prior_plot
from tools.report.data_charts import curves_plot, places_plot

MM = pytest.mark.parametrize("mm", WIDTHS)


def curves(folds: int = 3) -> Plot:
    log = pd.DataFrame(
        [
            {"fold": str(k), "epoch": e, "validation_iou": 0.1 * k + 0.1 * e}
            for k in range(folds)
            for e in (1, 2, 3)
        ]
    )
    return curves_plot(log, "validation_iou", "Validation IoU", pd.DataFrame())


def points() -> Plot:
    table = pd.DataFrame({"x": [0.1, 0.2], "what": ["this", "that"]})
    names = ["this", "that"]
    chart = (
        alt.Chart(table)
        .mark_point(filled=True)
        .encode(x=alt.X("x:Q", scale=WHOLE), color=colour("what:N", names))
    )
    return plot_of("points", "Points", "Two.", chart, table)


def grey(path: Path) -> npt.NDArray[Any]:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))


@MM
def test_a_figure_is_as_wide_as_the_column_in_every_format(mm: int, tmp_path: Path) -> None:
    save_plot(curves(), [], tmp_path)
    stem = tmp_path / f"training_validation_iou_{mm}mm"
    svg = ElementTree.parse(stem.with_suffix(".svg")).getroot()
    assert svg.get("width") == f"{mm}mm"
    pdf = stem.with_suffix(".pdf").read_bytes()
    box = re.search(rb"/MediaBox ?\[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert box
    assert float(box[1]) == pytest.approx(mm * POINTS_A_MM, abs=0.001)
    high = float((svg.get("height") or "").removesuffix("mm"))
    assert float(box[2]) == pytest.approx(high * POINTS_A_MM, abs=0.01)
    assert grey(stem.with_suffix(".png")).shape[1] == pytest.approx(mm / 25.4 * PPI, abs=1)


def test_a_pdf_holds_the_letters_of_every_font_that_it_names(tmp_path: Path) -> None:
    save_plot(curves(), ["LEAK"], tmp_path)
    pdf = (tmp_path / "training_validation_iou_85mm.pdf").read_bytes()
    fonts = set(re.findall(rb"/FontName ?/(\S+?)[/\s]", pdf))
    assert {font.partition(b"+")[2] for font in fonts} == {
        b"LiberationSans",
        b"LiberationSans-Bold",
    }
    assert len(re.findall(rb"/FontFile[23]?\b", pdf)) == len(fonts)


@MM
def test_text_is_seven_to_eight_points_high_in_print(mm: int) -> None:
    content = drawing_of(prior(), ["LEAK"], mm).content
    sizes = {float(size) for size in re.findall(r'font-size="([\d.]+)px"', content)}
    assert sizes and all(7 <= size * POINTS <= 8 for size in sizes)


def prior() -> Plot:
    rows = [(share, what, share) for share in (0.0, 1.0) for what in ("rules", "empty")]
    return prior_plot(pd.DataFrame(rows, columns=["share", "what", "score"]), "IoU", 0.4)


def test_marks_and_the_heading_of_the_page_are_in_the_figure() -> None:
    content = drawing_of(curves(), ["LEAK", "QUARANTINE"], 85).content
    assert ">LEAK, QUARANTINE<" in content
    assert ">Validation IoU<" in content


def encodings(plot: Plot) -> list[dict[str, Any]]:
    return [unit["encoding"] for unit in units(in_grey(plot.chart))]


@pytest.mark.parametrize("plot", [curves(), curves(8), prior()], ids=["three", "eight", "prior"])
def test_lines_that_colour_tells_apart_have_dashes_of_their_own(plot: Plot) -> None:
    lines = [
        found for found in encodings(plot) if "domain" in found.get("color", {}).get("scale", {})
    ]
    (found,) = lines
    scale = found["strokeDash"]["scale"]
    assert scale["domain"] == found["color"]["scale"]["domain"]
    assert len({str(dash) for dash in scale["range"]}) == len(scale["domain"]) > 1


def test_points_that_colour_tells_apart_have_shapes_of_their_own() -> None:
    (found,) = encodings(points())
    assert found["shape"]["scale"]["domain"] == ["this", "that"]
    assert len(set(found["shape"]["scale"]["range"])) == 2


def lightness(code: str) -> float:
    """L* of CIELAB, 0 to 100."""
    rgb = [int(code[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    y = float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
    return 116 * y ** (1 / 3) - 16


def test_inks_beside_each_other_differ_in_lightness() -> None:
    assert len(INKS) == len(set(INKS)) == len(PALETTE)
    found = [lightness(ink) for ink in INKS]
    assert min(abs(a - b) for a, b in itertools.pairwise(found)) > 25


def test_the_ink_of_a_map_tells_how_much(tmp_path: Path) -> None:
    share = np.zeros((21, 29))
    share[10, 14] = 1
    save_plot(places_plot(share), [], tmp_path)
    picture = grey(tmp_path / "mask_places_174mm.png")
    height, width = picture.shape
    assert 0.6 < height / width < 0.95  # as the image's: 420 to 580, and a legend
    below = picture[height // 3 :]
    assert (below < 60).mean() == pytest.approx(1 / 609 / (2 / 3), rel=0.5)


def test_the_chart_of_the_page_stays_as_it_is() -> None:
    plot = curves()
    before = copy.deepcopy(plot.chart)
    drawing_of(plot, ["LEAK"], 85)
    assert plot.chart == before
