"""What a person can look at while a network is trained: pictures, speed, an experiment tracker.

Nothing of it changes the training. Of several processes the first alone writes it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from lib.config.fields import Config
from lib.runtime.processes import rank
from lib.training.watch import Watch
from tools.watch.pictures import save_first_batch
from tools.watch.speed import Stopwatch
from tools.watch.tracking import Tracker, tracked


class Shown(Watch):
    """The training of one fold in pictures, speed and a tracker."""

    def __init__(self, config: Config, fold: int, device: torch.device, tracker: Tracker) -> None:
        self._config, self._fold, self._tracker = config, fold, tracker
        self._stopwatch = Stopwatch(config, fold, device)

    def first_batch(
        self, names: list[str], images: Tensor, masks: Tensor, classes: list[str]
    ) -> None:
        """Images (n, 1, height, width) and masks (n, classes, height, width) as the network's."""
        if rank() == 0:
            path = save_first_batch(self._config, self._fold, names, images, masks, classes)
            self._tracker.picture(path, 0)

    def trained(self, images: int) -> None:
        self._stopwatch.images += images

    def validating(self) -> None:
        self._stopwatch.validating()

    def evaluated(self, row: dict[str, float], updates: int) -> None:
        """After a row was added to log.csv."""
        if rank() == 0:
            self._stopwatch.write(row["epoch"])
            self._tracker.log(row, updates)


@contextmanager
def watched(config: Config, fold: int, device: torch.device, updates: int) -> Iterator[Watch]:
    """The watch of a training that goes on after so many updates."""
    if rank():
        yield Shown(config, fold, device, Tracker(config, fold, updates))
        return
    with tracked(config, fold, updates) as tracker:
        yield Shown(config, fold, device, tracker)
