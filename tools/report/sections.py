"""What the page's template is given, section by section, but for the plots."""

from pathlib import Path
from typing import Any

import pandas as pd

from lib.artifacts.caveats import PHANTOM, marks
from lib.artifacts.run import Run
from lib.decision.measures import MEASURES
from lib.decision.results import Results
from lib.decision.text import rule_text
from lib.metric import Metric
from tools.compare.comparison import Comparison, compared_runs
from tools.report import made_with, tables
from tools.report.calibration import calibration_error
from tools.report.pictures import embedded, first_batches
from tools.report.plots import reliabilities

SHOWN = {"hd95": 1, "nsd": 3}  # of the measures, beside an image, and their digits
SHEET_SIDE = 1600  # pixels of the sheet of contradictory twins


def of_the_scores(results: Results) -> dict[str, Any]:
    """What the sections on scores and thresholds show."""
    config, decision = results.config, results.decision
    caveats = decision["caveats"]
    doubts = [caveat for caveat in caveats if caveat != PHANTOM]
    rules = [
        rule_text(name, found.rule)
        for name, found in zip(results.folds.classes, results.decided, strict=True)
    ]
    return {
        "name": config.experiment_name,
        "metric": config.metric,
        "scores": decision["scores"],
        "whole": decision["scores"]["all"],
        "nerve": decision["scores"]["with_nerve"],
        "chosen_nested": decision["chosen_on_these_images"],
        "test_share": config.test_positive_share,
        "leaks": results.audit["leaks"],
        "marks": marks(caveats),
        "flatters": marks(doubts),
        "phantom": PHANTOM if PHANTOM in caveats else None,
        "other": "Dice" if results.metric == Metric.IOU else "IoU",
        "doubts": [doubt for doubt in doubts if doubt not in results.audit["leaks"]],
        "unscored": tables.unscored_folds(results),
        "rules": rules,
        "presence": decision["presence"],
        "test_scores": decision.get("test_scores"),
        "measures": tables.measures_tables(results),
        "strata": tables.strata_table(results),
        "quality": decision["quality"],
    }


def of_the_run(results: Results, twins: pd.DataFrame, missing: str) -> dict[str, Any]:
    """What the other sections show."""
    config, table = results.config, results.folds.table
    found = results.audit.get("inventory")
    return {
        "folds": tables.folds_table(results),
        "missing_pictures": missing,
        "logs": set(tables.training_log(config)["fold"]),
        "fold_numbers": config.fold_numbers,
        "batches": first_batches(results),
        "inventory": found,
        "audit": results.audit,
        "images": len(table),
        "twins": twins.head(50).to_dict("records"),
        "twins_number": len(twins),
        "twins_picture": embedded(Run.of(config).contradictions_sheet, SHEET_SIDE),
        "settings": made_with.other_settings(config),
        "speeds": made_with.speeds(config),
        "versions": made_with.versions(),
        "hashes": made_with.hashes(results),
        "errors": {
            name: calibration_error(table) for name, table in reliabilities(results).items()
        },
    }


def columns_of(rows: pd.DataFrame, twins: set[str], expected: str) -> dict[str, list[Any]]:
    """The rows of oof_iou.csv by column, shortened to what is read.

    The column `expected` is called expected; None where nothing can be told.
    """
    kept = [key for key in rows if key not in MEASURES or key in SHOWN]
    table = rows[kept].assign(twin=rows["image"].isin(twins).astype(int))
    table = table.rename(columns={expected: "expected"})
    digits = {"loss": 6, "presence": 6, **SHOWN}  # iou and dice as they are, or 3 digits may differ
    digits |= {"expected": 4, "unlike": 3}
    rounded = table.round(digits).astype(object).where(table.notna(), None)
    return {str(name): values.tolist() for name, values in rounded.items()}


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
