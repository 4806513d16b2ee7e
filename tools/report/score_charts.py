"""Charts of the scores: of each decision rule, of each subject, of the images."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from lib.decision.scores import score_in
from lib.decision.text import ways_of
from lib.metric import Metric, Score
from tools.page.vega import BLUE, GREY, WHOLE, Plot, colour, plot_of, specification, tooltips
from tools.report.hydrogen_torch import REFERENCE_IOU

SCORE_BINS = 20


def scores_plot(decision: dict[str, Any], probability_threshold: float) -> Plot:
    """Every decision rule with its interval, beside empty masks."""
    kinds = {"all": "all images", "with_nerve": "images with a nerve"}
    if not decision["scores"]["all"]["all_empty"]:
        del kinds["all"]  # they are the same
    rows = _ways(decision, kinds, probability_threshold) + _yardsticks(decision, kinds)
    table = pd.DataFrame(rows, columns=["rule", "of", "score", "low", "high"])
    base = alt.Chart(table).encode(
        y=alt.Y("rule:N", sort=None, title=None, axis=_labels_above()),
        yOffset=alt.YOffset("of:N", sort=list(kinds.values()), scale=alt.Scale(range=[15, 43])),
        color=colour("of:N", list(kinds.values())),
    )
    axis = alt.Axis(tickCount=10)
    dots = base.mark_point(filled=True, size=70, opacity=1).encode(
        x=alt.X("score:Q", title=f"mean {decision['metric']}", scale=WHOLE, axis=axis),
        shape=alt.Shape("of:N", legend=None),
        tooltip=tooltips(table),
    )
    lines = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q")
    about = "Mean scores with 95 % intervals over subjects. Quote only the first."
    chart = (lines + dots).properties(height=50 * table["rule"].nunique())
    return plot_of("scores", "Scores of each decision rule", about, chart, table)


def _ways(
    decision: dict[str, Any], kinds: dict[str, str], probability_threshold: float
) -> list[dict[str, Any]]:
    """A row for each rule and kind of images; only the fixed rule where nothing was chosen."""
    metric = Metric(decision["metric"])
    return [
        _way(words, of, score_in(way[kind], metric))
        for words, way in ways_of(decision, probability_threshold).items()
        for kind, of in kinds.items()
        if way[kind][metric.column] is not None
    ]


def _way(rule: str, of: str, score: Score) -> dict[str, Any]:
    return {"rule": rule, "of": of, "score": score.mean, "low": score.low, "high": score.high}


def _yardsticks(decision: dict[str, Any], kinds: dict[str, str]) -> list[dict[str, Any]]:
    """Empty masks; and the reference run, where every image has a nerve as in its own data."""
    whole, of = decision["scores"]["all"], next(iter(kinds.values()))
    rows = [{"rule": "all masks empty", "of": of, "score": whole["all_empty"]}]
    if decision["metric"] == "IoU" and not whole["all_empty"]:
        words = "Hydrogen Torch's, on 427 frames of other folds"
        rows.append({"rule": words, "of": of, "score": REFERENCE_IOU})
    return rows


def _labels_above() -> alt.Axis:
    """Labels above their lines, so that a narrow window leaves room for the plot."""
    return alt.Axis(
        labelAlign="left",
        labelPadding=-2,
        labelOffset=-17,
        labelLimit=330,
        ticks=False,
        domain=False,
    )


def subjects_plot(rows: list[dict[str, Any]], metric: Metric) -> Plot:
    """A line for each subject who shows a nerve; `rows` are those of tables.subjects_table."""
    table = pd.DataFrame(
        [
            {
                "subject": row["name"],
                "score": row["nerve"][metric.column],
                "low": (row["nerve"][f"{metric.column}_interval"] or [None])[0],
                "high": (row["nerve"][f"{metric.column}_interval"] or [None])[-1],
                "with a nerve": row["with_nerve"],
                "cost": row["cost"],
            }
            for row in rows
            if row["nerve"]
        ]
    )
    base = alt.Chart(table).encode(y=alt.Y("subject:N", sort=None, title="subject, worst first"))
    lines = base.mark_rule(color=GREY, strokeWidth=2).encode(x="low:Q", x2="high:Q")
    dots = base.mark_circle(opacity=1).encode(
        x=alt.X("score:Q", title=f"mean {metric}, images with a nerve", scale=WHOLE),
        size=alt.value(90),
        color=alt.value(BLUE),
        tooltip=tooltips(table),
    )
    about = f"Mean {metric} of each subject's images with a nerve, with 95 % intervals over them."
    chart = (lines + dots).properties(height=15 * len(table) + 20)
    title = f"{metric} by subject, images with a nerve"
    return plot_of("subjects", title, about, chart, table)


def scores_histogram(rows: pd.DataFrame, metric: Metric) -> Plot:
    """How many images have which score, with and without a nerve."""
    place = np.minimum((rows[metric.column] * SCORE_BINS).astype(int), SCORE_BINS - 1)
    what = np.where(rows["true_area"] > 0, "with a nerve", "without")
    table = pd.DataFrame({"from": place / SCORE_BINS, "what": what}).value_counts(sort=False)
    table = table.rename("images").reset_index().assign(to=lambda t: t["from"] + 1 / SCORE_BINS)
    about = f"How many images have which {metric}, by the rules chosen without them."
    return plot_of(
        f"{metric.column}_histogram",
        f"{metric} of the images",
        about,
        _bars(table, metric.value),
        table,
    )


def live_histogram() -> dict[str, Any]:
    """The same for the sliders. The page puts in its data, called scores."""
    empty = [
        {"from": k / SCORE_BINS, "to": (k + 1) / SCORE_BINS, "what": "without", "images": 0}
        for k in range(SCORE_BINS)
    ]
    return specification(_bars(alt.Data(name="scores", values=empty), "IoU"))


def _bars(data: Any, words: str) -> alt.Chart:
    return (
        alt.Chart(data)
        .mark_bar(binSpacing=1)
        .encode(
            x=alt.X("from:Q", bin="binned", title=words, scale=WHOLE, axis=alt.Axis(tickCount=6)),
            x2="to:Q",
            y=alt.Y("images:Q", title="images"),
            color=colour("what:N", ["with a nerve", "without"]),
            tooltip=["what:N", "from:Q", "to:Q", "images:Q"],
        )
        .properties(height=200)
    )
