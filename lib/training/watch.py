"""What a training tells as it goes, to whoever wants to show it (tools/watch does)."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor

from lib.config.fields import Config


class Watch:
    """Of the training of one fold. This one shows nothing. Nothing of it changes the training."""

    def first_batch(
        self, names: list[str], images: Tensor, masks: Tensor, classes: list[str]
    ) -> None:
        """Images (n, 1, height, width) and masks (n, classes, height, width) as the network's."""

    def trained(self, images: int) -> None:
        """After an update on so many images."""

    def validating(self) -> None:
        """Before a validation."""

    def evaluated(self, row: dict[str, float], updates: int) -> None:
        """After a row was added to log.csv."""


# Settings, fold, device and the updates done before -> the watch, closed at the end.
Watched = Callable[[Config, int, torch.device, int], AbstractContextManager[Watch]]


@contextmanager
def unwatched(config: Config, fold: int, device: torch.device, updates: int) -> Iterator[Watch]:
    yield Watch()
