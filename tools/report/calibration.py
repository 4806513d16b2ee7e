"""Predicted against true, and the score at another share of nerves."""

import numpy as np
import pandas as pd

from lib.decision.evidence import Unseen
from lib.decision.results import Results
from lib.metric import Floats

BINS = 10  # of a reliability diagram

SHARES = np.arange(0, 1.01, 0.05)  # of test images with a nerve


def presence_reliability(results: Results) -> pd.DataFrame:
    """By class and tenth of presence: images, and the share of them that show a nerve.

    Presence is what each nested rule holds against its gate.
    """
    rows = []
    for name, evidence, found in zip(
        results.folds.classes, results.unseen.evidence, results.decided, strict=True
    ):
        predicted = np.clip(found.presence, 0, 1)
        true = (evidence.truth > 0).astype(float)
        rows.append(_reliability(predicted, true, np.ones(len(true))).assign(name=name or "nerve"))
    return pd.concat(rows, ignore_index=True)


def pixel_reliability(unseen: Unseen, classes: list[str]) -> pd.DataFrame:
    """By class and tenth of probability: pixels, and the share of them inside the true masks."""
    rows = []
    levels = np.arange(256) / 255
    for name, evidence in zip(classes, unseen.evidence, strict=True):
        pixels, true = evidence.pixels.sum(axis=0), evidence.true.sum(axis=0)
        share = np.divide(true, pixels, out=np.zeros(256), where=pixels > 0)
        rows.append(_reliability(levels, share, pixels).assign(name=name or "nerve"))
    return pd.concat(rows, ignore_index=True)


def _reliability(predicted: Floats, true: Floats, weight: Floats) -> pd.DataFrame:
    """Weighted means of predicted and true, in BINS of predicted."""
    place = np.minimum((predicted * BINS).astype(int), BINS - 1)
    number = np.bincount(place, weight, BINS)
    used = number > 0
    means = [np.bincount(place, weight * v, BINS)[used] / number[used] for v in (predicted, true)]
    return pd.DataFrame({"predicted": means[0], "true": means[1], "number": number[used]})


def calibration_error(table: pd.DataFrame) -> float:
    """Mean distance of predicted and true, weighted by number (Naeini, Cooper, Hauskrecht 2015)."""
    distance = (table["predicted"] - table["true"]).abs()
    return float((distance * table["number"]).sum() / table["number"].sum())


def expected_scores(results: Results) -> pd.DataFrame:
    """Columns share, what, score: of the nested rules and of empty masks, by the share of images
    with a nerve; none where all or no images have one."""
    there = (results.rows["true_area"] > 0).to_numpy()
    if there.all() or not there.any():
        return pd.DataFrame(columns=["share", "what", "score"])
    values = results.rows[results.metric.column].to_numpy(dtype=float)
    empty, full = values[~there].mean(), values[there].mean()
    lines = {
        "rules chosen without the images": (1 - SHARES) * empty + SHARES * full,
        "all masks empty": 1 - SHARES,
    }
    return pd.concat(
        [pd.DataFrame({"share": SHARES, "what": n, "score": s}) for n, s in lines.items()],
        ignore_index=True,
    )
