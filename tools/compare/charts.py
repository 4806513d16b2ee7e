"""Charts of several runs: differences, learning curves, score against time."""

import altair as alt
import pandas as pd

from tools.compare.several import GROUPS, SideBySide
from tools.page.curves import Line, lines_by_epoch
from tools.page.vega import GREY, PALETTE, Plot, colour, plot_of, tooltips

DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3]]  # so that more runs than colours are told apart


def plots_of(found: SideBySide) -> dict[str, Plot]:
    """By name; those without anything to show are left out."""
    plots = [_differences(found)]
    curves = [row.log.assign(run=row.name) for row in found.standings if len(row.log)]
    if curves:
        plots.append(_curves(pd.concat(curves), found))
    if any(row.seconds for row in found.standings):
        plots.append(_worth(found))
    return {plot.name: plot for plot in plots}


def _differences(found: SideBySide) -> Plot:
    rows = sorted(found.differences, key=lambda row: -row.change)
    table = pd.DataFrame(
        [
            {
                "run": row.name,
                "of": row.of,
                "difference": row.change,
                "low": row.interval[0] if row.interval else None,
                "high": row.interval[1] if row.interval else None,
                "p": row.p,
            }
            for row in rows
        ]
    )
    base = alt.Chart(table).encode(
        y=alt.Y("run:N", sort=None, title=None),
        yOffset=alt.YOffset("of:N", sort=list(GROUPS)),
        color=colour("of:N", list(GROUPS)),
    )
    dots = base.mark_point(filled=True, size=70, opacity=1).encode(
        x=alt.X("difference:Q", title=f"mean {found.metric}, less that of {_first(found)}"),
        shape=alt.Shape("of:N", sort=list(GROUPS), legend=None),
        tooltip=tooltips(table),
    )
    lines = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q")
    zero = alt.Chart(pd.DataFrame({"x": [0]})).mark_rule(color=GREY).encode(x="x:Q")
    about = "Differences with 95 % intervals over subjects, which hold for all runs together."
    chart = (zero + lines + dots).properties(height=40 * table["run"].nunique() + 20)
    return plot_of("differences", f"Less {_first(found)}", about, chart, table)


def _curves(table: pd.DataFrame, found: SideBySide) -> Plot:
    lines = [
        Line(row.name, PALETTE[k % len(PALETTE)], DASHES[k // len(PALETTE) % len(DASHES)])
        for k, row in enumerate(found.standings)
    ]
    chart = lines_by_epoch(table, "score", lines, f"validation {found.metric}")
    about = "The mean of the folds at each validation, before a rule is chosen."
    return plot_of("curves", "Learning curves", about, chart, table)


def _worth(found: SideBySide) -> Plot:
    table = pd.DataFrame(
        [
            {
                "run": row.name + "".join(f" {mark}" for mark in row.marks),
                "minutes": row.seconds / 60,
                "score": row.scores[GROUPS[0]].mean,
                "low": row.scores[GROUPS[0]].low,
                "high": row.scores[GROUPS[0]].high,
            }
            for row in found.standings
            if row.seconds
        ]
    )
    base = alt.Chart(table).encode(
        x=alt.X("minutes:Q", title="minutes of training, all folds", scale=alt.Scale(zero=True))
    )
    score = alt.Y("score:Q", title=f"mean {found.metric}", scale=alt.Scale(zero=False))
    dots = base.mark_point(filled=True, size=70, opacity=1).encode(y=score, tooltip=tooltips(table))
    lines = base.mark_rule(color=GREY).encode(y="low:Q", y2="high:Q")
    names = base.mark_text(align="left", dx=8, dy=-8).encode(y=score, text="run:N")
    about = "Score, with its 95 % interval over subjects, against the time that training took."
    return plot_of("worth", "Is it worth its time?", about, lines + dots + names, table)


def _first(found: SideBySide) -> str:
    return found.standings[0].name
