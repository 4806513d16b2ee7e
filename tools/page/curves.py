"""Learning curves: a line a run or fold, by epoch."""

from collections.abc import Sequence
from typing import NamedTuple

import altair as alt
import pandas as pd

from tools.page.vega import tooltips


class Line(NamedTuple):
    name: str
    colour: str
    dash: list[int]  # lengths of the dashes and the gaps


def lines_by_epoch(
    table: pd.DataFrame, column: str, lines: Sequence[Line], title: str | None = None
) -> alt.Chart:
    """`table` has run, the name of a line, epoch and the column, whose axis has the title."""
    names, colours, dashes = (list(part) for part in zip(*lines, strict=True))
    return (
        alt.Chart(table)
        .mark_line(point=True)
        .encode(
            x=alt.X("epoch:Q", scale=alt.Scale(nice=False), axis=_epochs(table["epoch"].max())),
            y=alt.Y(f"{column}:Q", title=title, scale=alt.Scale(zero=False)),
            color=alt.Color("run:N", scale=alt.Scale(domain=names, range=colours), title=None),
            strokeDash=alt.StrokeDash(
                "run:N", scale=alt.Scale(domain=names, range=dashes), title=None
            ),
            tooltip=tooltips(table),
        )
    )


def _epochs(last: float) -> alt.Axis:
    return alt.Axis(values=list(range(0, int(last) + 1, max(1, int(last) // 6))), format="d")
