"""Probabilities -> masks: the rule, and what it does to one map."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lib.artifacts.probabilities import Probability
from lib.data.masks.box import box_of
from lib.data.masks.holes import filled
from lib.metric import Floats, Overlap, overlap

Mask = npt.NDArray[np.uint8]
Levels = npt.NDArray[np.int64]  # (..., 256): how many pixels have each stored probability

NEVER = 1.01  # a gate that no presence reaches
TOP_SHARE = 1 / 128  # of the pixels: below the smallest nerve of the competition's frames


@dataclass(frozen=True)
class Rule:
    """How a map of probabilities becomes a mask, in the order of the fields.

    Presence first: one wrong pixel costs all of an empty image's score, whatever the mask's shape.
    """

    head_weight: float = 0.0  # of the file's own presence, in a mean with the map's evidence
    top_share: float = TOP_SHARE  # the evidence: mean probability of this share of the pixels
    gate: float = 0.0  # least presence of a nerve; 0: always one; NEVER: none
    threshold: float = 0.5  # a pixel above it is nerve
    never_empty: bool = False  # where none is: those above half the largest probability
    least_area: float = 0.0  # as a share of the image; a smaller mask is none
    components: int = 0  # of the pieces, so many of the largest are kept; 0: all
    fill_holes: bool = False


def decide(probability: Probability, presence: float, rule: Rule) -> Mask:
    """Probability uint8 (height, width), 0..255 = 0..1 -> mask uint8 0/1.

    `presence` is that of the probability file.
    """
    if against_gate(probability, presence, rule) < rule.gate:
        return np.zeros_like(probability)
    mask = above(probability, rule.threshold)
    if rule.never_empty and not mask.any():
        mask = (probability > probability.max() // 2).astype(np.uint8)
    if np.count_nonzero(mask) < rule.least_area * mask.size:
        return np.zeros_like(probability)
    return cleaned(mask, rule.components, rule.fill_holes)


def against_gate(probability: Probability, presence: float, rule: Rule) -> float:
    """The presence 0..1 that the rule holds against its gate; `presence` is the file's."""
    evidence = top_mean(levels_of(probability)[None], rule.top_share)
    found = blended(np.array([presence], dtype=np.float64), evidence, rule.head_weight)
    return float(found[0])


def above(probability: Probability, threshold: float) -> Mask:
    """Mask of the pixels whose probability is above `threshold`, 0..1: Hydrogen Torch's rule."""
    return (probability > level_of(threshold)).astype(np.uint8)


def level_of(threshold: float) -> int:
    """The largest stored probability, 0..255, that is not above the threshold."""
    return math.floor(threshold * 255)


def compared(truth: Mask, probability: Probability, threshold: float) -> Overlap:
    """The true mask and the pixels above a fixed threshold; both (height, width)."""
    return overlap(truth, above(probability, threshold))


def levels_of(probability: Probability, mask: Mask | None = None) -> Levels:
    """(256,): pixels of each stored probability, of the whole map or where the mask is not 0."""
    counts = cv2.calcHist([probability], [0], mask, [256], [0, 256])
    return counts.ravel().astype(np.int64)


def top_mean(levels: Levels, share: float) -> Floats:
    """(images, 256) -> (images,): the mean probability, 0..1, of the most probable pixels.

    Evidence of a nerve: the largest pixel alone is as often a speck, the sum over all pixels
    follows the nerve's size. Of whole numbers until the last division, so that a gate parts the
    same images wherever it is computed.
    """
    wanted = np.maximum(1, np.rint(share * levels.sum(axis=1)))[:, None]
    so_far = np.minimum(levels[:, ::-1].cumsum(axis=1), wanted)
    taken = np.diff(so_far, axis=1, prepend=0)
    return (taken @ np.arange(255.0, -1, -1)) / (255 * wanted[:, 0])


def blended(presence: Floats, evidence: Floats, head_weight: float) -> Floats:
    """What the gate is held against: the weighted mean of both."""
    return head_weight * presence + (1 - head_weight) * evidence


def cleaned(mask: Mask, components: int, fill_holes: bool) -> Mask:
    """The largest pieces (8-connected), with holes filled."""
    if not mask.any() or not (components or fill_holes):
        return mask
    return _without_pieces(mask, components, fill_holes)


def has_pieces_or_holes(mask: Mask) -> bool:
    """Whether it is more than one piece without a hole."""
    contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return len(contours) > 1


def _without_pieces(mask: Mask, components: int, fill_holes: bool) -> Mask:
    box = box_of(mask)
    inside = mask[box]
    if components:
        inside = _largest(inside, components)
    if fill_holes:
        inside = filled(inside)
    result = np.zeros_like(mask)
    result[box] = inside
    return result


def _largest(mask: Mask, components: int) -> Mask:
    """The pieces of most pixels; of equals, the one that comes first from the top."""
    _, labels, about, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = about[1:, cv2.CC_STAT_AREA]
    kept = np.argsort(-areas, kind="stable")[:components] + 1
    return np.isin(labels, kept).astype(np.uint8)
