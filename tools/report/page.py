"""The results of a run -> report.html, one self-contained page, and plots/*.png."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Template

from lib.artifacts.run import Run
from lib.decision.results import Results
from lib.decision.trust import column_of
from lib.runtime.files import written_whole
from tools.page.template import environment, in_script
from tools.page.vega import Plot, for_page, save_pngs, script
from tools.report import tables
from tools.report.explorer import explorers
from tools.report.pictures import chosen, pictures
from tools.report.plots import MAIN_PLOTS, plots_of
from tools.report.readers import readers_section
from tools.report.score_charts import live_histogram
from tools.report.sections import columns_of, comparisons, of_the_run, of_the_scores

PAGES = Path(__file__).parent / "pages"
SECTIONS = (
    "score",
    "thresholds",
    "folds",
    "readers",
    "images",
    "trust",
    "training",
    "data",
    "calibration",
    "setup",
)
SCRIPTS = (  # in this order
    "numbers.js",
    "thresholds.js",
    "images.js",
    "viewer.js",
    "zoom.js",
    "address.js",
    "start.js",
)


def write_report(results: Results, others: list[Path] | None = None) -> Path:
    """Writes report.html and plots/*.png into the run's folder; `others` are folders of runs."""
    run = Run.of(results.config)
    subjects = tables.subjects_table(results)
    plots = plots_of(results, subjects)
    save_pngs((plots[name] for name in sorted(MAIN_PLOTS & plots.keys())), run.plots)
    with written_whole(run.report) as file:
        file.write(page(results, subjects, plots, others or []).encode())
    return run.report


def page(
    results: Results, subjects: list[dict[str, Any]], plots: dict[str, Plot], others: list[Path]
) -> str:
    """The text of report.html; `subjects` are the rows of tables.subjects_table."""
    twins = tables.twins_table(results.config)
    in_twins = {*twins["image"], *twins["twin"]}
    shown, missing = pictures(results, chosen(results.rows, in_twins))
    charts = {name: plot.chart for name, plot in plots.items()}
    charts["explorer_histogram"] = live_histogram()
    live = {
        "explorers": explorers(results),
        "rows": columns_of(results.rows, in_twins, column_of(results.config)),
        "pictures": shown,
        "twins": tables.named_twins(results.config),
        "several": len(results.folds.classes) > 1,
        "charts": {name: for_page(chart) for name, chart in charts.items()},
    }
    vega = script(Path(results.config.runs_folder) / ".cache")
    return template().render(
        live=live,
        plots=plots,
        script=in_script(vega),
        compared=comparisons(Run.of(results.config).folder, others),
        **of_the_scores(results),
        subjects=subjects,
        readers=readers_section(results),
        **of_the_run(results, twins, missing),
    )


@cache
def template() -> Template:
    """pages/report.html, with all that it holds whatever the run."""
    made = environment(PAGES, SCRIPTS)
    made.globals |= {"sections": SECTIONS}
    return made.get_template("report.html")
