"""Training as 02_train.py does it, for some steps, in a process of its own.

    python -m benchmarks.loops step|epoch FOLDER CONFIG SECONDS
    torchrun ... -m benchmarks.loops shared FOLDER CONFIG STEPS

FOLDER/table.pkl is the table of training images, CONFIG a YAML file. `step` prints as JSON the
milliseconds an image, loading included; `shared` those of all processes together, which must agree
on the number of steps. `epoch` prints the seconds of one epoch with loading, and those that its
steps take on batches that lie ready in memory.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import count, cycle, islice
from pathlib import Path

import pandas as pd
import torch

from benchmarks.peers import LEAST, seconds_a_step
from benchmarks.timing import now
from lib.artifacts.folds import masks_in
from lib.config.fields import Config
from lib.data.layouts import load_settings
from lib.dataset import Batch, with_cache
from lib.runtime.device import device_of, set_up
from lib.runtime.memory import keep_freed_memory
from lib.runtime.processes import joined, number_of_processes, of_first
from lib.training.batches import EpochOrder, training_loader
from lib.training.learner import Learner, MicroBatch

READY = 4  # batches in memory


def main(kind: str, folder: Path, config: Config, amount: float) -> None:
    keep_freed_memory()
    with joined(config.gpus):
        table = pd.read_pickle(folder / "table.pkl")
        of_first(lambda: with_cache(table, config) is None)  # makes it, for all to read
        table = with_cache(table, config)
        if kind == "epoch":
            measured = epoch(table, config, seconds=amount)
        elif kind == "step":
            measured = step(table, config, seconds=amount)
        else:
            measured = step(table, config, steps=int(amount))
        print(json.dumps(measured))


def step(
    table: pd.DataFrame, config: Config, seconds: float = 0, steps: int = LEAST
) -> dict[str, float]:
    """Over at least so many steps that last at least so long."""
    loader, order = training_loader(table, config)

    def batches() -> Iterator[Batch]:
        for order.epoch in count():
            yield from loader

    updates = trained(new_learner(table, config), batches(), order, len(order))
    return {"ms": seconds_a_step(updates, seconds, steps) / config.batch_size * 1e3}


def epoch(table: pd.DataFrame, config: Config, seconds: float) -> dict[str, float]:
    learner = new_learner(table, config)
    loader, order = training_loader(table, config)
    ready = list(islice(loader, READY))
    alone = seconds_a_step(trained(learner, cycle(ready), order, len(order)), seconds)
    order.epoch += 1
    start = now(learner.device)
    steps = sum(1 for _ in trained(learner, loader, order, len(order)))
    return {"epoch": now(learner.device) - start, "alone": alone * steps, "steps": steps}


def new_learner(table: pd.DataFrame, config: Config) -> Learner:
    device = device_of(config.gpus)
    set_up(device, config.deterministic)
    return Learner(0, len(masks_in(table)), False, config, device)


def trained(
    learner: Learner, batches: Iterable[Batch], order: EpochOrder, steps: int
) -> Iterator[None]:
    """An update a batch, its scores read while the next one is under way, as lib.training.loop.

    An epoch has so many steps.
    """
    before = torch.zeros(1)
    for number, batch in enumerate(batches):
        images, copies = order.images_in(number % steps), order.copies_of(number % steps)
        share = number_of_processes() / copies / images
        (scores,) = learner.update([MicroBatch(batch, copies, share)], number, steps)
        before.sum().item()
        before = scores
        yield


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), load_settings(Path(sys.argv[3])), float(sys.argv[4]))
