"""What is told of masks besides IoU and Dice: of each image and class, and over all of them.

A pair of masks has a score whatever is empty: both are perfect, exactly one is the worst there can
be (Maier-Hein et al. 2024, Metrics Reloaded, Nature Methods 21). Such pairs are counted, and means
of those in which neither is empty stand beside the others.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib import rle
from lib.artifacts.folds import Folds, true_mask
from lib.artifacts.masks import Drawn
from lib.config.fields import Config
from lib.decision.boundary import PIXELS, Spacing, apart
from lib.decision.evidence import Unseen, open_all
from lib.decision.nested import Decided, nested_masks
from lib.decision.rule import Mask
from lib.decision.scores import drawn_by, empty_masks, subjects_known
from lib.decision.search import Parts
from lib.metric import Floats, Metric, mean_scores, overlap, precision, sensitivity
from lib.quality.expected import believed
from lib.runtime.threads import with_bar

# Columns of oof_iou.csv and test_iou.csv, and what a person calls them; {} is the tolerance.
IN_PIXELS = {
    "precision": "precision",
    "sensitivity": "sensitivity",
    "presence_specificity": "specificity of presence",
    "hd95": "HD95, px",
    "assd": "ASSD, px",
    "nsd": "NSD at {:g} px",
    "centroid_distance": "centroids apart, px",
    "area_error": "area error, px",
}
IN_MILLIMETRES = {
    "hd95_mm": "HD95, mm",
    "assd_mm": "ASSD, mm",
    "nsd_mm": "NSD at {:g} mm",
    "centroid_distance_mm": "centroids apart, mm",
    "area_error_mm2": "area error, mm²",
}
IN_MM = dict(zip(list(IN_PIXELS)[3:], IN_MILLIMETRES, strict=True))  # hd95 -> hd95_mm
MEASURES = [*IN_PIXELS, *IN_MILLIMETRES]


def names_of(config: Config) -> dict[str, str]:
    """Of every measure, with the tolerances of the settings."""
    pixels = {key: name.format(config.nsd_tolerance) for key, name in IN_PIXELS.items()}
    return pixels | {
        key: name.format(config.nsd_tolerance_mm) for key, name in IN_MILLIMETRES.items()
    }


def spacing_of(row: Mapping[str, Any], config: Config) -> Spacing | None:
    """Millimetres a pixel, down and across, of a row of folds.csv or test_labels.csv."""
    told = config.pixel_spacing_mm or [float(mm) for mm in row.get("spacing", "").split()]
    return (told[0], told[-1]) if told else None


def measures_of(
    truth: Mask, prediction: Mask, spacing: Spacing | None, config: Config
) -> dict[str, float]:
    """MEASURES of two masks (height, width), 0 and 1; those in millimetres with a spacing only.

    presence_specificity: 1 where both are empty, 0 where only the true one is, NaN where there is
    a nerve. area_error: the predicted mask's area less the true one's.
    """
    counts = overlap(truth, prediction)
    extra = counts.prediction - counts.truth
    found = {
        "precision": precision(counts),
        "sensitivity": sensitivity(counts),
        "presence_specificity": np.nan if counts.truth else float(not counts.prediction),
        **apart(truth, prediction, config.nsd_tolerance, PIXELS)._asdict(),
        "area_error": float(extra),
    }
    if spacing:
        away = apart(truth, prediction, config.nsd_tolerance_mm, spacing)._asdict()
        found |= {f"{key}_mm": value for key, value in away.items()}
        found["area_error_mm2"] = extra * spacing[0] * spacing[1]
    return found


def in_order(rows: list[dict[str, float]]) -> pd.DataFrame:
    """The columns of MEASURES that any row has."""
    table = pd.DataFrame(rows)
    return table[[key for key in MEASURES if key in table]]


class Measured(NamedTuple):
    tables: list[pd.DataFrame]  # one a class: `in_order`, a row an image
    drawn: dict[str, Drawn]  # the masks, by image
    believed: list[Floats]  # one a class, (images,): lib.quality.expected.believed


def measured(
    unseen: Unseen, decided: list[Decided], part: Parts, folds: Folds, config: Config
) -> Measured:
    """Draws the nested mask of every image, and measures it; `part` is `parts_of` the images.

    Images that the rules give no mask of any class are not read.
    """
    shown = np.any([of_class.nested.area > 0 for of_class in decided], axis=0)
    metric = Metric(config.metric)
    rows = unseen.table.assign(part=part, shown=shown).to_dict("records")
    with open_all(unseen.table, folds, config) as files:

        def measure(row: dict[str, Any]) -> tuple[list[dict[str, float]], Drawn]:
            shape = row["height"], row["width"]
            masks: list[Mask] = [np.zeros(shape, np.uint8)] * len(decided)
            told = [np.nan] * len(decided)
            if row["shown"]:
                file, image = files[row["fold"]], row["image"]
                planes, presence = file[image], file.presence[image].tolist()
                masks = nested_masks(planes, presence, row["part"], decided)
                told = [believed(*pair, metric) for pair in zip(planes, masks, strict=True)]
            spacing = spacing_of(row, config)
            found = [
                measures_of(true_mask(row, column), mask, spacing, config)
                for column, mask in zip(folds.masks, masks, strict=True)
            ]
            return found, Drawn(shape, [rle.encode(mask) for mask in masks], told)

        found = list(with_bar(measure, rows, "distances"))
    by_class = [in_order([of_image[k] for of_image, _ in found]) for k in range(len(decided))]
    names = (row["image"] for row in rows)
    drawn = {name: of_image for name, (_, of_image) in zip(names, found, strict=True)}
    told = np.array([of_image.believed for of_image in drawn.values()]).reshape(-1, len(decided))
    return Measured(by_class, drawn, list(told.T))


def told_measures(rows: pd.DataFrame, config: Config) -> dict[str, Any]:
    """Of decision.json: over all rows of oof_iou.csv or test_iou.csv, and class by class."""
    found: dict[str, Any] = {
        "nsd_tolerance": config.nsd_tolerance,
        "nsd_tolerance_mm": config.nsd_tolerance_mm,
        "all": summarised(rows),
    }
    if "class_id" in rows:
        groups = rows.groupby("class_id")
        found["by_class"] = {str(name): summarised(part) for name, part in groups}
    return found


def summarised(rows: pd.DataFrame) -> dict[str, Any]:
    """How many masks are empty; of three sets of masks, mean, interval and median of each measure.

    `every_mask` counts those with an empty one as above. The interval is 95 %, over subjects, or
    over images where no subject is known. None where a measure has no value.
    """
    there, shown = rows["true_area"] > 0, rows["area"] > 0
    sets = {"every_mask": rows, "with_nerve": rows[there], "neither_empty": rows[there & shown]}
    return {
        "masks": len(rows),
        **empty_masks(rows),
        **{name: _of_each(part) for name, part in sets.items()},
    }


def _of_each(rows: pd.DataFrame) -> dict[str, Any]:
    keys = [key for key in MEASURES if key in rows]
    subjects = drawn_by(rows, subjects_known(rows))
    values = rows[keys].to_numpy(dtype=float)
    told = ~np.isnan(values)
    alike = defaultdict(list)  # measures of the same images have the same draws of subjects
    for k in range(len(keys)):
        alike[told[:, k].tobytes()].append(k)
    found: dict[str, Any] = dict.fromkeys(keys)
    for places in alike.values():
        kept = told[:, places[0]]
        scores, chosen = mean_scores(values[kept][:, places], subjects[kept]), values[kept]
        for k, score in zip(places, scores, strict=True):
            found[keys[k]] = {
                "mean": score.mean,
                "interval": score.interval,
                "median": float(np.median(chosen[:, k])) if len(chosen) else None,
                "masks": len(chosen),
            }
    return found
