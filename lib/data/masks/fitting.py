"""Whether masks follow the edges in their pictures better when they are mirrored or turned."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from lib.data.masks.box import box_of
from lib.data.pictures.arrays import Grey

# How a program that writes masks may have turned them.
TURNS: dict[str, Callable[[Grey], Grey]] = {
    "mirrored left to right": lambda mask: mask[:, ::-1],
    "mirrored top to bottom": lambda mask: mask[::-1],
    "turned by 180 degrees": lambda mask: mask[::-1, ::-1],
    "with rows and columns exchanged": lambda mask: mask.T,
}
LOOKED_AT = 200  # images of a set
FEWEST = 20  # images that tell anything
CERTAIN = 4.0  # standard errors by which a turned mask has to fit better, of very many people
ENOUGH = 0.1  # and so much more edge, beside that around it
AROUND = 21  # pixels


def fits(picture: Grey, mask: Grey) -> list[float]:
    """How well the outline follows edges: as the mask is, and after each of TURNS.

    The mean gradient on the outline over that around it; NaN for a turn that has another shape, and
    for masks of no outline. Picture and mask uint8 (height, width).
    """
    smooth = cv2.GaussianBlur(picture, (0, 0), 1.5)
    along, down = (cv2.Sobel(smooth, cv2.CV_32F, *step) for step in ((1, 0), (0, 1)))
    steep = np.hypot(along, down)
    masks = [mask, *(turn(mask) for turn in TURNS.values())]
    return [
        _fit(steep, np.ascontiguousarray(one)) if one.shape == mask.shape else np.nan
        for one in masks
    ]


def _fit(steep: npt.NDArray[np.float32], mask: Grey) -> float:
    box = box_of(mask, margin=AROUND // 2)
    steep, mask = steep[box], mask[box]
    outline = (mask - cv2.erode(mask, np.ones((3, 3), np.uint8))).astype(bool)
    around = cv2.dilate(mask, np.ones((AROUND, AROUND), np.uint8)).astype(bool)
    if not outline.any() or not (there := steep[around].mean()):
        return np.nan
    return float(steep[outline].mean() / there)


def doubts_of(measured: Sequence[list[float]], people: Sequence[str] = ()) -> list[str]:
    """A sentence for the turn after which the masks of the set fit best, if beyond chance.

    Chance is that of `people`, one a mask, where they are known: frames of one are alike. Of few
    people it does more (Student's t).
    """
    table = np.array(measured, dtype=float).reshape(-1, 1 + len(TURNS))
    better: dict[str, float] = {}
    for number, name in enumerate(TURNS, start=1):
        gain = pd.Series(table[:, number] - table[:, 0]).dropna()
        if len(gain) < FEWEST:
            continue
        if people and all(people):
            gain = gain.groupby(pd.Series(people)).mean()
        if len(gain) < 2:
            continue
        error = gain.std() / np.sqrt(len(gain))
        if gain.mean() > ENOUGH and gain.mean() > _certain(len(gain)) * error:
            better[name] = gain.mean()
    if not better:
        return []
    best = max(better, key=lambda name: better[name])
    return [
        f"the masks of {len(table)} images that were looked at follow the edges in their pictures "
        f"better {best}: look at labels.png, and export them again if they lie wrong"
    ]


def _certain(number: int) -> float:
    """Standard errors of the mean of so many that chance reaches as seldom as CERTAIN of many."""
    from scipy.special import ndtr, stdtrit  # slow to load, and seldom needed

    return float(stdtrit(number - 1, ndtr(CERTAIN)))
