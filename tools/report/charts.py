"""The plots: one Vega-Lite specification each, drawn live on the page and into runs/x/plots/*.png.

Vega-Altair, because one specification serves both; because its script for a page that needs no
network is .9 MB (plotly.js, of which Python's package brings the whole, is 4.5 MB) and draws SVG,
which follows the page's colours in light, dark and print; and because vl-convert draws PNGs without
a browser. Colours are told apart by people who see no red or green (Okabe and Ito 2008), and what
colour tells is told by shape or dashes too.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import pandas as pd
import vl_convert

from lib.decision.text import NAMES
from lib.runtime.files import written_whole
from tools.report.reference import REFERENCE_IOU

BLUE, ORANGE, GREEN, GREY = "#3a87c8", "#d9772b", "#1f9e77", "#868e96"
PALETTE = [BLUE, ORANGE, GREEN, "#b86bab", "#b8930b", "#5fb0d9", "#a05a2c", "#6f7bd6"]
FONT = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
PNG_WIDTH = 620  # of a plot without a page to fill
SCORE_BINS = 20
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
    chart: alt.TopLevelMixin
    table: pd.DataFrame  # the same in figures


def scores_plot(decision: dict[str, Any], probability_threshold: float) -> Plot:
    """Every way to decide, with its interval, beside empty masks."""
    parts = {"all": "all images", "with_nerve": "images with a nerve"}
    if not decision["scores"]["all"]["all_empty"]:
        del parts["all"]  # they are the same
    rows = _ways(decision, parts, probability_threshold) + _yardsticks(decision, parts)
    table = pd.DataFrame(rows, columns=["rule", "of", "score", "low", "high"])
    base = alt.Chart(table).encode(
        y=alt.Y("rule:N", sort=None, title=None, axis=_labels_above()),
        yOffset=alt.YOffset("of:N", sort=list(parts.values()), scale=alt.Scale(range=[15, 43])),
        color=_colour("of:N", list(parts.values())),
    )
    axis = alt.Axis(tickCount=10)
    dots = base.mark_point(filled=True, size=70, opacity=1).encode(
        x=alt.X("score:Q", title=f"mean {decision['metric']}", scale=WHOLE, axis=axis),
        shape=alt.Shape("of:N", legend=None),
        tooltip=_tooltips(table),
    )
    lines = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q")
    about = "Mean scores with 95 % intervals over subjects; only the first is to be quoted."
    chart = (lines + dots).properties(height=50 * table["rule"].nunique())
    return Plot("scores", "Scores of every way to decide", about, chart, table)


def _ways(
    decision: dict[str, Any], parts: dict[str, str], probability_threshold: float
) -> list[dict[str, Any]]:
    """A row a rule and part; where nothing was chosen all rules are the fixed one."""
    metric = decision["metric"].lower()
    ways = {"nested": decision["scores"]} | decision["other_scores"]
    if not decision["chosen_on_these_images"]:
        ways = {name: way for name, way in ways.items() if name not in ("nested", "tuned")}
    return [
        _way(NAMES[name].format(threshold=probability_threshold), of, way[part], metric)
        for name, way in ways.items()
        for part, of in parts.items()
        if way[part][metric] is not None
    ]


def _way(rule: str, of: str, part: dict[str, Any], metric: str) -> dict[str, Any]:
    low, high = part[f"{metric}_interval"] or (None, None)
    return {"rule": rule, "of": of, "score": part[metric], "low": low, "high": high}


def _yardsticks(decision: dict[str, Any], parts: dict[str, str]) -> list[dict[str, Any]]:
    """Empty masks and, of a set like its own, with a nerve everywhere, the reference run."""
    whole, of = decision["scores"]["all"], next(iter(parts.values()))
    rows = [{"rule": "all masks empty", "of": of, "score": whole["all_empty"]}]
    if decision["metric"] == "IoU" and not whole["all_empty"]:
        words = "Hydrogen Torch's, on 427 frames of other folds"
        rows.append({"rule": words, "of": of, "score": REFERENCE_IOU})
    return rows


def _labels_above() -> alt.Axis:
    """Of a row of 50 pixels: so that a narrow window leaves room for the plot."""
    return alt.Axis(
        labelAlign="left",
        labelPadding=-2,
        labelOffset=-17,
        labelLimit=330,
        ticks=False,
        domain=False,
    )


def subjects_plot(rows: list[dict[str, Any]], metric: str) -> Plot:
    """A line a subject; `rows` are those of report_tables.subjects_table."""
    words = {"iou": "IoU", "dice": "Dice"}[metric]
    table = pd.DataFrame(
        [
            {
                "subject": row["name"],
                "score": row[metric],
                "low": (row[f"{metric}_interval"] or [None])[0],
                "high": (row[f"{metric}_interval"] or [None])[-1],
                "images": row["images"],
                "share with a nerve": row["share"],
            }
            for row in rows
        ]
    )
    base = alt.Chart(table).encode(y=alt.Y("subject:N", sort=None, title="subject, worst first"))
    lines = base.mark_rule(color=GREY, strokeWidth=2).encode(x="low:Q", x2="high:Q")
    dots = base.mark_circle(opacity=1).encode(
        x=alt.X("score:Q", title=f"mean {words}", scale=WHOLE),
        size=alt.value(90),
        color=alt.Color(
            "share with a nerve:Q",
            scale=alt.Scale(domain=[0, 1], range=["#8fc1e8", "#1b4f80"]),
            legend=alt.Legend(format=".0%"),
        ),
        tooltip=_tooltips(table),
    )
    about = f"Mean {words} of each subject, with 95 % intervals over its images."
    chart = (lines + dots).properties(height=15 * len(table) + 20)
    return Plot("subjects", f"{words} by subject", about, chart, table)


def curves_plot(log: pd.DataFrame, column: str, title: str, reference: pd.DataFrame) -> Plot:
    """A line a fold, against epochs; the reference run's, dashed, where it has the column."""
    table = log[["fold", "epoch", column]].assign(run="fold " + log["fold"])
    if column in reference:
        table = pd.concat([table, reference[["epoch", column]].assign(run="Hydrogen Torch")])
    table = table[["run", "epoch", column]].dropna()
    runs = list(dict.fromkeys(table["run"]))
    dashes = [[5, 4] if run == "Hydrogen Torch" else [1, 0] for run in runs]
    colours = _run_colours(runs)
    chart = (
        alt.Chart(table)
        .mark_line(point=True)
        .encode(
            x=alt.X("epoch:Q", scale=alt.Scale(nice=False), axis=_epochs(table["epoch"].max())),
            y=alt.Y(f"{column}:Q", title=None, scale=alt.Scale(zero=False)),
            color=alt.Color("run:N", scale=alt.Scale(domain=runs, range=colours), title=None),
            strokeDash=alt.StrokeDash(
                "run:N", scale=alt.Scale(domain=runs, range=dashes), title=None
            ),
            tooltip=_tooltips(table),
        )
    )
    return Plot(f"training_{column}", title, "By epoch, a line a fold.", chart, table)


def _epochs(last: float) -> alt.Axis:
    return alt.Axis(values=list(range(0, int(last) + 1, max(1, int(last) // 6))), format="d")


def _run_colours(runs: list[str]) -> list[str]:
    folds = iter(PALETTE * len(runs))
    return [GREY if run == "Hydrogen Torch" else next(folds) for run in runs]


def scores_histogram(rows: pd.DataFrame, metric: str) -> Plot:
    """How many images score how much, of those with and without a nerve."""
    words = {"iou": "IoU", "dice": "Dice"}[metric]
    place = np.minimum((rows[metric] * SCORE_BINS).astype(int), SCORE_BINS - 1)
    what = np.where(rows["true_area"] > 0, "with a nerve", "without")
    table = pd.DataFrame({"from": place / SCORE_BINS, "what": what}).value_counts(sort=False)
    table = table.rename("images").reset_index().assign(to=lambda t: t["from"] + 1 / SCORE_BINS)
    about = f"How many images have which {words}, by the rules chosen without them."
    return Plot(f"{metric}_histogram", f"{words} of the images", about, _bars(table, words), table)


def live_histogram() -> alt.TopLevelMixin:
    """The same of the explorer: its data, called scores, are put in by the page."""
    empty = [
        {"from": k / SCORE_BINS, "to": (k + 1) / SCORE_BINS, "what": "without", "images": 0}
        for k in range(SCORE_BINS)
    ]
    return _bars(alt.Data(name="scores", values=empty), "IoU")


def _bars(data: Any, words: str) -> alt.Chart:
    return (
        alt.Chart(data)
        .mark_bar(binSpacing=1)
        .encode(
            x=alt.X("from:Q", bin="binned", title=words, scale=WHOLE, axis=alt.Axis(tickCount=6)),
            x2="to:Q",
            y=alt.Y("images:Q", title="images"),
            color=_colour("what:N", ["with a nerve", "without"]),
            tooltip=["what:N", "from:Q", "to:Q", "images:Q"],
        )
        .properties(height=200)
    )


def areas_plot(table: pd.DataFrame) -> Plot:
    """`table` is report_tables.areas."""
    edges = np.linspace(0, max(1.0, float(table["share"].max())), 31)
    place = np.clip(np.searchsorted(edges, table["share"], "left") - 1, 0, 29)
    counts = table.assign(at=edges[place], to=edges[place + 1]).value_counts(["class", "at", "to"])
    counts = counts.sort_index().rename("masks").reset_index()
    classes = sorted(counts["class"].unique())
    chart = (
        alt.Chart(counts)
        .mark_bar(binSpacing=1)
        .encode(
            x=alt.X("at:Q", bin="binned", title="area, % of the image"),
            x2="to:Q",
            y=alt.Y("masks:Q", title="masks"),
            color=_colour("class:N", classes) if len(classes) > 1 else alt.value(BLUE),
            tooltip=_tooltips(counts),
        )
    )
    about = "How many true masks have which area."
    return Plot("mask_area", "Area of the masks", about, chart, counts)


def places_plot(share: np.ndarray) -> Plot:
    """`share` is report_tables.places: how many of the masks cover each cell."""
    rows, columns = np.mgrid[: share.shape[0], : share.shape[1]]
    table = pd.DataFrame(
        {"row": rows.ravel(), "column": columns.ravel(), "share": share.ravel().round(4)}
    )
    plain = alt.Axis(labels=False, ticks=False, grid=False, domain=False)
    chart = (
        alt.Chart(table)
        .mark_rect()
        .encode(
            x=alt.X("column:O", axis=plain, title="across the image", scale=alt.Scale(round=True)),
            y=alt.Y("row:O", axis=plain, title="down the image", scale=alt.Scale(round=True)),
            color=alt.Color(
                "share:Q",
                scale=alt.Scale(scheme="viridis"),
                legend=alt.Legend(title="of the masks", format=".0%"),
            ),
            tooltip=[alt.Tooltip("share:Q", format=".0%", title="of the masks")],
        )
    )
    chart = chart.properties(height=252)
    middle = table.nlargest(12, "share")
    about = "What share of the true masks covers each part of the image; the most covered below."
    return Plot("mask_places", "Where the masks lie", about, chart, middle)


def reliability_plot(table: pd.DataFrame, name: str, title: str, what: str) -> Plot:
    """`table` has columns name, told, there, number; on the diagonal told is right."""
    classes = sorted(table["name"].unique())
    line = alt.Chart(pd.DataFrame({"told": [0, 1], "there": [0, 1]})).mark_line(
        color=GREY, strokeDash=[4, 4]
    )
    few = alt.Axis(tickCount=5)
    points = (
        alt.Chart(table)
        .mark_line(point={"filled": True, "size": 55})
        .encode(color=_colour("name:N", classes) if len(classes) > 1 else alt.value(BLUE))
    )
    x = alt.X("told:Q", title=f"{what} as told", scale=WHOLE, axis=few)
    y = alt.Y("there:Q", title="share that is nerve", scale=WHOLE, axis=few)
    points = points.encode(x=x, y=y, tooltip=_tooltips(table))
    chart = alt.layer(line.encode(x=x, y=y), points)
    about = "What was told against what is there, by tenths; on the dashed line both agree."
    return Plot(name, title, about, chart, table)


def prior_plot(table: pd.DataFrame, metric: str, share: float) -> Plot:
    """`table` is report_tables.expected_scores; `share` that of the images themselves."""
    lines = (
        alt.Chart(table)
        .mark_line()
        .encode(
            x=alt.X(
                "share:Q", title="share of test images with a nerve", axis=alt.Axis(format="%")
            ),
            y=alt.Y("score:Q", title=f"expected {metric}", scale=WHOLE),
            color=_colour("what:N", list(dict.fromkeys(table["what"]))),
            strokeDash=alt.StrokeDash("what:N", legend=None, sort=None),
            tooltip=_tooltips(table),
        )
    )
    here = pd.DataFrame({"share": [share], "words": ["these images"]})
    mark = alt.Chart(here).mark_rule(color=GREY, strokeDash=[2, 3]).encode(x="share:Q")
    words = alt.Chart(here).mark_text(align="left", dx=5, baseline="top")
    label = words.encode(x="share:Q", y=alt.value(4), text="words:N")
    about = "The score to expect of a test set with another share of images with a nerve."
    return Plot("expected_score", "At another share of nerves", about, lines + mark + label, table)


def _colour(field: str, domain: list[str]) -> alt.Color:
    return alt.Color(
        field, scale=alt.Scale(domain=domain, range=PALETTE[: len(domain)]), title=None
    )


def _tooltips(table: pd.DataFrame) -> list[alt.Tooltip]:
    return [
        alt.Tooltip(f"{name}:Q", format=".4~g")
        if pd.api.types.is_numeric_dtype(table[name])
        else alt.Tooltip(f"{name}:N")
        for name in map(str, table.columns)
    ]


def specification(chart: alt.TopLevelMixin) -> dict[str, Any]:
    """Without a width, in Vega-Lite's own words; what Altair's types let through is right."""
    with alt.data_transformers.enable("default", max_rows=None):  # its limit is of notebooks
        found: dict[str, Any] = chart.to_dict(validate=False)
    return found | {"config": STYLE}


def for_page(found: dict[str, Any]) -> dict[str, Any]:
    """A `specification` as wide as its place on the page, and of no ground of its own."""
    fit = {"type": "fit-x", "contains": "padding"}
    return found | {"width": "container", "autosize": fit, "background": "transparent"}


def save_png(found: dict[str, Any], plot: Plot, folder: Path) -> None:
    """`found` is the plot's `specification`."""
    alone = found | {"width": PNG_WIDTH, "title": plot.title, "background": "white"}
    content = vl_convert.vegalite_to_png(alone, vl_version=_grammar(), scale=2)
    with written_whole(folder / f"{plot.name}.png") as file:
        file.write(content)


def script(folder: Path) -> str:
    """Vega, Vega-Lite and vega-embed as one JavaScript.

    It takes a second to bundle, so it is kept in the folder.
    """
    path = folder / f"vega-{_grammar()}-{version('vl-convert-python')}.js"
    if not path.is_file():
        bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", _grammar())
        with written_whole(path) as file:
            file.write(bundle.encode())
    return path.read_text(encoding="utf-8")


def _grammar() -> str:
    """The version of Vega-Lite that Altair writes, as vl-convert knows it: 6.1 for v6.1.0."""
    return ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
