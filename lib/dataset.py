"""Images and masks, at the size the network sees, in batches of uint8 tensors."""

import inspect
import math
import platform
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import PIL
import pydicom
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from lib.artifacts.folds import masks_in, true_mask
from lib.augment import augment, inference_transform, training_transform
from lib.config.fields import Config
from lib.data import cache
from lib.data.pictures.arrays import ImageFile, required_image, sha_of_image, stamp_of
from lib.runtime.errors import InputError
from lib.runtime.files import sha_of
from lib.runtime.loader import Loader, workers_of
from lib.runtime.versions import code_version

Pixels = npt.NDArray[np.uint8]

BATCHES_A_WORKER = 4  # at least: starting and ending a process costs about as much
AT_ONCE = 16  # images that a worker reads for the cache before it hands them over


class Batch(NamedTuple):
    """n images; `masks` has no class where there is no table to tell them."""

    rows: Tensor  # (n,) int64: the rows of the table
    images: Tensor  # (n, 1, height, width) uint8
    masks: Tensor  # (n, classes, height, width) uint8, 0 or 1
    sizes: Tensor  # (n, 2) int64: height and width of the image files
    weights: Tensor  # (n,) float32: what each counts in training, 0..1


class NerveImages(Dataset[Batch]):
    """Rows of a table, read and resized; augmented where the key says from what to draw.

    The table has columns image, file, and where masks are wanted those of run lengths, height,
    width and weight; with `cached` (`with_cache`), images come from there. A key is (row, draw):
    the changes follow from (seed, draw, image), and the draw, mostly the epoch, comes with the
    sampler's word, so that workers that live through all epochs need not be told. The draw -1
    stands for "as it is", but for custom_inference_augmentations.
    """

    def __init__(self, table: pd.DataFrame, config: Config) -> None:
        self._rows: list[dict[str, Any]] = table.to_dict("records")
        self._masks = masks_in(table)
        self._size = (config.image_height, config.image_width)
        self._seed = config.seed
        self._training, self._inference = training_transform(config), inference_transform(config)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: tuple[int, int]) -> Batch:
        index, draw = key
        row = self._rows[index]
        image, shape = self._image(row)
        masks = [self._mask(row, column) for column in self._masks]
        transform = self._training if draw >= 0 else self._inference
        if transform is not None:
            drawn_from = (self._seed, draw, row["image"])
            image, masks = augment(transform, image, masks, drawn_from)
        size, weight = torch.tensor(shape), torch.tensor(row.get("weight", 1.0))
        return Batch(torch.tensor(index), _tensor([image]), _tensor(masks), size, weight.float())

    def _image(self, row: dict[str, Any]) -> tuple[Pixels, tuple[int, ...]]:
        """At the network's size, and the shape that its file has."""
        if "cached" in row:
            store, place = row["cached"]
            return store[place], (row["height"], row["width"])
        original = required_image(row["file"])
        _require_same(row)
        return resize(original, self._size), original.shape

    def _mask(self, row: dict[str, Any], column: str) -> Pixels:
        if not row[column]:
            return np.zeros(self._size, dtype=np.uint8)
        resized = cv2.resize(
            true_mask(row, column), self._size[::-1], interpolation=cv2.INTER_NEAREST_EXACT
        )
        return resized.astype(np.uint8, copy=False)


def plain_loader(table: pd.DataFrame, config: Config) -> Loader[Batch]:
    """All images in their order, not augmented."""
    keys = [(index, -1) for index in range(len(table))]
    size = config.batch_size
    batches = [keys[at : at + size] for at in range(0, len(keys), size)]
    return loader(table, config, batches, math.ceil(len(batches) / BATCHES_A_WORKER))


def loader(
    table: pd.DataFrame,
    config: Config,
    batches: Iterable[list[tuple[int, int]]],
    most: float = math.inf,
) -> Loader[Batch]:
    """The batches whose keys (row, draw) are given.

    number_of_workers processes read them, but not more than `most`.
    """
    workers = int(min(workers_of(config.number_of_workers), most))
    return Loader(
        NerveImages(table, config),
        default_collate,
        batch_sampler=batches,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available() and config.gpus != [],
    )


def _require_same(row: dict[str, Any]) -> None:
    """InputError where the file is another than the one that the table has the sha of.

    Where its stamp is the same, nothing of it is read for that.
    """
    file = row["file"]
    try:
        same = "stamp" not in row or stamp_of(file) == row["stamp"]
        if same or sha_of_image(file) == row["sha"]:
            return
    except OSError as error:
        raise InputError(f"{file.path}: cannot be read ({error.strerror})") from None
    raise InputError(f"{file.path} has changed: run 01_prepare_folds.py")


def resize(image: Pixels, size: tuple[int, int]) -> Pixels:
    """Squashed to `size` (height, width), as Hydrogen Torch does; the aspect is not kept."""
    smaller = size[0] <= image.shape[0] and size[1] <= image.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(image, size[::-1], interpolation=how).astype(np.uint8, copy=False)


def with_cache(table: pd.DataFrame, config: Config) -> pd.DataFrame:
    """The table with a column `cached`, from where its images come already read and resized.

    Needs columns file and sha. They are read now where no run has done so; InputError names one
    that cannot be read or has another sha. Without that column where `cache_gib` is 0 or too small.
    """
    if not config.cache_gib:
        return table
    files = table.drop_duplicates("sha").set_index("sha")["file"].sort_index()
    shape = (config.image_height, config.image_width)
    path = Path(config.runs_folder) / ".cache" / f"{_key(files.index, config)}{cache.SUFFIX}"
    limit = int(config.cache_gib * cache.GIB)
    make = _Resized(files, config).batches
    store = cache.kept(path, len(files), shape, make, limit)
    if store is None:
        return table
    places = files.index.get_indexer(table["sha"]).tolist()
    cached = pd.Series([(store, place) for place in places], table.index, object)
    return table.assign(cached=cached)


def _key(shas: Sequence[str], config: Config) -> str:
    """Of all that the resized images depend on, the code that reads and resizes them included."""
    code = code_version("lib.data.pictures.arrays"), inspect.getsource(resize)
    versions = cv2.__version__, PIL.__version__, pydicom.__version__, platform.machine()
    settings = config.image_height, config.image_width, config.image_bits
    return sha_of("\0".join(map(str, (*code, *versions, *settings, *shas))).encode())


class _Resized(Dataset[Pixels]):
    """Files by their sha, read and resized to the network's size."""

    def __init__(self, files: pd.Series, config: Config) -> None:
        self._files: list[tuple[str, ImageFile]] = list(files.items())
        self._size = (config.image_height, config.image_width)
        self._workers = workers_of(config.number_of_workers)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Pixels:
        sha, file = self._files[index]
        image = resize(required_image(file), self._size)
        if sha_of_image(file) != sha:  # else it would be kept under the name of the one before
            raise InputError(f"{file.path} has changed: run 01_prepare_folds.py")
        return image

    def batches(self) -> Iterator[Pixels]:
        """All of them in their order, (n, height, width)."""
        loader = Loader(
            self,
            np.stack,
            batch_size=AT_ONCE,
            num_workers=self._workers,
            generator=torch.Generator(),  # else it takes a random number of the training's
        )
        yield from loader


def _tensor(planes: Sequence[Pixels]) -> Tensor:
    """Planes (height, width) -> (planes, height, width); none are a tensor of no values."""
    return torch.from_numpy(np.stack(planes)) if planes else torch.empty(0, dtype=torch.uint8)
