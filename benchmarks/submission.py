"""How long `python -m tools.submission check` takes, the start of Python included.

    python -m benchmarks.submission

On a generated submission of the test set's 5,508 images of 420x580, 3,500 of them with an ellipse
of the competition's sizes and direction, whose runs are about as many as those of its masks
(median 89 in a mask). The time of an empty program stands beside it.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from lib import rle
from lib.artifacts.submission import Table, save
from tools.submission.check import SHAPE

IMAGES, WITH_NERVE, ROUNDS = 5508, 3500, 7


def main() -> None:
    table = generated(np.random.default_rng(0))
    runs = [len(text.split()) / 2 for text in table.values() if text]
    print(f"{len(table)} rows, {len(runs)} with a mask of {statistics.median(runs):.0f} runs")
    with tempfile.TemporaryDirectory() as folder:
        path, sample = Path(folder) / "submission.csv", Path(folder) / "sample_submission.csv"
        save(path, table)
        save(sample, dict.fromkeys(table, "1 1"))
        print(f"{path.stat().st_size / 1e6:.1f} MB")
        report("an empty program", ["-c", ""])
        report("check", ["-m", "tools.submission", "check", str(path), "--sample", str(sample)])


def generated(random: np.random.Generator) -> Table:
    """Images 1 to IMAGES, of which a random WITH_NERVE have a mask."""
    shown = set(random.choice(IMAGES, WITH_NERVE, replace=False).tolist())
    return {(str(n + 1), ""): ellipse(random) if n in shown else "" for n in range(IMAGES)}


def ellipse(random: np.random.Generator) -> str:
    mask = np.zeros(SHAPE, dtype=np.uint8)
    centre = int(random.normal(333, 50)), int(random.normal(138, 40))
    axes = int(random.normal(65, 9)), int(random.normal(34, 4))  # halves of 131 x 68 pixels
    cv2.ellipse(mask, centre, axes, random.normal(-60, 12), 0, 360, 1, -1)
    return rle.encode(mask)


def report(name: str, arguments: list[str]) -> None:
    """Median and longest seconds of the whole process."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    print(f"{name:17} median {statistics.median(times):.2f} s, longest {max(times):.2f} s")


if __name__ == "__main__":
    main()
