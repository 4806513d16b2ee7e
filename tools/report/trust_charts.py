"""Which masks can be trusted: what is gained by a referral, and whether the expectation holds."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from lib.decision.results import Results
from lib.decision.trust import column_of
from tools.page.vega import BLUE, Plot, colour, plot_of, tooltips
from tools.report.calibration_charts import reliability_plot

GROUPS = 10  # of the masks, by their expected score
ORDERS = {"score": "least expectation first", "perfect": "worst first"}


def trust_plots(results: Results) -> list[Plot]:
    """None where too few images tell what to expect."""
    told = results.decision["quality"]
    if "referral_curve" not in told:
        return []
    return [referral_plot(told), expected_plot(results)]


def referral_plot(told: dict[str, Any]) -> Plot:
    """`told` is "quality" of decision.json."""
    curve = pd.DataFrame(told["referral_curve"]).rename(columns=ORDERS)
    table = curve.melt("referred", var_name="order", value_name="score")
    line = alt.Chart(table).mark_line(color=BLUE)
    chart = line.encode(
        x=alt.X("referred:Q", title="share that is referred", axis=alt.Axis(format="%")),
        y=alt.Y("score:Q", title=f"mean {told['metric']} of the rest", scale=alt.Scale(zero=False)),
        color=colour("order:N", list(ORDERS.values())),
        strokeDash=alt.StrokeDash("order:N", legend=None, sort=list(ORDERS.values())),
        tooltip=tooltips(table),
    )
    about = (
        "Mean score of the images that are left where a share of them is referred to a person. No "
        "order does better than the worst first, which only the truth tells."
    )
    return plot_of("referral", "What a referral gains", about, chart, table)


def expected_plot(results: Results) -> Plot:
    """Mean true score of each tenth of the masks, by what was expected of them."""
    column, metric = column_of(results.config), results.metric
    rows = results.rows.dropna(subset=column).sort_values(column, kind="stable")
    group = np.arange(len(rows)) * GROUPS // max(len(rows), 1)
    means = rows.groupby(group).agg(
        predicted=(column, "mean"), true=(metric.column, "mean"), number=("image", "size")
    )
    plot = reliability_plot(
        means.assign(name="nerve"),
        "expected_reliability",
        "Can the expected score be believed?",
        metric.value,
        true=f"mean {metric}",
    )
    return plot
