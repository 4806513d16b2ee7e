"""The templates of texts/ -> methods.md, the cards and the checklist of a run."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lib.artifacts.caveats import marks
from lib.decision.results import Results
from lib.metric import DRAWS
from tools.print.cards import front_of_data, front_of_model
from tools.print.facts import Facts, sources_table
from tools.print.sources import (
    ALL_SPEEDS,
    EPOCH_CHOSEN,
    INSTALLED,
    SEEN,
    changed_settings,
    epochs_of,
    files_of,
    has_mark,
)
from tools.print.words import Words

TEXTS = Path(__file__).parent / "texts"
NAMES = ("methods.md", "model_card.md", "dataset_card.md", "claim_2024.md")


def texts_of(results: Results) -> tuple[dict[str, str], pd.DataFrame]:
    """Each text by its name; and a row for each number: text, number, file, key."""
    files, found, tables = files_of(results), {}, []
    about = {"timed": ALL_SPEEDS in files, "versions": files[INSTALLED]}
    shared = _shared(results) | about
    for name in NAMES:
        facts = Facts(files)
        text = environment().get_template(name).render(w=Words(facts, results), **shared)
        sources = sources_table(facts.told)
        found[name] = _tidy(text)
        if name == "methods.md":
            found[name] = _flowing(found[name]) + _trailing(sources)
        tables.append(sources.assign(text=name)[["text", *sources.columns]])
    return found, pd.concat(tables, ignore_index=True)


@cache
def environment() -> Environment:
    """Markdown is not escaped: names of the data pass through facts.plain."""
    made = Environment(
        loader=FileSystemLoader(TEXTS),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"draws": DRAWS}
    return made


def _shared(results: Results) -> dict[str, Any]:
    """What all templates look at to choose their sentences."""
    found, classes = results.decision["caveats"], results.folds.class_names
    inventory = results.audit["inventory"]
    return {
        "config": results.config,
        "results": results,
        "found": results.decision,
        "inventory": inventory,
        "scores": results.decision["scores"],
        "phantom": bool(results.audit.get("phantom")),
        "classes": classes,
        "several": len(classes) > 1,
        "structure": "a structure" if len(classes) > 1 else "a nerve",
        "column": results.metric.column,
        "caveats": found,
        "seen": has_mark(results, SEEN),
        "epoch_chosen": has_mark(results, EPOCH_CHOSEN),
        "people_apart": inventory["subjects"] is not None and not results.audit["subjects_split"],
        "marks": "".join(f" **{mark}**" for mark in marks(found)),
        "changed": changed_settings(results),
        "epochs": epochs_of(results.config),
        "front_of_model": front_of_model(results),
        "front_of_data": front_of_data(results),
    }


def _trailing(sources: pd.DataFrame) -> str:
    """Where each number of a text is from, in the order in which they stand there."""
    lines = ["", "## Where each number is from", ""]
    lines += ["In the order of the text; files are those of the run's folder.", ""]
    lines += ["| number | file | key |", "|---|---|---|"]
    lines += [f"| {n} | `{file}` | `{_in_code(key)}` |" for n, file, key in sources.to_numpy()]
    return "\n".join(lines) + "\n"


def _in_code(key: str) -> str:
    """A key that holds names of the data, between backticks in a cell of a table."""
    return " ".join(re.sub(r"[`|]", "'", key).split())


def _flowing(text: str) -> str:
    """With each paragraph in one line, so that it can be pasted into a word processor."""
    return re.sub(r"(?<=[^\n])\n(?=[^\n#|>\-])", " ", text)


def _tidy(text: str) -> str:
    """Without blank lines and spaces that conditions left."""
    text = re.sub(r"[ \t]+\n", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
