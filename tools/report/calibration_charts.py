"""Charts of predicted against true, and of the score at another share of nerves."""

import altair as alt
import pandas as pd

from tools.page.vega import BLUE, GREY, WHOLE, Plot, colour, plot_of, tooltips


def reliability_plot(
    table: pd.DataFrame, name: str, title: str, what: str, true: str = "share that is nerve"
) -> Plot:
    """`table` has the columns name, predicted, true, number. On the diagonal both agree."""
    classes = sorted(table["name"].unique())
    line = alt.Chart(pd.DataFrame({"predicted": [0, 1], "true": [0, 1]})).mark_line(
        color=GREY, strokeDash=[4, 4]
    )
    few = alt.Axis(tickCount=5)
    points = (
        alt.Chart(table)
        .mark_line(point={"filled": True, "size": 55})
        .encode(color=colour("name:N", classes) if len(classes) > 1 else alt.value(BLUE))
    )
    x = alt.X("predicted:Q", title=f"predicted {what}", scale=WHOLE, axis=few)
    y = alt.Y("true:Q", title=true, scale=WHOLE, axis=few)
    points = points.encode(x=x, y=y, tooltip=tooltips(table))
    chart = alt.layer(line.encode(x=x, y=y), points)
    about = "Predicted against true, in tenths. On the dashed line both agree."
    return plot_of(name, title, about, chart, table)


def prior_plot(table: pd.DataFrame, metric: str, share: float) -> Plot:
    """`table` is tables.expected_scores; `share` that of the images themselves."""
    lines = (
        alt.Chart(table)
        .mark_line()
        .encode(
            x=alt.X(
                "share:Q", title="share of test images with a nerve", axis=alt.Axis(format="%")
            ),
            y=alt.Y("score:Q", title=f"expected {metric}", scale=WHOLE),
            color=colour("what:N", list(dict.fromkeys(table["what"]))),
            strokeDash=alt.StrokeDash("what:N", legend=None, sort=None),
            tooltip=tooltips(table),
        )
    )
    here = pd.DataFrame({"share": [share], "words": ["these images"]})
    mark = alt.Chart(here).mark_rule(color=GREY, strokeDash=[2, 3]).encode(x="share:Q")
    words = alt.Chart(here).mark_text(align="left", dx=5, baseline="top")
    label = words.encode(x="share:Q", y=alt.value(4), text="words:N")
    about = "The score to expect on a test set in which another share of the images has a nerve."
    return plot_of(
        "expected_score",
        "Score at another share of nerves",
        about,
        lines + mark + label,
        table,
    )
