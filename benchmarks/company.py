"""The four steps beside other processes: does each get its share of the machine?

    python -m benchmarks.company [--out FOLDER] [--busy 1 2 4] [--rounds 3] [--steps 2 ...]

Prints a row for each step: its time alone, then beside 1, 2 and 4 processes that compute all the
time, and alone on one core. A cell is the time, and its ratio to the fair one: a step whose threads
keep `p` cores busy when alone is `(p + busy) / cores` times slower where the system shares cores
evenly among all threads. Each step runs as this project sets threads up, and as PyTorch's OpenMP
does by itself, with threads that spin while they wait. What is measured takes turns.
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.timing import REPOSITORY, Usage, alternating, used_by
from lib.runtime.cores import usable_cores
from tools.phantom.dataset import generate

SCRIPTS = ("01_prepare_folds", "02_train", "03_infer", "04_make_submission")
OUTPUTS = ("folds.csv", "fold?", "*.npz", "decision.json")  # without it a step begins anew
SETTINGS = [
    "architecture.backbone=tu-tf_efficientnet_lite0",
    "image_height=96",
    "image_width=128",
    "batch_size=8",
    "epochs=1",
    "n_folds=2",
    "folds=['0','1']",
    "pretrained=false",
]
# libgomp's own number of turns that a thread spins; it overrules OMP_WAIT_POLICY.
WAYS = {"sleeping": {}, "spinning": {"GOMP_SPINCOUNT": "300000"}}
BUSY = "while True: pass"


class Place(NamedTuple):
    """What a step runs beside, and on how many cores."""

    busy: int
    cores: int

    def __str__(self) -> str:
        beside = f"beside {self.busy}" if self.busy else "alone"
        return f"{beside}, one core" if self.cores == 1 else beside

    def fair(self, alone: Usage) -> float:
        """Seconds of a step that takes `alone` by itself on all cores."""
        wanted = alone.of_processors / alone.seconds
        return alone.seconds * max(1.0, (wanted + self.busy) / self.cores)


def main() -> None:
    options = parser().parse_args()
    folder = options.out
    if not (folder / "data/settings.json").is_file():
        generate(folder / "data", subjects=8, frames=20)
    settings = [*SETTINGS, f"data={folder / 'data'}", f"runs_folder={folder / 'runs'}"]
    for number in range(1, 5):  # what each step reads
        timed(number, settings, Place(0, usable_cores()), {})
    places = [Place(busy, usable_cores()) for busy in (0, *options.busy)]
    if usable_cores() > 1:
        places.append(Place(0, 1))
    print(f"| step | threads | {' | '.join(map(str, places))} |")
    print(f"|---|---|{'---|' * len(places)}")
    for number in options.steps:
        print_rows(number, settings, places, options.rounds)


def print_rows(number: int, settings: list[str], places: list[Place], rounds: int) -> None:
    usages: dict[str, list[Usage]] = {}

    def measure(way: str, place: Place) -> float:
        usage = timed(number, settings, place, WAYS[way])
        usages.setdefault(f"{way} {place}", []).append(usage)
        return usage.seconds

    alternating({f"{way} {p}": partial(measure, way, p) for p in places for way in WAYS}, rounds)
    alone = median(usages[f"sleeping {places[0]}"])
    for way in WAYS:
        cells = []
        for place in places:
            seconds = median(usages[f"{way} {place}"]).seconds
            cells.append(f"{seconds:.1f} s, {seconds / place.fair(alone):.2f}")
        print(f"| {SCRIPTS[number - 1]} | {way} | {' | '.join(cells)} |", flush=True)


def median(usages: list[Usage]) -> Usage:
    """The usage of middle time."""
    return sorted(usages)[(len(usages) - 1) // 2]


def timed(number: int, settings: list[str], place: Place, environment: dict[str, str]) -> Usage:
    """The step, made to do its work again."""
    runs = Path(next(word for word in settings if word.startswith("runs_folder=")).split("=")[1])
    for path in runs.glob(f"*/{OUTPUTS[number - 1]}"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    command = ["env", *(f"{name}={value}" for name, value in environment.items())]
    if place.cores < usable_cores():
        command += ["taskset", "-c", str(min(os.sched_getaffinity(0)))]
    script = REPOSITORY / f"{SCRIPTS[number - 1]}.py"
    with busy_processes(place.busy):
        return used_by([*command, sys.executable, script, *settings])


@contextlib.contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Each computes in one thread until the end."""
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--out", type=Path, default=Path("data/company"), help="made here, once")
    parser.add_argument("--busy", type=int, nargs="*", default=[1, 2, 4], help="other processes")
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many")
    parser.add_argument("--steps", type=int, nargs="*", default=[1, 2, 3, 4], help="of the four")
    return parser


if __name__ == "__main__":
    main()
