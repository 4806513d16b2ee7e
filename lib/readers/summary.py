"""The rows of readers.csv -> means with intervals, and the answer: the key "readers"."""

from typing import Any

import numpy as np
import pandas as pd

from lib.config.fields import Config
from lib.decision.results import Results
from lib.decision.scores import drawn_by, subjects_known
from lib.metric import Metric, mean_scores
from lib.readers.rows import MEASURED, NETWORK, TWIN, Readings, readings_of, rows_of
from lib.readers.statistics import limits_of_agreement, non_inferiority, presence

ABOUT = {
    "pairs": "Means with 95 % intervals over subjects: of all masks, of those that either reader "
    "has marked, and of those of which neither is empty. Two empty masks score 1, one empty 0.",
    "both": "The pixels that both have marked.",
    "either": "The pixels that either has marked.",
    "where both agree": "The pixels that both or neither have marked; the others are left out, "
    "of the network's mask too.",
    "presence": "How often who marks anything; kappa is Cohen's.",
    "as_good_as_a_reader": "The network's score against a reader, less the other reader's against "
    "the same one, image by image. Not inferior: the interval lies above -margin; inferior: below "
    "it; else it is not decided. The network learnt from the first labels, so the comparison "
    "against the second is the fair one.",
    "areas": "Bland and Altman: the mean difference of the areas and the limits between which 95 % "
    "of the differences are expected, over masks of which neither is empty.",
}
CAUTION = (
    "Twins are two frames that are nearly the same, labelled by the people of one pool, perhaps by "
    "the same person; the labels are held against each other without moving either. So this is no "
    "comparison of two people on one frame."
)


def with_readers(results: Results) -> Results:
    """The results with readers.csv and the key "readers"; None in both where nobody read twice."""
    readings = readings_of(results)
    rows = pd.DataFrame() if readings is None else rows_of(readings, results)
    if readings is None or rows.empty:
        return results._replace(decision=results.decision | {"readers": None})
    found = readers_content(rows, readings, results.config)
    return results._replace(readers=rows, decision=results.decision | {"readers": found})


def readers_content(rows: pd.DataFrame, readings: Readings, config: Config) -> dict[str, Any]:
    """Of decision.json; over all rows, and class by class where there are several."""
    found: dict[str, Any] = {
        "about": ABOUT,
        "kind": readings.kind,
        "names": readings.names,
        "caution": CAUTION if readings.kind == TWIN else "",
        "metric": config.metric,
        "margin": config.reader_margin,
        "subjects_known": subjects_known(rows),
        "all": summarised(rows, readings.names, config),
    }
    if "class_id" in rows:
        groups = rows.groupby("class_id", sort=False)
        found["by_class"] = {
            str(name): summarised(part, readings.names, config) for name, part in groups
        }
    return found


def summarised(rows: pd.DataFrame, names: tuple[str, str], config: Config) -> dict[str, Any]:
    """Of rows of readers.csv: agreement of each pair, presence, the answer, areas."""
    pairs = dict(iter(rows.groupby(["mask", "against"], sort=False)))
    first, second = names
    readers = pairs[second, first]
    return {
        "images": readers["image"].nunique(),
        "masks": len(readers),
        "subjects": len(set(_subjects(readers))),
        "pairs": [_agreement(part, *pair) for pair, part in pairs.items()],
        "presence": presence(
            readers["against_area"].to_numpy(float),
            readers["area"].to_numpy(float),
            _subjects(readers),
        ),
        "as_good_as_a_reader": [
            answer
            for against in (second, first)
            for answer in _answers(pairs[NETWORK, against], readers, against, config)
        ],
        "areas": [
            {"mask": mask, "against": against, **_areas(part)}
            for (mask, against), part in pairs.items()
            if part["area_error"].notna().all()
        ],
    }


def _subjects(rows: pd.DataFrame) -> Any:
    return drawn_by(rows, subjects_known(rows))


def _agreement(rows: pd.DataFrame, mask: str, against: str) -> dict[str, Any]:
    """`alike` counts masks that are the same to the pixel, and not empty: perhaps copies."""
    shown, there = rows["area"] > 0, rows["against_area"] > 0
    measured = [key for key in MEASURED if key in rows and rows[key].notna().all()]
    return {
        "mask": mask,
        "against": against,
        "both_empty": int((~shown & ~there).sum()),
        "only_mask": int((shown & ~there).sum()),
        "only_against": int((~shown & there).sum()),
        "alike": int((shown & (rows["dice"] == 1)).sum()),
        "all": _means(rows, ["iou", "dice"]),
        "marked": _means(rows[rows["marked"]], ["iou", "dice"]),
        "neither_empty": _means(rows[shown & there], ["iou", "dice", *measured]),
    }


def _means(rows: pd.DataFrame, keys: list[str]) -> dict[str, Any]:
    scores = mean_scores(rows[keys].to_numpy(dtype=float), _subjects(rows))
    found: dict[str, Any] = {
        "masks": len(rows),
        "subjects": len(set(_subjects(rows))),
        "all_empty": float((rows["against_area"] == 0).mean()) if len(rows) else None,
    }
    for key, score in zip(keys, scores, strict=True):
        found[key] = {"mean": score.mean, "interval": score.interval}
    return found


def _answers(
    network: pd.DataFrame, readers: pd.DataFrame, against: str, config: Config
) -> list[dict[str, Any]]:
    """Against one of the readers: of all masks, and of those that either has marked, if not all."""
    column = Metric(config.metric).column
    keys = [key for key in ("class_id", "image") if key in network]
    both = network.merge(readers[[*keys, column]], on=keys, suffixes=("", "_reader"))
    other = next(name for name in readers.iloc[0][["mask", "against"]] if name != against)
    parts = {"all": both, "marked": both[both["marked"]]}
    if both["marked"].all():
        del parts["marked"]
    return [
        {
            "against": against,
            "other": other,
            "of": of,
            "masks": len(part),
            "network": float(part[column].mean()),
            "reader": float(part[f"{column}_reader"].mean()),
            **non_inferiority(
                (part[column] - part[f"{column}_reader"]).to_numpy(float),
                _subjects(part),
                config.reader_margin,
            ),
        }
        for of, part in parts.items()
        if len(part)
    ]


def _areas(rows: pd.DataFrame) -> dict[str, Any]:
    """In pixels, and in mm² where every spacing is known; None for fewer than two masks."""
    both = rows[(rows["area"] > 0) & (rows["against_area"] > 0)]
    subjects = _subjects(both)
    found: dict[str, Any] = {}
    for unit, key in (("pixels", "area_error"), ("mm2", "area_error_mm2")):
        values = both[key].to_numpy(float) if key in both else np.array([np.nan])
        limits = None if np.isnan(values).any() else limits_of_agreement(values, subjects)
        found[unit] = None if limits is None else limits._asdict()
    return found
