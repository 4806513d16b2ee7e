"""Near-duplicates whose labels disagree: found, weighted and counted."""

from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from lib import rle
from lib.artifacts.folds import masks_in
from lib.metric import Overlap, dice, iou

TWIN_DICE = 0.5  # labels of twins that overlap less contradict each other


def agreement(table: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """How far the labels of each pair agree: `pairs` with columns dice, iou, worst and empties.

    dice and iou are means over the classes, as the competition counts: both empty 1, one empty 0;
    worst is the Dice of the class that agrees least; image_empty, twin_empty tell of that class.
    """
    columns = masks_in(table)
    runs = {column: [Runs.of(text) for text in table[column]] for column in columns}
    sizes = list(zip(table["height"], table["width"], strict=True))
    rows = []
    for a, b in zip(pairs["a"], pairs["b"], strict=True):
        counts = [_overlap(masks[a], masks[b], sizes[a], sizes[b]) for masks in runs.values()]
        worst = min(counts, key=dice)
        dices, ious = [dice(count) for count in counts], [iou(count) for count in counts]
        empties = worst.truth == 0, worst.prediction == 0
        rows.append((np.mean(dices), np.mean(ious), dice(worst), *empties))
    kinds = {"dice": float, "iou": float, "worst": float, "image_empty": bool, "twin_empty": bool}
    found = pd.DataFrame(rows, columns=list(kinds), index=pairs.index)
    return pairs.join(found.astype(kinds))


class Runs(NamedTuple):
    """A mask by its runs: a mask is compared with many others, and drawing it takes longer."""

    text: str
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    before: npt.NDArray[np.int64]  # pixels of the runs ahead of each, and last of all runs

    @classmethod
    def of(cls, text: str) -> "Runs":
        numbers = np.array(text.split(), dtype=np.int64)
        starts, lengths = numbers[::2], numbers[1::2]
        return cls(text, starts, starts + lengths, np.concatenate([[0], lengths.cumsum()]))

    def pixels_ahead(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """How many pixels of the mask, which is not empty, come before each of the places."""
        run = np.searchsorted(self.starts, places, side="right") - 1
        inside = np.minimum(places, self.ends[run]) - self.starts[run]
        return np.where(run >= 0, self.before[run] + inside, 0)


def _overlap(mask: Runs, twin: Runs, size: tuple[int, int], twin_size: tuple[int, int]) -> Overlap:
    if size != twin_size:
        other = rle.decode(twin.text, twin_size)
        other = cv2.resize(other, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT).astype("u1")
        twin = Runs.of(rle.encode(other))
    if mask.text == twin.text:
        return Overlap(*[int(mask.before[-1])] * 3)
    both = 0
    if mask.text and twin.text:
        both = int((twin.pixels_ahead(mask.ends) - twin.pixels_ahead(mask.starts)).sum())
    return Overlap(int(mask.before[-1]), int(twin.before[-1]), both)


def contradictions(table: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs of `agreement` of which a class overlaps less than TWIN_DICE, the worst first."""
    worst = pairs[pairs["worst"] < TWIN_DICE].sort_values(
        ["worst", "similarity", "a", "b"], ascending=[True, False, True, True]
    )
    return pd.DataFrame(
        {
            "image": table["image"].iloc[worst["a"]].to_numpy(),
            "twin": table["image"].iloc[worst["b"]].to_numpy(),
            "similarity": worst["similarity"].to_numpy(),
            "dice": worst["worst"].to_numpy(),
            "subject": table["subject"].iloc[worst["a"]].to_numpy(),
            "twin_subject": table["subject"].iloc[worst["b"]].to_numpy(),
            "image_empty": worst["image_empty"].to_numpy(),
            "twin_empty": worst["twin_empty"].to_numpy(),
        }
    )


def _empty(table: pd.DataFrame) -> pd.Series:
    return (table[masks_in(table)] == "").all(axis=1)


def weights(table: pd.DataFrame, found: pd.DataFrame, policy: str) -> npt.NDArray[np.float64]:
    """What each image counts in training, 0 to 1, under `label_policy`."""
    image = table["image"]
    if policy == "drop_empty_twin":
        one = found[found["image_empty"] != found["twin_empty"]]
        empty = one["image"].where(one["image_empty"], one["twin"])
        return np.where(image.isin(empty) & _empty(table), 0.0, 1.0)
    if policy == "downweight":
        return np.where(image.isin([*found["image"], *found["twin"]]), 0.5, 1.0)
    return np.ones(len(table))


def label_noise_ceiling(table: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, Any]:
    """The score of a copyist who gives each image the label of its nearest twin.

    A network cannot be expected to know a label better than the label of nearly the same picture
    does. `pairs` are those of `agreement`. Mean over the images that have a twin, and over those of
    them that are not empty; None where there are none.
    """
    swapped = pairs.rename(columns={"a": "b", "b": "a"})
    nearest = (
        pd.concat([pairs, swapped])
        .sort_values(["similarity", "a", "b"], ascending=[False, True, True])
        .drop_duplicates("a")
    )
    masked = nearest[~_empty(table).iloc[nearest["a"]].to_numpy()]
    return {
        name: {
            "images": len(rows),
            "iou": float(rows["iou"].mean()) if len(rows) else None,
            "dice": float(rows["dice"].mean()) if len(rows) else None,
        }
        for name, rows in (("all", nearest), ("with_mask", masked))
    }
