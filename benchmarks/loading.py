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

from lib.config import DEFAULT_FILE, Config, load_config
from lib.dataset import training_loader, with_cache
from lib.loss import loss_per_image
from lib.memory import keep_freed_memory
from lib.model import build_model, describe, device_of, placed, precision, to_input
from lib.optim import build_optimizer
from lib.phantom import generate
from lib.sources import read_training_images

NETWORKS = (("tu-tf_efficientnet_lite0", 192, 256), ("resnet34", 448, 448))
WAYS = tuple(itertools.product(("Soft", "Medium", "Hard"), (0, 1, 2)))  # and worker processes
ROUNDS, STEPS, WARM_UP = 3, 3, 1


class Rates(NamedTuple):
    """Images a second."""

    off: float
    cold: float
    warm: float


def main(data: Path, folder: Path) -> None:
    keep_freed_memory()
    print("| network | augmentation | workers | off | cold | warm | warm / step |")
    print("|---|---|---|---|---|---|---|")
    for backbone, height, width in NETWORKS:
        size = [f"image_height={height}", f"image_width={width}", f"backbone={backbone}"]
        config = load_config(DEFAULT_FILE, [f"data={data}", f"runs_folder={folder}", *size])
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
    where = describe(device_of(config), config.mixed_precision_training)
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
    """In a process of its own: from one that has trained, workers are slow to fork."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(training_step, config).result()


def training_step(config: Config) -> float:
    """Images a second of forward, backward and update, as in 02."""
    keep_freed_memory()
    device = device_of(config)
    model = placed(build_model(config), device).train()
    optimizer = build_optimizer(model, config, device)
    shape = (config.batch_size, 1, config.image_height, config.image_width)
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    masks = torch.randint(0, 2, shape, dtype=torch.uint8)
    rates = []
    for _ in range(WARM_UP + STEPS):
        start = time.perf_counter()
        with precision(device, config.mixed_precision_training):
            logits = model(to_input(images.to(device), config))
        loss = loss_per_image(config.loss_function, logits, masks.to(device), config.dice_weight)
        loss.mean().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        rates.append(config.batch_size / (time.perf_counter() - start))
    return statistics.median(rates[WARM_UP:])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        given = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary) / "phantom"
        if len(sys.argv) == 1:
            generate(given)
        main(given, Path(temporary) / "runs")
