"""Probabilities -> masks."""

import numpy as np
import numpy.typing as npt

from lib.artifacts import Probability


def decide(probability: Probability, threshold: float) -> npt.NDArray[np.uint8]:
    """Mask uint8 0/1 of the pixels whose probability (uint8, 0..255 = 0..1) is above `threshold`.

    Hydrogen Torch's fixed `probability_threshold`, 0..1.
    """
    return (probability > threshold * 255).astype(np.uint8)
