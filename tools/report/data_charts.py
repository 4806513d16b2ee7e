"""Charts of the training and of the data: curves by epoch, areas and places of the masks."""

import altair as alt
import numpy as np
import pandas as pd

from tools.page.curves import Line, lines_by_epoch
from tools.page.vega import BLUE, GREY, PALETTE, Plot, colour, plot_of, tooltips


def curves_plot(log: pd.DataFrame, column: str, title: str, reference: pd.DataFrame) -> Plot:
    """A line for each fold, by epoch; and the reference run's, dashed, where it has the column."""
    table = log[["fold", "epoch", column]].assign(run="fold " + log["fold"])
    if column in reference:
        table = pd.concat([table, reference[["epoch", column]].assign(run="Hydrogen Torch")])
    table = table[["run", "epoch", column]].dropna()
    runs = list(dict.fromkeys(table["run"]))
    colours = iter(PALETTE * len(runs))
    lines = [
        Line(run, GREY, [5, 4]) if run == "Hydrogen Torch" else Line(run, next(colours), [1, 0])
        for run in runs
    ]
    chart = lines_by_epoch(table, column, lines)
    return plot_of(f"training_{column}", title, "A line for each fold, by epoch.", chart, table)


def areas_plot(table: pd.DataFrame) -> Plot:
    """`table` is tables.areas."""
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
            color=colour("class:N", classes) if len(classes) > 1 else alt.value(BLUE),
            tooltip=tooltips(counts),
        )
    )
    about = "How many true masks have which area."
    return plot_of("mask_area", "Area of the masks", about, chart, counts)


def places_plot(share: np.ndarray) -> Plot:
    """`share` is tables.places: how many of the masks cover each cell."""
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
    about = "The share of the true masks that covers each place; the table has the highest."
    return plot_of("mask_places", "Where the masks lie", about, chart, middle)
