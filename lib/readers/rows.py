"""Two readings of each image and the network's mask, held against each other: readers.csv."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib import rle
from lib.artifacts.folds import true_mask
from lib.artifacts.second_reader import load_second_reader
from lib.config.fields import Config
from lib.decision.measures import measures_of, spacing_of
from lib.decision.results import Results
from lib.decision.rule import Mask
from lib.metric import dice, iou, overlap
from lib.readers.twins import twins_labels
from lib.runtime.errors import InputError
from lib.runtime.threads import with_bar

NETWORK = "network"
BOTH, EITHER, AGREED = "both", "either", "where both agree"
MEASURED = ("hd95", "assd", "nsd", "area_error", "hd95_mm", "assd_mm", "nsd_mm", "area_error_mm2")
TWIN, TWIN_NAMES = "twins", ("the label", "the twin's label")


class Readings(NamedTuple):
    """Two people's labels of the same images; the first are those of folds.csv."""

    kind: str  # "second reader" or TWIN
    names: tuple[str, str]  # of the first and of the second
    second: pd.DataFrame  # columns image and run lengths


def readings_of(results: Results) -> Readings | None:
    """Those of a second reader, else those of twins; None without either.

    InputError where second_reader.csv is of other classes than folds.csv.
    """
    second = load_second_reader(results.config)
    if second is None:
        of_twins = twins_labels(results.folds, results.config)
        return None if of_twins is None else Readings(TWIN, TWIN_NAMES, of_twins)
    if missing := set(results.folds.masks) - set(second.columns):
        raise InputError(
            f"second_reader.csv lacks the columns {sorted(missing)}: run 01_prepare_folds.py again"
        )
    return Readings("second reader", ("reader 1", "reader 2"), second)


def rows_of(readings: Readings, results: Results) -> pd.DataFrame:
    """A row an image, class and pair of masks, of the images that are scored: readers.csv.

    Columns class_id where there are several, image, subject, mask, against, marked (by either
    reader), pixel_mm2 where the spacing is known, iou, dice, area (of `mask`), against_area;
    distances and area_error of the pairs of whole masks: area less against_area.
    """
    columns = results.folds.masks
    second = readings.second.set_index("image")
    scored = results.unseen.table
    scored = scored[scored["image"].isin(second.index)].to_dict("records")
    several = len(columns) > 1

    def compare(row: dict[str, Any]) -> list[dict[str, Any]]:
        found = []
        drawn = results.masks_of(row["image"])
        theirs = second.loc[row["image"]]
        for name, column, mask in zip(results.folds.classes, columns, drawn, strict=True):
            first = true_mask(row, column)
            other = rle.decode(theirs[column], first.shape, row["image"])
            about = {"image": row["image"], "subject": row["subject"]}
            about |= {"class_id": name} if several else {}
            pairs = compared(first, other, mask, readings.names, row, results.config)
            found += [about | pair for pair in pairs]
        return found

    found = [pair for of_image in with_bar(compare, scored, "readers") for pair in of_image]
    return pd.DataFrame(found)


def compared(
    first: Mask,
    second: Mask,
    network: Mask,
    names: tuple[str, str],
    row: dict[str, Any],
    config: Config,
) -> list[dict[str, Any]]:
    """Each pair of an image's masks (height, width), 0 and 1; `row` is that of folds.csv.

    `where both agree` leaves out the pixels that one reader alone has marked: of the network's
    mask too.
    """
    both, either = first & second, first | second
    whole = [
        (names[1], second, names[0], first),
        (NETWORK, network, names[0], first),
        (NETWORK, network, names[1], second),
    ]
    parts = [
        (NETWORK, network, BOTH, both),
        (NETWORK, network, EITHER, either),
        (NETWORK, np.where(both == either, network, 0).astype(np.uint8), AGREED, both),
    ]
    spacing = spacing_of(row, config)
    about: dict[str, Any] = {"marked": bool(either.any())}
    if spacing:
        about["pixel_mm2"] = spacing[0] * spacing[1]
    found = [_pair(*pair) | about for pair in [*whole, *parts]]
    for place, (_, mask, _, against) in enumerate(whole):
        measures = measures_of(against, mask, spacing, config)
        found[place] |= {key: measures[key] for key in MEASURED if key in measures}
    return found


def _pair(name: str, mask: Mask, other: str, against: Mask) -> dict[str, Any]:
    counts = overlap(against, mask)
    return {
        "mask": name,
        "against": other,
        "iou": iou(counts),
        "dice": dice(counts),
        "area": counts.prediction,
        "against_area": counts.truth,
    }
