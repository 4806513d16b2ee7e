"""The plots of a run, by name: which there are depends on what the run has to show."""

from typing import Any

import pandas as pd

from lib.config.fields import Config
from lib.decision.results import Results
from tools.page.vega import Plot
from tools.report.calibration import expected_scores, pixel_reliability, presence_reliability
from tools.report.calibration_charts import prior_plot, reliability_plot
from tools.report.data_charts import areas_plot, curves_plot, places_plot
from tools.report.hydrogen_torch import reference_run
from tools.report.readers import readers_plots
from tools.report.score_charts import scores_histogram, scores_plot, subjects_plot
from tools.report.tables import areas, places, training_log
from tools.report.trust_charts import trust_plots

# Those that are PNGs too, for a notebook or a paper; each takes a tenth of a second.
MAIN_PLOTS = {
    "dice_histogram",
    "expected_score",
    "iou_histogram",
    "mask_places",
    "presence_reliability",
    "referral",
    "scores",
    "subjects",
    "training_validation_iou_nerve",
}


def plots_of(results: Results, subjects: list[dict[str, Any]]) -> dict[str, Plot]:
    """By name; those without anything to show are left out."""
    config, table = results.config, results.folds.table
    mask_areas, expected = areas(table), expected_scores(results)
    share = float((results.rows["true_area"] > 0).mean())
    found = [scores_plot(results.decision, config.probability_threshold)]
    found.append(scores_histogram(results.rows, results.metric))
    if any(row["nerve"] for row in subjects):
        found.append(subjects_plot(subjects, results.metric))
    found += readers_plots(results)
    found += training_plots(config)
    if len(mask_areas):
        found.append(areas_plot(mask_areas))
        found.append(places_plot(places(table)))
    by_name = reliabilities(results)
    titles = {"presence_reliability": "presence", "pixel_reliability": "probability of a pixel"}
    for name, what in titles.items():
        title = f"Can the {what} be believed?"
        found.append(reliability_plot(by_name[name], name, title, what))
    found += trust_plots(results)
    if len(expected):
        found.append(prior_plot(expected, config.metric, share))
    return {plot.name: plot for plot in found}


def reliabilities(results: Results) -> dict[str, pd.DataFrame]:
    return {
        "presence_reliability": presence_reliability(results),
        "pixel_reliability": pixel_reliability(results.unseen, results.folds.classes),
    }


def training_plots(config: Config) -> list[Plot]:
    """Of the columns that the logs have."""
    log = training_log(config)
    titles = {
        "validation_iou_nerve": "Validation IoU, images with a nerve",
        "validation_iou": "Validation IoU, all images",
        "validation_loss": "Validation loss",
        "train_loss": "Training loss",
        "learning_rate": "Learning rate",
    }
    reference = reference_run(config)
    return [
        curves_plot(log, column, title, reference)
        for column, title in titles.items()
        if column in log and log[column].notna().any()
    ]
