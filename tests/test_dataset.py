import os
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from lib import rle
from lib.artifacts.run import Run
from lib.augment import augment, soft
from lib.config.fields import Config
from lib.data.table import read_training_images, with_files
from lib.dataset import plain_loader, resize, with_cache
from lib.runtime.errors import InputError
from lib.training.batches import training_loader
from tests.conftest import configured, step, tiny_image


def located(config: Config) -> pd.DataFrame:
    return with_files(read_training_images(config).table, config)


def epochs(
    config: Config, workers: int, count: int = 2, table: pd.DataFrame | None = None
) -> list[torch.Tensor]:
    """All that two epochs deliver, as one list of tensors."""
    settings = replace(config, number_of_workers=workers)
    loader, order = training_loader(located(config) if table is None else table, settings)
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
        assert loader.workers == min(workers, len(os.sched_getaffinity(0)))


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
    with pytest.raises(InputError, match=r"1_1: there is no .*1_1\.tif"):
        with_files(table, config)


def cached_files(config: Config) -> list[Path]:
    return sorted(Path(config.runs_folder).glob(".cache/*.npy"))


def same(ones: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    return all(torch.equal(*pair) for pair in zip(ones, others, strict=True))


@pytest.mark.parametrize("strategy", ["Soft", "Hard"])
def test_the_cache_changes_nothing_with_any_number_of_workers(
    settings: list[str], strategy: str
) -> None:
    config = configured(settings, f"augmentations_strategy={strategy}")
    table = located(config)
    expected = epochs(config, 0, table=table)
    cached = with_cache(table, config)
    assert "cached" in cached
    for workers in (0, 1, 2):
        assert same(epochs(config, workers, table=cached), expected)


def test_the_number_of_workers_that_make_the_cache_changes_nothing(
    settings: list[str], tmp_path: Path
) -> None:
    found = []
    for workers in (0, 1, 2):
        more = [f"number_of_workers={workers}", f"runs_folder={tmp_path / str(workers)}"]
        config = configured(settings, *more)
        with_cache(located(config), config)
        (file,) = cached_files(config)
        found.append((file.name, file.read_bytes()))
    assert found[0] == found[1] == found[2]


def test_images_of_several_sizes_come_from_the_cache_as_from_their_files(
    config: Config, tmp_path: Path
) -> None:
    folders = tmp_path / "images", tmp_path / "masks"
    sizes = [(32, 64), (20, 200), (90, 33), (60, 80)]
    for number, (height, width) in enumerate(sizes):
        image, mask = tiny_image(number, nerve=True)
        for folder, picture in zip(folders, (image, mask), strict=True):
            folder.mkdir(exist_ok=True)
            resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_NEAREST)
            cv2.imwrite(str(folder / f"{number}.png"), resized)
    images, masks = map(str, folders)
    config = replace(config, train_dataframe="None", data_folder=images, mask_folder=masks)
    table = located(config)
    (batch,) = plain_loader(with_cache(table, config), config)
    (expected,) = plain_loader(table, config)
    assert same(list(batch), list(expected))
    assert batch.sizes.tolist() == [list(size) for size in sizes]


def test_a_cached_image_is_not_read_again(config: Config, data: Path) -> None:
    table = with_cache(located(config), config)
    expected = epochs(config, 0, table=table)
    for path in (data / "train").iterdir():
        path.unlink()
    assert same(epochs(config, 1, table=table), expected)


@pytest.mark.parametrize("limit", [0, 1e-9])
def test_without_room_for_a_cache_the_table_stays_as_it_is(
    settings: list[str], limit: float
) -> None:
    config = configured(settings, f"cache_gib={limit}")
    table = located(config)
    assert with_cache(table, config) is table
    assert cached_files(config) == []


@pytest.mark.parametrize(
    ("setting", "files"),
    [
        ("image_height=64", 2),
        ("image_width=32", 2),
        ("image_bits=12", 2),
        ("augmentations_strategy=Hard", 1),
        ("batch_size=3", 1),
        ("seed=7", 1),
        ("number_of_workers=1", 1),
        ("experiment_name=another", 1),
    ],
)
def test_only_what_a_resized_image_depends_on_asks_for_another_file(
    settings: list[str], setting: str, files: int
) -> None:
    for more in ([], [setting]):
        config = configured(settings, *more)
        with_cache(located(config), config)
    assert len(cached_files(config)) == files


def test_another_order_of_the_rows_finds_the_same_file_and_its_own_images(config: Config) -> None:
    table = located(config)
    with_cache(table, config)
    shuffled = table.sample(frac=1, random_state=0).reset_index(drop=True)
    cached = with_cache(shuffled, config)
    assert len(cached_files(config)) == 1
    assert same(epochs(config, 0, table=cached), epochs(config, 0, table=shuffled))


def test_an_image_that_changed_asks_for_another_file(config: Config, data: Path) -> None:
    with_cache(located(config), config)
    cv2.imwrite(str(data / "train" / "1_1.tif"), tiny_image(999, nerve=False)[0])
    table = located(config)
    cached = with_cache(table, config)
    assert len(cached_files(config)) == 2
    assert same(epochs(config, 0, table=cached), epochs(config, 0, table=table))


def test_equal_files_are_kept_once(config: Config, data: Path) -> None:
    train = data / "train"
    (train / "2_3.tif").write_bytes((train / "1_3.tif").read_bytes())
    table = located(config)
    cached = with_cache(table, config)
    (file,) = cached_files(config)
    assert np.load(file).shape == (len(table) - 1, 32, 64)
    assert same(epochs(config, 0, table=cached), epochs(config, 0, table=table))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"II*", r"1_2\.tif: not an image"),
        (cv2.imencode(".tif", np.zeros((60, 80), dtype=np.uint8))[1].tobytes(), "has changed"),
    ],
)
def test_a_file_that_changes_before_it_is_cached_is_named(
    config: Config, data: Path, content: bytes, complaint: str
) -> None:
    table = located(config)
    (data / "train" / "1_2.tif").write_bytes(content)
    with pytest.raises(InputError, match=complaint):
        with_cache(table, config)
    assert cached_files(config) == []


def test_making_the_cache_takes_none_of_the_random_numbers_of_a_training(config: Config) -> None:
    before = torch.get_rng_state()
    with_cache(located(config), config)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_training_ends_with_the_same_bytes_with_and_without_the_cache(
    settings: list[str],
) -> None:
    """And all folds use one file."""
    results = []
    for limit in (0, 1):
        config = configured(settings, f"cache_gib={limit}", "epochs=1")
        step(1).main(config)
        step(2).main(config)
        assert len(cached_files(config)) == limit
        run = Run.of(config)
        paths = [path(fold) for path in (run.model, run.log) for fold in (0, 1)]
        results.append([path.read_bytes() for path in paths])
        shutil.rmtree(run.folder)
    assert results[0] == results[1]


@pytest.mark.parametrize("workers", [0, 1])
def test_the_message_of_an_image_that_cannot_be_read_is_the_same_from_a_worker(
    config: Config, data: Path, workers: int
) -> None:
    table = located(config)
    (data / "train" / "1_2.tif").write_bytes(b"II*")
    with pytest.raises(InputError) as raised:
        list(plain_loader(table, replace(config, number_of_workers=workers)))
    assert str(raised.value).startswith(f"{data / 'train' / '1_2.tif'}: not an image")
