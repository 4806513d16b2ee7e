"""How often "as good as a second reader?" is answered wrongly; how far labels of twins agree.

    python -m benchmarks.readers           # made-up scores of known differences, a minute
    python -m benchmarks.readers RUN       # a finished run: twins by their similarity

A person's frames share an effect of the person, as frames of one sweep do.
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np

from lib.artifacts.run import Run
from lib.decision.results import results_of
from lib.readers import twins
from lib.readers.rows import TWIN, TWIN_NAMES, Readings, rows_of
from lib.readers.statistics import INFERIOR, NOT_INFERIOR, OPEN, non_inferiority
from lib.readers.summary import readers_content

MARGIN, FRAMES, DRAWS = 0.05, 15, 300
PEOPLE, TRUE = (4, 8, 15, 40), (-0.05, 0.0, -0.1)
SD_PERSON, SD_FRAME = 0.04, 0.1
SIMILAR = (0.9, 0.95, 0.98, 0.99, 0.999)


def answers(people: int, true: float, random: np.random.Generator) -> Counter[str]:
    """How often each verdict is given where the true difference is `true`."""
    of = np.repeat(np.arange(people), FRAMES)
    found: Counter[str] = Counter()
    for _ in range(DRAWS):
        effect = random.normal(0, SD_PERSON, people)[of]
        changes = true + effect + random.normal(0, SD_FRAME, len(of))
        found[non_inferiority(changes, of.astype(str), MARGIN)["verdict"]] += 1
    return found


def simulate() -> None:
    random = np.random.default_rng(0)
    print(f"margin {MARGIN}, {FRAMES} frames of each person, {DRAWS} draws")
    for true in TRUE:
        for people in PEOPLE:
            found = answers(people, true, random)
            shares = [
                f"{name} {found[name] / DRAWS:.3f}" for name in (NOT_INFERIOR, INFERIOR, OPEN)
            ]
            print(
                f"true difference {true:+.2f}, {people:2} people: {', '.join(shares)}", flush=True
            )


def by_similarity(folder: Path) -> None:
    config = Run(folder).config(["quiet=true"])
    results = results_of(config)
    for similar in SIMILAR:
        labels = twins.twins_labels(results.folds, config, similar)
        if labels is None:
            continue
        readings = Readings(TWIN, TWIN_NAMES, labels)
        content = readers_content(rows_of(readings, results), readings, config)
        found = content["all"]
        pair, answer = found["pairs"][0], found["as_good_as_a_reader"][0]
        dice, near = pair["all"]["dice"], pair["neither_empty"]
        low, high = answer["interval"]
        print(
            f"similarity {similar:g}: {found['images']} images, {found['subjects']} people; Dice "
            f"{dice['mean']:.3f} ({dice['interval'][0]:.3f} to {dice['interval'][1]:.3f}), HD95 "
            f"{near['hd95']['mean']:.1f} px; network less label {answer['difference']:+.3f} "
            f"({low:+.3f} to {high:+.3f})"
        )


if __name__ == "__main__":
    by_similarity(Path(sys.argv[1])) if len(sys.argv) > 1 else simulate()
