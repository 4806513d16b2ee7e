"""Nearly the same picture twice, labelled twice: the nearest twin's label as a second reading."""

import cv2
import pandas as pd

from lib import rle
from lib.artifacts.folds import Folds
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.runtime.files import existing

# Pairs from here on are taken: on 1,982 frames of 38 people the labels of more similar ones agree
# no better (mean Dice .82), those of all from .9 on less (.80), as their views differ
# (docs/benchmarks.md).
TWIN_SIMILAR = 0.98


def twins_labels(
    folds: Folds, config: Config, similar: float = TWIN_SIMILAR
) -> pd.DataFrame | None:
    """Columns image and run lengths, of each image the label of its nearest twin, at its own size.

    None where no pair of duplicates.csv is as `similar`. The labels lie as they were drawn: 01
    compares pictures with each moved by a few pixels, and the masks are not moved.
    """
    nearest = _nearest(config, similar)
    nearest = nearest[nearest[["image", "twin"]].isin(set(folds.table["image"])).all(axis=1)]
    if nearest.empty:
        return None
    rows = folds.table.set_index("image")
    own, twins = rows.loc[nearest["image"]], rows.loc[nearest["twin"]]
    sizes = list(zip(own["height"], own["width"], strict=True))
    twin_sizes = list(zip(twins["height"], twins["width"], strict=True))
    masks = {
        column: [
            at_size(text, size, wanted)
            for text, size, wanted in zip(twins[column], twin_sizes, sizes, strict=True)
        ]
        for column in folds.masks
    }
    return pd.DataFrame({"image": nearest["image"].to_numpy(), **masks})


def _nearest(config: Config, similar: float) -> pd.DataFrame:
    """Columns image, twin: of each image in duplicates.csv its most similar twin."""
    path = Run.of(config).duplicates
    if not path.is_file():
        return pd.DataFrame(columns=["image", "twin"])
    words = dict.fromkeys(("image", "twin", "twin_part"), str)
    pairs = pd.read_csv(existing(path, "01_prepare_folds.py"), dtype=words, keep_default_na=False)
    pairs = pairs[(pairs["twin_part"] == "train") & (pairs["similarity"] >= similar)]
    swapped = pairs.rename(columns={"image": "twin", "twin": "image"})
    both = pd.concat([pairs, swapped]).sort_values(
        ["similarity", "image", "twin"], ascending=[False, True, True]
    )
    return both.drop_duplicates("image")[["image", "twin"]].sort_values("image")


def at_size(text: str, size: tuple[int, int], wanted: tuple[int, int]) -> str:
    if size == wanted or not text:
        return text
    mask = rle.decode(text, size)
    other = cv2.resize(mask, wanted[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return rle.encode(other.astype("u1"))
