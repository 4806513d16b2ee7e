import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lib import rle
from lib.augment import augment, soft
from lib.config import Config, InputError
from lib.dataset import plain_loader, resize, training_loader
from lib.sources import read_training_images, with_files
from tests.conftest import configured


def located(config: Config) -> pd.DataFrame:
    return with_files(read_training_images(config).table, config)


def epochs(config: Config, workers: int, count: int = 2) -> list[torch.Tensor]:
    """All that two epochs deliver, as one list of tensors."""
    settings = Config(**{**vars(config), "number_of_workers": workers})
    loader, order = training_loader(located(config), settings)
    delivered = []
    for epoch in range(count):
        order.epoch = epoch
        for batch in loader:
            delivered += list(batch)
    return delivered


def test_the_number_of_workers_changes_nothing(config: Config) -> None:
    alone = epochs(config, 0)
    for workers in (1, 2):
        together = epochs(config, workers)
        assert len(alone) == len(together)
        assert all(torch.equal(*pair) for pair in zip(alone, together, strict=True))


@pytest.mark.parametrize("workers", [0, 1, 100])
def test_there_are_as_many_workers_as_asked_for_but_no_more_than_cores(
    settings: list[str], workers: int
) -> None:
    config = configured(settings, f"number_of_workers={workers}")
    table = located(config)
    for loader in (training_loader(table, config)[0], plain_loader(table, config)):
        assert loader.num_workers == min(workers, len(os.sched_getaffinity(0)))


def test_an_image_is_augmented_differently_from_epoch_to_epoch(config: Config) -> None:
    loader, order = training_loader(located(config), config)
    seen: dict[int, list[torch.Tensor]] = {}
    for epoch in range(3):
        order.epoch = epoch
        for batch in loader:
            for row, image in zip(batch.rows.tolist(), batch.images, strict=True):
                seen.setdefault(row, []).append(image)
    changed = 0
    for first, *others in seen.values():
        for other in others:
            changed += not torch.equal(first, other)
            assert torch.equal(first, other) or torch.equal(first.flip(-1), other)
    assert 0.25 < changed / (2 * len(seen)) < 0.75


def test_a_flip_moves_image_and_mask_alike_and_half_of_all_are_flipped() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    flips = 0
    for number in range(200):
        changed, (mask,) = augment(soft(), image, [image.copy()], (1, 0, f"image {number}"))
        assert np.array_equal(changed, mask)
        flips += not np.array_equal(changed, image)
        assert np.array_equal(changed, image) or np.array_equal(changed, image[:, ::-1])
    assert 75 < flips < 125


def test_augmentation_depends_on_seed_epoch_and_image_and_nothing_else() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    transform = soft()

    def flips(seed: int, epoch: int, name: str) -> list[bool]:
        keys = [(seed, epoch, f"{name}{number}") for number in range(40)]
        return [augment(transform, image, [image], key)[0][0, 0] != 0 for key in keys]

    first = flips(1, 0, "a")
    assert flips(1, 0, "a") == first
    assert all(flips(*other) != first for other in [(2, 0, "a"), (1, 1, "a"), (1, 0, "b")])


def test_more_in_a_batch_than_there_are_images_is_an_error(config: Config) -> None:
    with pytest.raises(InputError, match="batch_size 4 with drop_last_batch leaves no batch"):
        training_loader(located(config).head(3), config)


def test_images_are_read_in_their_order_and_tell_their_size(settings: list[str]) -> None:
    config = configured(settings)
    table = located(config)
    rows, sizes, masks = [], [], []
    for batch in plain_loader(table, config):
        assert batch.images.dtype == batch.masks.dtype == torch.uint8
        assert batch.images.shape[1:] == batch.masks.shape[1:] == (1, 32, 64)
        rows += batch.rows.tolist()
        sizes += batch.sizes.tolist()
        masks += [bool(mask.any()) for mask in batch.masks]
    assert rows == list(range(24))
    assert sizes == [[60, 80]] * 24
    assert masks == (table["rle_mask"] != "").tolist()


def test_masks_keep_their_place_when_they_are_resized(settings: list[str]) -> None:
    config = configured(settings, "image_height=64", "image_width=96")
    table = located(config)
    first = next(iter(plain_loader(table, config)))
    mask = rle.decode(table["rle_mask"].iloc[0], (60, 80)).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(mask)[None, None], (64, 96), mode="nearest-exact"
    )
    assert torch.equal(first.masks[0].float(), expected[0])


def test_a_shrunk_image_keeps_its_mean_and_every_pixel_counts() -> None:
    image = np.zeros((64, 64), dtype=np.uint8)
    image[::8, ::8] = 255
    assert resize(image, (16, 16)).mean() == pytest.approx(image.mean(), rel=0.1)


def test_an_image_that_has_gone_since_the_first_step_is_named(config: Config, data: Path) -> None:
    table = read_training_images(config).table
    (data / "train" / "1_1.tif").unlink()
    with pytest.raises(InputError, match="1_1: there is no such image"):
        with_files(table, config)
