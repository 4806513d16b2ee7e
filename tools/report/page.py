"""report.html: one self-contained page to inspect the out-of-fold scores; runs/x/plots/: its plots.

    python -m tools.report runs/x [runs/y ...] [key=value ...]

04_make_submission.py writes it; this makes it anew of what 01 to 04 left in runs/x. Of other runs
given it shows the scores (oof_iou.csv) beside those of runs/x. Settings that 02 to 04 were told on
top of the run's config.yaml are to be given again. Folds without probabilities are left out, and
named.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from lib.artifacts.caveats import marks
from lib.artifacts.probabilities import oof_path
from lib.artifacts.run import run_folder
from lib.config.fields import Config
from lib.config.read import load_config
from lib.decision.results import Results, results_of
from lib.decision.text import rule_text
from lib.runtime.errors import InputError
from lib.runtime.files import written_whole
from tools.compare.comparison import Comparison, compared_runs
from tools.report import charts as report_charts
from tools.report import tables as report_tables
from tools.report.charts import Plot, for_page, save_png, script, specification
from tools.report.explorer import explorers
from tools.report.pictures import chosen, embedded, first_batches, pictures
from tools.report.reference import REFERENCE_IOU, reference_run

PAGES = Path(__file__).parent / "pages"

# Those that are PNGs too, for a notebook or a paper; each takes a tenth of a second.
MAIN_PLOTS = {
    "dice_histogram",
    "expected_score",
    "iou_histogram",
    "mask_places",
    "presence_reliability",
    "scores",
    "subjects",
    "training_validation_iou_nerve",
}

SHEET_SIDE = 1600  # pixels of the sheet of contradictory twins

WORDS = {
    "IoU": "Intersection over union: the pixels that the true and the predicted mask share, as a "
    "part of those that either covers. 1 is perfect; both empty counts 1, one of them empty 0.",
    "Dice": "Twice the shared pixels, as a part of the pixels of both masks: the competition's "
    "score. Both empty counts 1, one of them empty 0.",
    "out of fold": "Each image is predicted by the network that was trained without it, without "
    "its subject and without its near-duplicates.",
    "nested": "The rule that makes masks of probabilities was chosen without the images that it is "
    "scored on.",
    "all-empty": "The score of empty masks for every image: what doing nothing is worth.",
    "interval": "95 % interval: what the mean would be with other people like these (bootstrap "
    "over subjects; frames of one person are near-copies, so people are the sample).",
    "presence": "How sure it is that an image shows a nerve at all, 0 to 1.",
    "gate": "An image whose presence is below it gets an empty mask.",
    "threshold": "A pixel whose probability is above it belongs to the mask.",
    "area floor": "A smaller mask, as a share of the image, is taken for none.",
    "false alarm": "A mask where there is no nerve.",
    "missed": "No mask where there is a nerve.",
    "leak": "Pictures or people on which a network is scored stood among those that it was trained "
    "on: scores flatter.",
    "contradictory twins": "Nearly the same picture twice, labelled differently.",
    "cost": "How much the mean over all images would rise if this subject scored as all do.",
    "calibration error": "Mean distance between what was told and what is there.",
}


def write_report(results: Results, others: list[Path] | None = None) -> Path:
    """Writes report.html and plots/*.png into the run's folder; `others` are folders of runs."""
    folder = run_folder(results.config)
    subjects = report_tables.subjects_table(results)
    plots = plots_of(results, subjects)
    drawn = {name: specification(plot.chart) for name, plot in plots.items()}
    for name in MAIN_PLOTS & plots.keys():
        save_png(drawn[name], plots[name], folder / "plots")
    content = page(results, subjects, plots, drawn, comparisons(folder, others or []))
    with written_whole(folder / "report.html") as file:
        file.write(content.encode())
    return folder / "report.html"


def page(
    results: Results,
    subjects: list[dict[str, Any]],
    plots: dict[str, Plot],
    drawn: dict[str, dict[str, Any]],
    compared: list[dict[str, Any]],
) -> str:
    """The text of report.html; `drawn` are the specifications of the plots."""
    twins = report_tables.twins_table(results.config)
    in_twins = {*twins["image"], *twins["twin"]}
    shown, missing = pictures(results, chosen(results.rows, in_twins))
    live = {
        "explorers": explorers(results),
        "rows": columns_of(results.rows, in_twins),
        "pictures": shown,
        "several": len(results.folds.classes) > 1,
        "charts": {name: for_page(found) for name, found in (drawn | live_plots()).items()},
    }
    return template(Path(results.config.runs_folder) / ".cache").render(
        live=live,
        plots=plots,
        compared=compared,
        **top(results),
        subjects=subjects,
        **parts(results, twins, missing),
    )


def template(cache: Path) -> Template:
    """lib/pages/report.html, with all that it holds whatever the run; `cache` is of its script."""
    environment = Environment(
        loader=FileSystemLoader(PAGES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "words": WORDS,
        "script": script(cache).replace("</script", "<\\/script"),
        "css": (PAGES / "report.css").read_text(encoding="utf-8"),
        "js": (PAGES / "report.js").read_text(encoding="utf-8"),
    }
    return environment.get_template("report.html")


def live_plots() -> dict[str, dict[str, Any]]:
    """Those whose data the page puts in."""
    return {"explorer_histogram": specification(report_charts.live_histogram())}


def top(results: Results) -> dict[str, Any]:
    """What the page begins with."""
    config, decision = results.config, results.decision
    doubts = decision["caveats"]
    rules = [
        rule_text(name, found.rule, config)
        for name, found in zip(results.folds.classes, results.decided, strict=True)
    ]
    return {
        "name": config.experiment_name,
        "metric": config.metric,
        "scores": decision["scores"],
        "chosen_nested": decision["chosen_on_these_images"],
        "test_share": config.test_positive_share,
        "leaks": results.audit["leaks"],
        "marks": marks(doubts).split("  ")[1:],
        "doubts": [doubt for doubt in doubts if doubt not in results.audit["leaks"]],
        "unscored": report_tables.unscored_folds(results),
        "rules": rules,
        "presence": decision["presence"],
        "reference_iou": REFERENCE_IOU,
    }


def parts(results: Results, twins: pd.DataFrame, missing: str) -> dict[str, Any]:
    """What its other sections show, but for plots."""
    config, table = results.config, results.folds.table
    found = results.audit.get("inventory")
    return {
        "folds": report_tables.folds_table(results),
        "missing_pictures": missing,
        "logs": set(report_tables.training_log(config)["fold"]),
        "fold_numbers": config.fold_numbers,
        "batches": first_batches(results),
        "inventory": found,
        "audit": results.audit,
        "images": len(table),
        "twins": twins.head(50).to_dict("records"),
        "twins_number": len(twins),
        "twins_picture": embedded(run_folder(config) / "contradictions.png", SHEET_SIDE),
        "settings": report_tables.other_settings(config),
        "speeds": report_tables.speeds(config),
        "versions": report_tables.versions(),
        "hashes": report_tables.hashes(results),
        "errors": {
            name: report_tables.calibration_error(part)
            for name, part in reliabilities(results).items()
        },
    }


def plots_of(results: Results, subjects: list[dict[str, Any]]) -> dict[str, Plot]:
    """By name; those without anything to show are left out."""
    config, table = results.config, results.folds.table
    areas, expected = report_tables.areas(table), report_tables.expected_scores(results)
    share = float((results.rows["true_area"] > 0).mean())
    found = [report_charts.scores_plot(results.decision, config.probability_threshold)]
    found.append(report_charts.scores_histogram(results.rows, results.metric))
    if subjects:
        found.append(report_charts.subjects_plot(subjects, results.metric))
    found += training_plots(config)
    if len(areas):
        found.append(report_charts.areas_plot(areas))
        found.append(report_charts.places_plot(report_tables.places(table)))
    by_name = reliabilities(results)
    titles = {"presence_reliability": "presence", "pixel_reliability": "probability of a pixel"}
    for name, what in titles.items():
        title = f"Can the {what} be believed?"
        found.append(report_charts.reliability_plot(by_name[name], name, title, what))
    if len(expected):
        found.append(report_charts.prior_plot(expected, config.metric, share))
    return {plot.name: plot for plot in found}


def reliabilities(results: Results) -> dict[str, pd.DataFrame]:
    return {
        "presence_reliability": report_tables.presence_reliability(results),
        "pixel_reliability": report_tables.pixel_reliability(results.unseen, results.folds.classes),
    }


def training_plots(config: Config) -> list[Plot]:
    """Of the columns that the logs have."""
    log = report_tables.training_log(config)
    titles = {
        "validation_iou_nerve": "Validation IoU, images with a nerve",
        "validation_iou": "Validation IoU, all images",
        "validation_loss": "Validation loss",
        "train_loss": "Training loss",
        "learning_rate": "Learning rate",
    }
    reference = reference_run(config)
    return [
        report_charts.curves_plot(log, column, title, reference)
        for column, title in titles.items()
        if column in log and log[column].notna().any()
    ]


def columns_of(rows: pd.DataFrame, twins: set[str]) -> dict[str, list[Any]]:
    """The rows of oof_iou.csv by column, shortened to what is read."""
    table = rows.assign(twin=rows["image"].isin(twins).astype(int))
    digits = {"iou": 4, "dice": 4, "loss": 4, "presence": 4}
    return {str(name): values.tolist() for name, values in table.round(digits).items()}


def comparisons(folder: Path, others: list[Path]) -> list[dict[str, Any]]:
    """Of each other run: how this one changes its scores."""
    return [_compared(compared_runs(other, folder), other, folder) for other in others]


def _compared(found: Comparison, other: Path, folder: Path) -> dict[str, Any]:
    def told(text: str) -> str:
        return text.replace(str(other), other.name).replace(str(folder), folder.name)

    settings = [told(line) for line in found.settings if not line.startswith("data_folder")]
    return {
        "name": other.name,
        "changes": [change._asdict() for change in found.changes],
        "warnings": [told(warning) for warning in found.warnings],
        "settings": settings,
        "subjects_known": found.subjects_known,
    }


def read_run(folder: Path, overrides: list[str]) -> Results:
    """Of a run folder as 01 to 03 left it, with the folds that have probabilities."""
    folder = folder.resolve()
    place = [f"runs_folder={folder.parent}", f"experiment_name={folder.name}"]
    if not (folder / "config.yaml").is_file():
        raise InputError(f"{folder / 'config.yaml'} is missing: run 01_prepare_folds.py first")
    config = load_config(folder / "config.yaml", [*overrides, *place])
    there = [str(k) for k in config.fold_numbers if oof_path(config, k).is_file()]
    if missing := set(map(str, config.fold_numbers)) - set(there):
        print(f"without folds {sorted(missing)}, whose probabilities are missing: run 03_infer.py")
    if not there:
        raise InputError(f"{folder} has no probabilities of any fold: run 03_infer.py first")
    return results_of(replace(config, folds=there))


def main(words: list[str]) -> Path:
    runs = [Path(word) for word in words if "=" not in word or Path(word).is_dir()]
    overrides = [word for word in words if Path(word) not in runs]
    if not runs:
        raise InputError("which run? Give a folder, such as runs/nerve")
    return write_report(read_run(runs[0], overrides), runs[1:])
