"""Two commands on one run at the same time: the second refuses by name, or ends as if alone."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

from tests.hammer.runs import START, Scene, ended
from tests.hammer.table import Try


def starts(folder: Path, random: random.Random) -> Iterator[Try]:
    scene = Scene(folder, "number_of_workers=0")
    while True:
        yield two_starts(scene, random)


def two_starts(scene: Scene, random: random.Random) -> Try:
    """One step twice, or two steps; then both once more, in their order."""
    first, second = sorted(random.choices(range(1, 5), k=2))
    scene.back_to(second - 1)
    later = random.uniform(0, 0.5 * (START + scene.seconds[first - 1]))
    one = scene.start(first)
    time.sleep(later)
    other = scene.start(second)
    wrong = []
    for number, process in ((first, one), (second, other)):
        code, said = ended(process)
        if code and ("is in use by" not in said or "Traceback" in said):
            wrong.append(f"step {number} ended with {code}: {said[-300:]}")
    for number in range(first, second + 1):
        code, said = scene.step(number)
        if code:
            wrong.append(f"step {number}, once more, ended with {code}: {said[-300:]}")
    wrong.append(scene.lost(second))
    what = f"step {first}, and step {second} {later:.1f} s later"
    return Try(what, "; ".join(filter(None, wrong)))
