"""A chart -> its Vega-Lite specification, for the page and as a PNG; and the script that draws it.

Vega-Altair, because one specification serves both; because its script for a page that needs no
network is .9 MB (plotly.js, of which Python's package brings the whole, is 4.5 MB) and draws SVG,
which follows the page's colours in light, dark and print; and because vl-convert draws PNGs without
a browser. Colours are told apart by people who see no red or green (Okabe and Ito 2008), and what
colour tells is told by shape or dashes too.
"""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import altair as alt
import pandas as pd

from lib.runtime.errors import InputError
from lib.runtime.files import written_whole

try:
    import vl_convert
except ImportError:  # some platforms have no wheel of it: the page's tables tell the same
    vl_convert = None  # type: ignore[assignment]

BLUE, ORANGE, GREEN, GREY = "#3a87c8", "#d9772b", "#1f9e77", "#868e96"

PALETTE = [BLUE, ORANGE, GREEN, "#b86bab", "#b8930b", "#5fb0d9", "#a05a2c", "#6f7bd6"]

FONT = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"

PNG_WIDTH = 620  # of a plot without a page to fill

WHOLE = alt.Scale(domain=[0, 1])

STYLE: dict[str, Any] = {
    "font": FONT,
    "view": {"stroke": None, "continuousHeight": 240},
    "axis": {
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "gridColor": "#e3e6ea",
        "domainColor": "#b9c0c8",
        "tickColor": "#b9c0c8",
    },
    "legend": {
        "orient": "top",
        "labelFontSize": 12,
        "labelLimit": 300,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "columns": 2,
    },
    "line": {"strokeWidth": 2},
}


class Plot(NamedTuple):
    """A figure of the page, and what is said of it to those who do not see it."""

    name: str  # of the file, and in the page
    title: str
    about: str
    chart: dict[str, Any]  # its Vega-Lite specification
    table: pd.DataFrame  # the same in figures


def colour(field: str, domain: list[str]) -> alt.Color:
    return alt.Color(
        field, scale=alt.Scale(domain=domain, range=PALETTE[: len(domain)]), title=None
    )


def tooltips(table: pd.DataFrame) -> list[alt.Tooltip]:
    return [
        alt.Tooltip(f"{name}:Q", format=".4~g")
        if pd.api.types.is_numeric_dtype(table[name])
        else alt.Tooltip(f"{name}:N")
        for name in map(str, table.columns)
    ]


def plot_of(
    name: str, title: str, about: str, chart: alt.TopLevelMixin, table: pd.DataFrame
) -> Plot:
    told = {"description": f"{title}. {about}"}  # Vega makes it the aria-label
    return Plot(name, title, about, specification(chart) | told, table)


def specification(chart: alt.TopLevelMixin) -> dict[str, Any]:
    """In Vega-Lite's own words, without a width. Not validated: Altair's types have done that."""
    with alt.data_transformers.enable("default", max_rows=None):  # its limit is for notebooks
        found: dict[str, Any] = chart.to_dict(validate=False)
    return found | {"config": STYLE}


def for_page(chart: dict[str, Any]) -> dict[str, Any]:
    """A specification as wide as its place on the page, and with no background of its own."""
    fit = {"type": "fit-x", "contains": "padding"}
    return chart | {"width": "container", "autosize": fit, "background": "transparent"}


def save_pngs(plots: Iterable[Plot], folder: Path) -> None:
    """A PNG a plot; without vl-convert none, and it says so."""
    if vl_convert is None:
        print("vl-convert-python is not installed: no plots in report.html and none in plots/")
        return
    for plot in plots:
        _save_png(plot, folder)


def _save_png(plot: Plot, folder: Path) -> None:
    alone = plot.chart | {"width": PNG_WIDTH, "title": plot.title, "background": "white"}
    content = vl_convert.vegalite_to_png(alone, vl_version=_grammar(), scale=2)
    with written_whole(folder / f"{plot.name}.png") as file:
        file.write(content)


def as_svg(chart: dict[str, Any]) -> str:
    """A specification as a drawing; InputError without vl-convert."""
    if vl_convert is None:
        raise InputError("figures need a package: pip install vl-convert-python")
    drawing: str = vl_convert.vegalite_to_svg(chart, vl_version=_grammar())
    return drawing


def script(folder: Path) -> str:
    """Vega, Vega-Lite and vega-embed as one JavaScript.

    It takes a second to bundle, so it is kept in the folder. Empty without vl-convert.
    """
    if vl_convert is None:
        return ""
    path = folder / f"vega-{_grammar()}-{version('vl-convert-python')}.js"
    if not path.is_file():
        with written_whole(path) as file:
            file.write(_bundle().encode())
    return path.read_text(encoding="utf-8")


@cache
def _bundle() -> str:
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", _grammar())


def _grammar() -> str:
    """The version of Vega-Lite that Altair writes, as vl-convert knows it: 6.1 for v6.1.0."""
    return ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
