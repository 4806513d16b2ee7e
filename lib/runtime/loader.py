"""Batches that several processes read."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Generic, TypeVar

import cv2
from torch.utils.data import DataLoader, Dataset

from lib.runtime.cores import usable_cores
from lib.runtime.errors import InputError
from lib.runtime.interrupt import leave_signals_to_the_parent
from lib.runtime.memory import release_freed_memory
from lib.runtime.processes import processes_here

T = TypeVar("T")
SILENT = 600  # seconds without a batch, after which a worker counts as hung


class Loader(Generic[T]):
    """A DataLoader that raises the InputError of a worker as that error.

    torch would raise it with the text of the worker's traceback in front of its message.
    """

    def __init__(
        self, dataset: Dataset[T], collate: Callable[[list[T]], T], **options: Any
    ) -> None:
        self.workers = options["num_workers"]
        self._loader: DataLoader[T | InputError] = DataLoader(
            _Caught(dataset),
            collate_fn=partial(_collated, collate),
            worker_init_fn=_make_small,
            timeout=SILENT if self.workers else 0,
            **options,
        )

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[T]:
        for batch in self._loader:
            if isinstance(batch, InputError):
                raise batch
            yield batch


class _Caught(Dataset[T | InputError]):
    """A dataset that gives an InputError where it would raise it."""

    def __init__(self, dataset: Dataset[T]) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)  # type: ignore[arg-type]  # Dataset promises none

    def __getitem__(self, key: Any) -> T | InputError:
        try:
            return self._dataset[key]
        except InputError as error:
            return error


def _collated(collate: Callable[[list[T]], T], samples: list[T | InputError]) -> T | InputError:
    """A batch, or the first error."""
    good = [sample for sample in samples if not isinstance(sample, InputError)]
    errors = (sample for sample in samples if isinstance(sample, InputError))
    return next(errors, None) or collate(good)


def workers_of(number_of_workers: int) -> int:
    """As many as asked for, but not more than cores, which would only wait for each other."""
    return min(number_of_workers, max(1, usable_cores() // processes_here()))


def _make_small(_: int) -> None:
    """A worker has one thread, since OpenCV's own would fight the others', and no spare memory."""
    leave_signals_to_the_parent()
    cv2.setNumThreads(0)
    release_freed_memory()
