"""What the page needs to score any gate, threshold and area by itself, as lib.decision.search does.

An image's pixels above every hundredth of probability, and those of them that show a nerve, are all
that a rule without cleaning depends on. As whole numbers they are exact, and small once packed: of
5,635 images some 2 MB.
"""

import base64
import gzip
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.config.fields import Config
from lib.decision.nested import Decided
from lib.decision.results import Results
from lib.decision.rule import Rule, level_of
from lib.decision.search import AREAS, GATES, HEAD_WEIGHTS, Evidence, above_level, presence_of
from lib.metric import Counts

STEPS = 100  # thresholds between 0 and 1


def explorers(results: Results) -> list[dict[str, Any]]:
    """One a class."""
    of_classes = zip(results.folds.classes, results.unseen.evidence, results.decided, strict=True)
    return [
        {"name": name, **explorer(evidence, found.rule, results.config), "cleaned": cleaned(found)}
        for name, evidence, found in of_classes
    ]


def explorer(evidence: Evidence, rule: Rule, config: Config) -> dict[str, Any]:
    """Settings that the sliders take, and counts; `packed` texts hold a value or row an image.

    `area` and `both` have a column a threshold, and a last one of the pixels above half of the
    image's largest probability, which are its mask where never_empty fills it.
    """
    steps = {k / STEPS for k in range(1, STEPS)}
    thresholds = sorted(steps | {rule.threshold, config.probability_threshold})
    levels = [level_of(threshold) for threshold in thresholds]
    area, both = above_level(evidence.pixels), above_level(evidence.true)
    half = (area > 0).sum(axis=1) // 2
    image = np.arange(len(area))
    return {
        "thresholds": thresholds,
        "gates": GATES.tolist(),
        "areas": [least for least in AREAS if least is not None],
        "head_weights": list(HEAD_WEIGHTS) if evidence.head else [0.0],
        "images": len(area),
        "rule": place_of(rule, thresholds),
        "fixed": place_of(Rule(threshold=config.probability_threshold), thresholds),
        "area": packed_counts(np.column_stack([area[:, levels], area[image, half]])),
        "both": packed_counts(np.column_stack([both[:, levels], both[image, half]])),
        "truth": packed_counts(evidence.truth[:, None]),
        "pixels": packed_counts(evidence.pixels.sum(axis=1)[:, None]),
        "presence": packed(evidence.presence.astype("<f8")),
        "evidence": packed(presence_of(evidence, Rule(top_share=rule.top_share)).astype("<f8")),
    }


def cleaned(found: Decided) -> dict[str, str] | None:
    """Pixels of the masks by the chosen rule, where it drops pieces or fills holes.

    The other counts know nothing of pieces and holes, so their score at that rule is another.
    """
    if not (found.rule.components or found.rule.fill_holes):
        return None
    area, both = found.tuned.area[:, None], found.tuned.both[:, None]
    return {"area": packed_counts(area), "both": packed_counts(both)}


def place_of(rule: Rule, thresholds: list[float]) -> dict[str, Any]:
    """The rule as the sliders have it: numbers in their lists."""
    return {
        "gate": int(np.searchsorted(GATES, rule.gate)),
        "threshold": thresholds.index(rule.threshold),
        "area": [least for least in AREAS if least is not None].index(rule.least_area),
        "head_weight": rule.head_weight,
        "never_empty": rule.never_empty,
    }


def packed_counts(counts: Counts) -> str:
    """(images, columns) whole numbers below 2^32: their differences along a row, byte by byte.

    Neighbouring thresholds differ little, so most of the high bytes are 0, and gzip packs them.
    """
    steps = np.diff(counts.astype("<u4"), axis=1, prepend=np.uint32(0))
    planes = np.ascontiguousarray(steps.ravel().view(np.uint8).reshape(-1, 4).T)
    return packed(planes)


def packed(array: npt.NDArray[Any]) -> str:
    """Base64 of gzip; the same array gives the same text."""
    return base64.b64encode(gzip.compress(array.tobytes(), 6, mtime=0)).decode()
