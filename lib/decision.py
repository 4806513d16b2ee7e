"""Probabilities -> masks."""

import numpy as np
import numpy.typing as npt

from lib.artifacts import Probability
from lib.metric import Overlap, overlap

Mask = npt.NDArray[np.uint8]


def decide(probability: Probability, threshold: float) -> Mask:
    """Mask uint8 0/1 of the pixels whose probability (uint8, 0..255 = 0..1) is above `threshold`.

    Hydrogen Torch's fixed `probability_threshold`, 0..1.
    """
    return (probability > threshold * 255).astype(np.uint8)


def compared(truth: Mask, probability: Probability, threshold: float) -> Overlap:
    """The true mask and the one decided on; both (height, width)."""
    return overlap(truth, decide(probability, threshold))
