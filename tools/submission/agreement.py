"""Two submissions of the same images -> how far they agree, and where they differ most."""

from collections.abc import Mapping

import numpy as np

from lib import rle
from lib.artifacts.submission import Key, Table
from lib.metric import Overlap, dice, overlap
from lib.runtime.progress import progress
from tools.submission.check import SHAPE, Shape
from tools.submission.faults import named

DIFFERENT_SHOWN = 10

# Of a pair of masks: 1 is added where A is not empty, 2 where B is not.
KINDS = ("both empty", "only A", "only B", "both have a mask")


def compared(first: Table, second: Table, shape: Shape = SHAPE) -> dict[Key, Overlap]:
    """Pixels by image and class: `truth` those of the first, `prediction` those of the second."""
    bar = progress(first.items(), "comparing")
    return {
        key: overlap(rle.decode(text, shape), rle.decode(second[key], shape)) for key, text in bar
    }


def agreement(pairs: Mapping[Key, Overlap]) -> str:
    scores: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for counts in pairs.values():
        scores[KINDS[bool(counts.truth) + 2 * bool(counts.prediction)]].append(dice(counts))
    mean = np.mean([score for values in scores.values() for score in values])
    lines = [f"mean Dice, both empty counting 1: {mean:.4f}"]
    lines += [f"  {kind:17}{len(values):6}" for kind, values in scores.items()]
    if both := scores[KINDS[3]]:
        lines[-1] += f", their mean Dice {np.mean(both):.4f}"
    return "\n".join(lines)


def most_different(pairs: Mapping[Key, Overlap]) -> str:
    """The masks of which most pixels are in one only."""

    def different(key: Key) -> int:
        return pairs[key].truth + pairs[key].prediction - 2 * pairs[key].both

    keys = sorted(filter(different, pairs), key=different, reverse=True)
    lines = [f"{len(keys)} masks differ, most of all:" if keys else "no mask differs"]
    for key in keys[:DIFFERENT_SHOWN]:
        counts = pairs[key]
        lines.append(
            f"  {named(key)}: {different(key)} pixels in one only "
            f"(A {counts.truth}, B {counts.prediction}), Dice {dice(counts):.3f}"
        )
    return "\n".join(lines)
