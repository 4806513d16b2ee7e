import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.runtime.errors import InputError
from lib.runtime.files import sha_of_file
from tools.watch.speed import Stopwatch, load_speed, peak_memory

CPU = torch.device("cpu")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return replace(Config(), runs_folder=str(tmp_path))


def validated(config: Config, epochs: list[float], images: int = 32) -> pd.DataFrame:
    """The file after one training that validates at these epochs."""
    watch = Stopwatch(config, 0, CPU)
    for epoch in epochs:
        watch.images += images
        watch.validating()
        watch.write(epoch)
    return load_speed(Run.of(config).speed(0))


def test_a_row_tells_images_seconds_memory_and_machine(config: Config) -> None:
    (row,) = validated(config, [0.5]).to_dict("records")
    assert row["epoch"] == 0.5
    assert row["images_per_second"] * row["training_seconds"] == pytest.approx(32, rel=1e-4)
    assert row["validation_seconds"] >= 0
    assert row["peak_memory_gib"] > 0.01
    assert pd.isna(row["peak_gpu_memory_gib"])
    assert row["device"]
    assert row["torch"] == torch.__version__


def test_images_are_counted_anew_for_each_row(config: Config) -> None:
    table = validated(config, [1, 2])
    images = table["images_per_second"] * table["training_seconds"]
    assert images.tolist() == pytest.approx([32, 32], rel=1e-4)


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ([], [1, 2], []),
        ([1, 2, 3], [4, 5], [1, 2, 3]),
        ([1, 2, 3], [3, 4], [1, 2]),
        ([1, 2, 3], [1], []),
        ([0.5, 1, 1.5], [1.25], [0.5, 1]),
    ],
)
def test_rows_beyond_the_epoch_that_a_training_goes_on_from_are_replaced(
    config: Config, before: list[float], after: list[float], kept: list[float]
) -> None:
    validated(config, before, images=16)
    table = validated(config, after, images=32)
    assert table["epoch"].tolist() == kept + after
    images = table["images_per_second"] * table["training_seconds"]
    expected = [16] * len(kept) + [32] * len(after)
    assert images.tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "epoch\nfirst\n"])
def test_a_damaged_file_is_named(config: Config, content: str) -> None:
    path = Run.of(config).speed(0)
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(InputError, match=r"speed\.csv .*delete it"):
        validated(config, [1])


def test_the_peak_of_memory_is_in_bytes() -> None:
    """Linux knows it a second time, in KiB; the first may count what started this process."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    assert 0.99 < peak_memory() / (1024 * int(found[1])) < 100


def test_a_damaged_hash_is_named_too(config: Config) -> None:
    validated(config, [1])
    path = Run.of(config).speed(0)
    sums = path.with_name("checksums.json")
    sums.write_text(sums.read_text().replace(sha_of_file(path), "0" * 16))
    with pytest.raises(InputError, match=r"speed.csv is not .* or checksums.json beside it, is"):
        load_speed(path)
