"""Frames that stand for all: the worst, the quartiles, the best, and the largest false alarm."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib.artifacts.folds import true_mask
from lib.data.pictures.arrays import Grey
from lib.data.table import files_told
from lib.decision.results import Results
from lib.decision.rule import Mask
from lib.metric import Metric
from lib.runtime.errors import InputError
from tools.report.pictures import present_image

PLACES = {
    "worst": 0.0,
    "lower quartile": 0.25,
    "median": 0.5,
    "upper quartile": 0.75,
    "best": 1.0,
}


class Example(NamedTuple):
    """A row of oof_iou.csv, and why it is shown."""

    what: str
    row: dict[str, Any]


class Frame(NamedTuple):
    """An example with its picture (height, width) and the masks of its class."""

    example: Example
    grey: Grey
    truth: Mask
    mask: Mask


def chosen(rows: pd.DataFrame, metric: Metric) -> list[Example]:
    """Of rows of one class: PLACES in the order of the scores, of images that show a nerve.

    Of equal scores the name decides, so the choice is nobody's. Last comes the largest mask on an
    image without a nerve. A row that stands for two places is shown once.
    """
    there = rows[rows["true_area"] > 0].sort_values([metric.column, "image"])
    alarms = rows[(rows["true_area"] == 0) & (rows["area"] > 0)]
    alarms = alarms.sort_values(["area", "image"], ascending=[False, True])
    found: dict[str, Example] = {}
    for what, share in PLACES.items() if len(there) else ():
        row = there.iloc[round(share * (len(there) - 1))].to_dict()
        found.setdefault(row["image"], Example(what, row))
    for row in alarms.head(1).to_dict("records"):
        found.setdefault(row["image"], Example("largest false alarm", row))
    return list(found.values())


def frames_of(results: Results) -> dict[str, list[Frame]]:
    """By class; without the images whose pictures have changed or are gone."""
    found = {}
    for place, name in enumerate(results.folds.class_names):
        rows = results.rows
        if "class_id" in rows:
            rows = rows[rows["class_id"] == name]
        frames = [_frame(one, place, results) for one in chosen(rows, results.metric)]
        found[name] = [frame for frame in frames if frame is not None]
    return {name: frames for name, frames in found.items() if frames}


def _frame(example: Example, place: int, results: Results) -> Frame | None:
    image = example.row["image"]
    table = results.unseen.table
    row = table[table["image"] == image].to_dict("records")[0]
    try:
        file = files_told(table[table["image"] == image], results.config).get(image)
    except (InputError, OSError):
        return None
    grey = present_image(file, row) if file else None
    if grey is None:
        return None
    truth = true_mask(row, results.folds.masks[place])
    return Frame(example, np.asarray(grey), truth, results.masks_of(image)[place])
