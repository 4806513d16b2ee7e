"""Scores of parts of the images: by the nerve's size, by near-duplicates and doubtful labels."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.decision.scores import grouped

THIRDS = ("smallest third", "middle third", "largest third")


def strata_of(rows: pd.DataFrame, config: Config) -> dict[str, dict[str, Any]]:
    """`grouped` by each of three; `rows` are those of oof_iou.csv.

    size: of the nerves that are there, by the area of the true mask in pixels, class by class.
    near_duplicates, contradictory_labels: whether the image stands in the tables of 01; left out
    where none does.
    """
    run = Run.of(config)
    found = {"size": grouped(rows, thirds(rows))}
    for name, path in (
        ("near_duplicates", run.duplicates),
        ("contradictory_labels", run.contradictions),
    ):
        inside = rows["image"].isin(images_in(path))
        if inside.any():
            found[name] = grouped(rows, np.where(inside, "with", "without"))
    return found


def thirds(rows: pd.DataFrame) -> pd.Series:
    """Which of THIRDS the true mask of each row is in; missing where it is empty."""
    area = rows["true_area"].where(rows["true_area"] > 0)
    classes = rows["class_id"] if "class_id" in rows else pd.Series("", index=rows.index)
    place = area.groupby(classes).rank(method="first", pct=True)
    return pd.cut(place, [0, 1 / 3, 2 / 3, 1], labels=list(THIRDS))


def images_in(path: Path) -> set[str]:
    """The training images in a table of pairs that 01 wrote; none without one."""
    if not path.is_file():
        return set()
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if "twin_part" in table:
        table = table[table["twin_part"] == "train"]
    return {*table["image"], *table["twin"]}
