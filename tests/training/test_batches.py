import itertools

import numpy as np
import pandas as pd
import pytest

from lib.config.fields import Config
from lib.runtime.errors import InputError
from lib.training.batches import REPEAT, EpochOrder


def table(images: int, positives: int = 0) -> pd.DataFrame:
    """So many images, of which the first have a mask."""
    return pd.DataFrame({"rle_mask": ["1 5"] * positives + [""] * (images - positives)})


def keys(order: EpochOrder) -> list[list[int]]:
    return [[row for row, _ in batch] for batch in order]


@pytest.mark.parametrize(
    ("images", "batch_size", "drop", "sizes"),
    [
        (10, 4, True, [4, 4]),
        (10, 4, False, [4, 4, 2]),
        (8, 4, True, [4, 4]),
        (8, 4, False, [4, 4]),
        (3, 4, False, [3]),
    ],
)
def test_every_image_stands_once_in_an_epoch_but_for_a_dropped_last_batch(
    images: int, batch_size: int, drop: bool, sizes: list[int]
) -> None:
    order = EpochOrder(table(images), Config(batch_size=batch_size, drop_last_batch=drop))
    batches = keys(order)
    assert [len(batch) for batch in batches] == sizes
    assert len(order) == len(sizes)
    flat = [row for batch in batches for row in batch]
    assert len(set(flat)) == len(flat) == sum(sizes)


def test_each_epoch_and_seed_has_its_own_order() -> None:
    order = EpochOrder(table(50), Config(seed=1))
    first = keys(order)
    assert keys(order) == first
    order.epoch = 1
    assert keys(order) != first
    assert keys(EpochOrder(table(50), Config(seed=2))) != first


@pytest.mark.parametrize(
    ("epoch", "share"), [(0, 0.8), (1, 0.7), (2, 0.6), (3, 0.5), (4, 0.4), (7, 0.4)]
)
def test_the_share_of_positives_moves_from_the_first_epoch_to_the_last(
    epoch: int, share: float
) -> None:
    config = Config(positive_share=[0.8, 0.4], epochs=5, batch_size=10)
    order = EpochOrder(table(100, 30), config)
    order.epoch = epoch
    rows = np.concatenate(keys(order))
    assert len(rows) == 100
    assert (rows < 30).mean() == share
    times = np.bincount(rows, minlength=100)
    assert np.ptp(times[:30]) <= 1 and np.ptp(times[30:]) <= 1


def test_an_image_that_comes_again_in_an_epoch_is_changed_in_another_way() -> None:
    order = EpochOrder(table(20, 5), Config(positive_share=[0.9, 0.9], batch_size=4))
    order.epoch = 3
    every = [key for batch in order for key in batch]
    assert len(set(every)) == 20
    assert {draw for _, draw in every} == {3 + REPEAT * time for time in range(4)}


@pytest.mark.parametrize("positives", [0, 20])
def test_a_share_of_positives_needs_both_kinds(positives: int) -> None:
    with pytest.raises(InputError, match="it chooses between both kinds"):
        EpochOrder(table(20, positives), Config(positive_share=[0.5, 0.5]))


@pytest.mark.parametrize(("images", "processes"), [(32, 2), (32, 3), (33, 2), (37, 5)])
def test_processes_share_every_batch_and_leave_nothing_out(
    images: int, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config(batch_size=16, drop_last_batch=False)
    alone = keys(EpochOrder(table(images), config))
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    shares = []
    for rank in range(processes):
        monkeypatch.setenv("RANK", str(rank))
        order = EpochOrder(table(images), config)
        shares.append(keys(order))
    for number, batch in enumerate(alone):
        parts = [share[number] for share in shares]
        assert len(batch) == order.images_in(number)
        if order.copies_of(number) == 1:
            assert sorted(itertools.chain(*parts)) == sorted(batch)
        else:  # fewer images than processes: each has them all, and they count once
            assert order.copies_of(number) == processes > len(batch)
            assert all(part == batch for part in parts)
