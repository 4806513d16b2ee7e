"""The tables of a run: figures for a program as CSV, and rounded for a paper as LaTeX."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lib.decision.measures import names_of
from lib.decision.results import Results
from lib.decision.text import digits_of, ways_of
from lib.metric import Metric
from lib.runtime.files import save_table, written_whole
from tools.report.made_with import without_path

PARTS = {"all": "all images", "with_nerve": "images that show it"}
SETS = {"every_mask": "every mask", "with_nerve": "true mask", "neither_empty": "both masks"}
ROWS_OF_A_PAGE = 45
Rows = list[dict[str, Any]]


class Table(NamedTuple):
    name: str  # of its files
    caption: str
    values: pd.DataFrame  # a column a number
    shown: pd.DataFrame  # texts, with the interval beside its mean


def tables_of(results: Results, marks: Iterable[str]) -> list[Table]:
    """Those that have rows; the marks of the scores end each caption."""
    decision = results.decision
    over = "subjects" if decision["scores"]["subjects_known"] else "images"
    between = f", with 95 % intervals over {over}"
    by_class = decision["scores"].get("by_class", {})
    parts = _parts(decision["strata"])
    ways = ways_of(decision, results.config.probability_threshold)
    made = [
        _scores("scores", f"Scores of each decision rule{between}", ways),
        _scores("scores_by_class", f"Scores of each class{between}", by_class),
        _groups("folds", f"Scores of each fold{between}", "fold", decision["by_fold"]),
        _groups("parts", f"Scores of parts of the images{between}", "part", parts),
        _measures(results, f"Other scores of the masks{between}"),
        _presence(decision["presence"]),
        _settings(results),
    ]
    if decision["scores"]["subjects_known"]:
        made.append(
            _groups("subjects", "Scores of each subject", "subject", decision["by_subject"])
        )
    if test := decision.get("test_scores"):
        made.append(_scores("test", "Scores of the labelled test images", {"test": test}))
    end = "".join(f". {mark}" for mark in marks)
    return [one._replace(caption=one.caption + end) for one in made if len(one.values)]


def save_tables(tables: Iterable[Table], folder: Path) -> list[Path]:
    """NAME.csv and NAME.tex; the second needs booktabs, and longtable where a page is too short."""
    files = []
    for table in tables:
        save_table(folder / f"{table.name}.csv", table.values)
        files += [folder / f"{table.name}.csv", folder / f"{table.name}.tex"]
        with written_whole(files[-1]) as file:
            file.write(in_latex(table).encode())
    return files


def in_latex(table: Table) -> str:
    text: str = table.shown.to_latex(
        index=False,
        escape=True,
        caption=_escaped(table.caption),
        label=f"tab:{table.name}",
        longtable=len(table.shown) > ROWS_OF_A_PAGE,
    )
    return text


def _escaped(words: str) -> str:
    """What pandas does to cells, but not to captions."""
    for sign in "&%$#_{}":
        words = words.replace(sign, f"\\{sign}")
    return words


def _parts(strata: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"{kind.replace('_', ' ')}: {name}": found
        for kind, parts in strata.items()
        for name, found in parts.items()
    }


def _scores(name: str, caption: str, ways: Mapping[str, Any]) -> Table:
    """A row for each of the ways and of PARTS."""
    values: Rows = []
    shown: Rows = []
    for way, scores in ways.items():
        for part, words in PARTS.items():
            found = scores[part]
            if found["iou"] is None:
                continue
            head = {"masks by": way, "of": words, "images": found["images"]}
            values.append(head | _split(found) | {"all_empty": found["all_empty"]})
            shown.append(head | _joined(found) | {"all-empty": f"{found['all_empty']:.3f}"})
    return Table(name, caption, pd.DataFrame(values), pd.DataFrame(shown))


def _groups(name: str, caption: str, head: str, groups: Mapping[str, Any]) -> Table:
    """A row for each group, as decision.json has them."""
    values: Rows = []
    shown: Rows = []
    for group, found in groups.items():
        counts = {key: found[key] for key in ("images", "with_nerve", "missed", "false_alarms")}
        more = {"nsd": found["nsd"], "hd95_median": found["hd95_median"]}
        values.append({head: group} | counts | _split(found) | more)
        words = {key.replace("_", " "): count for key, count in counts.items()}
        shown.append({head: group} | words | _joined(found))
    return Table(name, caption, pd.DataFrame(values), pd.DataFrame(shown))


def _split(found: Mapping[str, Any]) -> dict[str, Any]:
    """IoU and Dice with the ends of their intervals, each in a column."""
    row: dict[str, Any] = {}
    for metric in Metric:
        low, high = found[f"{metric.column}_interval"] or (None, None)
        row |= {metric.column: found[metric.column]}
        row |= {f"{metric.column}_low": low, f"{metric.column}_high": high}
    return row


def _joined(found: Mapping[str, Any]) -> dict[str, str]:
    return {
        str(metric): with_interval(found[metric.column], found[f"{metric.column}_interval"], 3)
        for metric in Metric
    }


def with_interval(mean: float | None, interval: Iterable[float] | None, digits: int) -> str:
    if mean is None:
        return "--"
    ends = " to ".join(f"{end:.{digits}f}" for end in interval or ())
    return f"{mean:.{digits}f}" + (f" ({ends})" if ends else "")


def _measures(results: Results, caption: str) -> Table:
    """A row for each measure and set of masks, of all classes together or class by class."""
    found, names = results.decision["measures"], names_of(results.config)
    values: Rows = []
    shown: Rows = []
    for class_name, part in (found.get("by_class") or {"": found["all"]}).items():
        head = {"class": class_name} if class_name else {}
        for of, words in SETS.items():
            for key, one in part[of].items():
                if one is None or one["mean"] is None:
                    continue
                low, high = one["interval"] or (None, None)
                numbers = {"mean": one["mean"], "low": low, "high": high, "median": one["median"]}
                values.append(head | {"measure": key, "of": of, "masks": one["masks"]} | numbers)
                digits = digits_of(key)
                told = with_interval(one["mean"], one["interval"], digits)
                row = {"measure": names[key], "of": words, "masks": one["masks"]}
                shown.append(head | row | {"mean": told, "median": f"{one['median']:.{digits}f}"})
    return Table("measures", caption, pd.DataFrame(values), pd.DataFrame(shown))


def _presence(presence: Mapping[str, Any]) -> Table:
    """A row for each class: how well it is told whether an image shows it."""
    values = [{"class": name} | found for name, found in presence.items()]
    counts = ("true_positives", "false_negatives", "false_positives", "true_negatives")
    shown = [
        {"class": name, "AUC": "--" if found["auc"] is None else f"{found['auc']:.3f}"}
        | {key.replace("_", " "): found[key] for key in counts}
        for name, found in presence.items()
    ]
    caption = "Whether an image shows the structure"
    return Table("presence", caption, pd.DataFrame(values), pd.DataFrame(shown))


def _settings(results: Results) -> Table:
    """Every setting, without paths of the machine."""
    rows = [
        {"setting": name, "value": without_path(value)}
        for name, value in vars(results.config).items()
    ]
    return Table("settings", "Settings of the run", pd.DataFrame(rows), pd.DataFrame(rows))
