"""How many images a second the loader delivers, beside how many a training step takes, in one run.

    python -m benchmarks.loading [DATA]

DATA is a data set of any layout, by default a generated phantom. Off: every epoch reads the files;
cold: the first epoch with the cache, its making included; warm: a later one. Medians of alternating
rounds, each with new worker processes.
"""

import contextlib
import io
import itertools
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch

from benchmarks.timing import NETWORKS
from benchmarks.training_step import measure as measure_step
from lib.config.fields import Config
from lib.config.read import DEFAULT_FILE
from lib.data.layouts import load_settings
from lib.data.table import read_training_images
from lib.dataset import with_cache
from lib.runtime.device import describe, device_of
from lib.runtime.memory import keep_freed_memory
from lib.training.batches import training_loader
from tools.phantom.dataset import generate

WAYS = tuple(itertools.product(("Soft", "Medium", "Hard"), (0, 1, 2)))  # and worker processes
ROUNDS = 3


class Rates(NamedTuple):
    """Images a second."""

    off: float
    cold: float
    warm: float


def main(data: Path, folder: Path) -> None:
    keep_freed_memory()
    print("| network | augmentation | workers | off | cold | warm | warm / step |")
    print("|---|---|---|---|---|---|---|")
    given = load_settings(DEFAULT_FILE, [f"data={data}", f"runs_folder={folder}"])
    for network in NETWORKS.values():
        config = replace(
            given,
            backbone=network.backbone,
            image_height=network.image_height,
            image_width=network.image_width,
        )
        table = read_training_images(config).table.assign(weight=1.0)
        measure(table, config)


def measure(table: pd.DataFrame, config: Config) -> None:
    steps = []
    found: dict[tuple[str, int], list[Rates]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        steps.append(step_alone(config))
        for strategy, workers in WAYS:
            way = replace(config, augmentations_strategy=strategy, number_of_workers=workers)
            found[strategy, workers].append(loading(table, way))
    rate = statistics.median(steps)
    where = describe(device_of(config.gpus), config.mixed_precision_training)
    name = f"{config.backbone} {config.image_height}x{config.image_width}"
    print(f"| {name} | the step: {rate:.1f} on {where}, {torch.get_num_threads()} thread(s) |||||")
    for (strategy, workers), rounds in found.items():
        median = Rates(*map(statistics.median, zip(*rounds, strict=True)))
        cells = " | ".join(f"{value:.0f}" for value in (*median, median.warm / rate))
        print(f"| | {strategy} | {workers} | {cells} |", flush=True)


def loading(table: pd.DataFrame, config: Config) -> Rates:
    _, off = epochs(table, config)
    shutil.rmtree(Path(config.runs_folder) / ".cache", ignore_errors=True)
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        cached = with_cache(table, config)
    making = time.perf_counter() - start
    first, warm = epochs(cached, config)
    return Rates(off, 1 / (making / len(table) + 1 / first), warm)


def epochs(table: pd.DataFrame, config: Config) -> list[float]:
    """Images a second of the first epoch, the start of the workers included, and of the second."""
    loader, order = training_loader(table, config)
    rates = []
    for epoch in range(2):
        order.epoch = epoch
        start = time.perf_counter()
        images = sum(len(batch.rows) for batch in loader)
        rates.append(images / (time.perf_counter() - start))
    return rates


def step_alone(config: Config) -> float:
    """Images a second, in a process of its own: one that has trained is slow to fork workers."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return 1e3 / pool.submit(measure_step, config, "ours").result().ms


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        given = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary) / "phantom"
        if len(sys.argv) == 1:
            generate(given)
        main(given, Path(temporary) / "runs")
