"""Which images make up the batches of an epoch, from (seed, epoch) alone."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
from torch.utils.data import Sampler

from lib.artifacts.folds import masks_in
from lib.config.fields import Config
from lib.dataset import Batch, Loader, loader
from lib.runtime.errors import InputError
from lib.runtime.files import stable_hash
from lib.runtime.processes import number_of_processes, rank

Rows = npt.NDArray[np.int64]
REPEAT = 100_000  # more than `epochs` can be


def training_loader(table: pd.DataFrame, config: Config) -> tuple[Loader[Batch], "EpochOrder"]:
    """Batches of augmented images, and the order to set the epoch in before each pass."""
    order = EpochOrder(table, config)
    if not len(order):
        raise InputError(
            f"batch_size {config.batch_size} with drop_last_batch leaves no batch of the "
            f"{len(table)} training images: lower batch_size, or set drop_last_batch=false"
        )
    return loader(table, config, order), order


class EpochOrder(Sampler[list[tuple[int, int]]]):
    """The batches of one epoch at a time, as keys (row of the table, what its changes follow from).

    Shuffled as (seed, epoch) decides. `epoch` is the next one, `done` how many of its batches are
    left out, as they were used before. The second number of a key is the epoch, plus REPEAT for
    each time that the row was there before: with positive_share an image may be there more than
    once, or not at all. Of several processes each has its share of every batch.
    """

    def __init__(self, table: pd.DataFrame, config: Config) -> None:
        self._config = config
        self._positive = (table[masks_in(table)] != "").any(axis=1).to_numpy()
        self.epoch, self.done = 0, 0
        if config.positive_share and self._positive.all() | ~self._positive.any():
            raise InputError(
                f"positive_share: {config.positive_share}: of the training images "
                f"{self._positive.sum()} have a mask and {(~self._positive).sum()} have none: it "
                "chooses between both kinds, so leave it empty, []"
            )

    def __len__(self) -> int:
        whole, rest = divmod(len(self._positive), self._config.batch_size)
        return whole + (rest > 0 and not self._config.drop_last_batch) - self.done

    def images_in(self, batch: int) -> int:
        """How many images the batch of this number, from 0, has in all processes."""
        size = self._config.batch_size
        return min(size, len(self._positive) - batch * size)

    def copies_of(self, batch: int) -> int:
        """How many processes have each image of the batch: all, where there is not one for each."""
        return number_of_processes() if self.images_in(batch) < number_of_processes() else 1

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        size, keys = self._config.batch_size, self._keys()
        for batch in range(self.done, self.done + len(self)):
            rows = keys[batch * size : (batch + 1) * size]
            yield rows if self.copies_of(batch) > 1 else rows[rank() :: number_of_processes()]

    def _keys(self) -> list[tuple[int, int]]:
        random = np.random.default_rng(stable_hash(self._config.seed, self.epoch))
        if self._config.positive_share:
            rows = self._with_share(random)
        else:
            rows = random.permutation(len(self._positive))
        before = pd.Series(rows).groupby(rows).cumcount().to_numpy()
        draws = self.epoch + REPEAT * before
        return list(zip(rows.tolist(), draws.tolist(), strict=True))

    def _with_share(self, random: np.random.Generator) -> Rows:
        """As many rows as there are, of which those with a mask are the share of this epoch."""
        positives = round(self._share() * len(self._positive))
        rows = [
            _drawn(np.flatnonzero(self._positive), positives, random),
            _drawn(np.flatnonzero(~self._positive), len(self._positive) - positives, random),
        ]
        return random.permutation(np.concatenate(rows))

    def _share(self) -> float:
        start, end = self._config.positive_share
        last = max(self._config.epochs - 1, 1)
        return start + (end - start) * min(self.epoch / last, 1)


def _drawn(rows: Rows, count: int, random: np.random.Generator) -> Rows:
    """`count` of the rows: each as often as another, or once more."""
    times, rest = divmod(count, len(rows))
    return np.concatenate([np.tile(rows, times), random.permutation(rows)[:rest]])
