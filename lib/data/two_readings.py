"""Run lengths of a table and mask pictures that label the same images: they must agree."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lib import rle
from lib.config.fields import Config
from lib.data.label import Label, Labels
from lib.data.pictures.arrays import UnusableImage

LOOKED_AT = 50  # images that tell how run lengths are read
READINGS = [(order, start) for order in ("columns", "rows") for start in (1, 0)]
Mask = npt.NDArray[np.uint8]


def joined(
    runs: Iterable[str], shape: tuple[int, int], order: str = "columns", start: int = 1
) -> Mask:
    """The mask of several texts together; RleError."""
    mask = np.zeros(shape, dtype=np.uint8)
    for text in runs:
        if text.strip():
            mask |= rle.decode_as(text, shape, order, start)
    return mask


def settled(labels: Labels, config: Config) -> tuple[Config, Mapping[str, Any]]:
    """The settings, with rle_order and rle_start under which most masks agree; and what changed.

    As they are where they suffice, or where no other pair does.
    """
    both = [label for label in labels.by_image.values() if _tells_twice(label)][:LOOKED_AT]
    own = (config.rle_order, config.rle_start)
    agree = {way: sum(_agrees(label, *way) for label in both) for way in {own, *READINGS}}
    best = max(agree, key=lambda way: (agree[way], way == own))
    if best == own or agree[best] * 2 <= len(both):
        return config, {}
    found: dict[str, Any] = {"rle_order": best[0], "rle_start": best[1]}
    print(
        f"run lengths    of {config.train_dataframe} are read with rle_order={best[0]} and "
        f"rle_start={best[1]}: so they are what the mask pictures show"
    )
    return replace(config, **found), found


def _tells_twice(label: Label) -> bool:
    runs = any(text.strip() for of in label.runs.values() for text in of)
    return runs and any(label.drawn.values()) and not (label.ours or label.error)


def _agrees(label: Label, order: str, start: int) -> bool:
    shape = label.drawn_size or (0, 0)
    try:
        told = joined([t for of in label.runs.values() for t in of], shape, order, start)
    except rle.RleError:
        return False
    return bool((told == joined([t for of in label.drawn.values() for t in of], shape)).all())


def require_same(told: Mask, drawn: Mask, label: Label, config: Config) -> None:
    """UnusableImage where the table's mask is not that of the picture."""
    if wrong := np.count_nonzero(told != drawn):
        choice = "mask_folder=None takes the table's mask, rle_mask_column=None the picture's"
        way_out = "" if config.mask_folder == "None" else f" ({choice})"
        raise UnusableImage(f"table and {label.drawn_from} differ in {wrong} pixels{way_out}")


def say(twice: int, config: Config) -> None:
    """That they agree, in so many images that have both."""
    if twice:
        place = config.data_folder if config.mask_folder == "None" else config.mask_folder
        print(
            f"labels         {config.train_dataframe} and the masks of {place} agree, pixel by "
            f"pixel, in the {twice} images that have both"
        )
