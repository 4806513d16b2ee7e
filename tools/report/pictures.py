"""Frames for the page: small pictures, with outlines and probabilities laid over them there.

A frame is embedded once, grey; the true and the predicted mask are outlines (vectors), the
probability is a still smaller picture. So one frame serves the tile with the truth, the tile with
the prediction and the large view, and takes some 20 KB.
"""

import base64
from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from lib.artifacts.folds import true_mask
from lib.artifacts.probabilities import Probability
from lib.artifacts.run import Run
from lib.data.pictures.arrays import (
    Grey,
    ImageFile,
    UnusableImage,
    read_image,
    sha_of_image,
)
from lib.data.table import files_told
from lib.decision.evidence import open_all
from lib.decision.results import Results
from lib.decision.rule import Mask
from lib.runtime.errors import InputError
from lib.runtime.threads import with_bar

PICTURES = 600  # so many fit into a page that a mail takes, and are drawn in seconds
LONG_SIDE, PROBABILITY_SIDE = 448, 120  # pixels
QUALITY, PROBABILITY_QUALITY = 45, 60  # of WebP, 1 to 100
DETAIL = 0.7  # pixels by which an outline may be off


def pictures(results: Results, images: list[str]) -> tuple[dict[str, Any], str]:
    """What `_picture` gives, by image; and in words why some or all are missing."""
    try:
        table = results.unseen.table
        wanted = table[table["image"].isin(images)]
        files = files_told(wanted, results.config)
    except (InputError, OSError):
        return {}, "The folder of the images is not there, so there are no pictures."
    rows = [row for row in wanted.to_dict("records") if row["image"] in files]
    with open_all(table, results.folds, results.config) as probabilities:

        def draw(row: dict[str, Any]) -> dict[str, Any] | None:
            grey = present_image(files[row["image"]], row)
            if grey is None:
                return None
            planes = probabilities[row["fold"]][row["image"]]
            masks = results.masks_of(row["image"])
            return _picture(grey, planes, masks, row, results.folds.masks)

        drawn = list(with_bar(draw, rows, "pictures"))
    found = {row["image"]: one for row, one in zip(rows, drawn, strict=True) if one is not None}
    missing = len(images) - len(found)
    return (
        found,
        f"{missing} images have changed or are gone: no picture." if missing else "",
    )


def present_image(file: ImageFile, row: dict[str, Any]) -> Grey | None:
    """The frame, if it is still the one that folds.csv is of."""
    try:
        return read_image(file) if sha_of_image(file) == row["sha"] else None
    except (UnusableImage, OSError):
        return None


def _picture(
    grey: Grey, planes: Probability, masks: list[Mask], row: dict[str, Any], columns: list[str]
) -> dict[str, Any]:
    """Height, width, the frame; of each class the outlines and the probability."""
    return {
        "height": row["height"],
        "width": row["width"],
        "frame": webp(shrunk(grey, LONG_SIDE), QUALITY),
        "truth": [outline(true_mask(row, column)) for column in columns],
        "mask": [outline(mask) for mask in masks],
        "probability": [
            webp(shrunk(plane, PROBABILITY_SIDE), PROBABILITY_QUALITY) for plane in planes
        ],
    }


def shrunk(picture: Grey, long_side: int) -> Grey:
    """(height, width) or (height, width, 3), no side above `long_side`."""
    scale = long_side / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def webp(picture: Grey, quality: int) -> str:
    """As base64."""
    _, content = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, quality])
    return base64.b64encode(content.tobytes()).decode()


def embedded(path: Path, long_side: int) -> str | None:
    """A picture of the run folder as WebP in base64; None where there is none."""
    content = cv2.imread(str(path)) if path.is_file() else None
    return None if content is None else webp(shrunk(np.asarray(content, np.uint8), long_side), 70)


def outline(mask: Mask) -> str:
    """Path of an SVG, in pixels; "" where the mask is empty."""
    contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    lines = [cv2.approxPolyDP(contour, DETAIL, True)[:, 0] for contour in contours]
    return "".join("M" + "L".join(f"{x} {y}" for x, y in line) + "Z" for line in lines)


def chosen(rows: pd.DataFrame, twins: set[str], number: int = PICTURES) -> list[str]:
    """The images to show where not all can be: in turns of each list, until there are so many.

    The worst, the false alarms and misses of most conviction, the contradictory twins, the best,
    and images evenly from all, so that the page shows what is usual too.
    """
    there, shown = rows["true_area"] > 0, rows["area"] > 0
    rankings = [
        rows[there & shown].sort_values("iou"),
        rows[~there & shown].sort_values("presence", ascending=False),
        rows[there & ~shown].sort_values("presence"),
        rows[rows["image"].isin(twins)],
        rows[there].sort_values("iou", ascending=False),
        rows.iloc[:: max(1, len(rows) // number)],
    ]
    in_turns = chain.from_iterable(zip_longest(*(ranking["image"] for ranking in rankings)))
    return list(dict.fromkeys(_named(chain(in_turns, rows["image"]))))[:number]


def _named(images: Iterator[str | None]) -> Iterator[str]:
    return (image for image in images if image is not None)


def first_batches(results: Results) -> list[dict[str, Any]]:
    """The first augmented batch of each fold whose picture is there; of one fold in full size."""
    found: list[dict[str, Any]] = []
    for fold in results.config.fold_numbers:
        path = Run.of(results.config).first_batch(fold)
        if (content := embedded(path, 1400 if not found else 700)) is not None:
            found.append({"fold": fold, "picture": content})
    return found
