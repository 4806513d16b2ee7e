import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.config.fields import Config
from lib.training.mixup import Mixed, cutmix, draw_box, mixed, mixup

SWAPPED = torch.tensor([1, 0])
ON = pytest.mark.parametrize("how", ["Mixup", "Cutmix"])


def with_mixing(how: str, **more: Any) -> Config:
    return dataclasses.replace(Config(), mix_image=how, **more)


def batch(n: int = 4, shape: tuple[int, int] = (8, 12), seed: int = 0) -> Mixed:
    """Images, masks of two classes, weights."""
    random = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, 1, *shape), dtype=torch.uint8, generator=random)
    masks = torch.randint(0, 2, (n, 2, *shape), dtype=torch.uint8, generator=random)
    return images, masks, torch.rand(n, generator=random)


def levels(n: int, shape: tuple[int, int]) -> Mixed:
    """Image k has the value k everywhere, and weighs k."""
    values = torch.arange(n, dtype=torch.uint8)
    images = values[:, None, None, None].expand(-1, 1, *shape)
    return images, images, values.float()


def equal(one: Mixed, other: Mixed) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_mixup_of_hand_worked_pixels() -> None:
    images = torch.tensor([[0, 200], [100, 40]], dtype=torch.uint8).view(2, 1, 1, 2)
    masks = torch.tensor([[0, 1], [1, 1]], dtype=torch.uint8).view(2, 1, 1, 2)
    weights = torch.tensor([1.0, 0.5])
    images, masks, weights = mixup(images, masks, weights, SWAPPED, 0.75)
    assert images.flatten().tolist() == [25, 160, 75, 80]
    assert masks.flatten().tolist() == [0.25, 1, 0.75, 1]
    assert weights.tolist() == [0.875, 0.625]
    assert images.dtype == masks.dtype == weights.dtype == torch.float32


def test_cutmix_of_hand_worked_pixels() -> None:
    images = torch.tensor([[[1, 2, 3], [4, 5, 6]], [[10, 20, 30], [40, 50, 60]]])[:, None].byte()
    masks = torch.tensor([[[0, 0, 0], [0, 0, 0]], [[1, 1, 1], [0, 1, 0]]])[:, None].byte()
    box = (slice(0, 2), slice(1, 2))
    mixture = cutmix(images, masks, torch.tensor([1.0, 0.4]), SWAPPED, box)
    assert mixture[0].flatten(1).tolist() == [[1, 20, 3, 4, 50, 6], [10, 2, 30, 40, 5, 60]]
    assert mixture[1].flatten(1).tolist() == [[0, 1, 0, 0, 1, 0], [1, 0, 1, 0, 0, 0]]
    assert mixture[2].tolist() == pytest.approx([0.8, 0.6])  # a third is the other one's
    assert mixture[0].dtype == mixture[1].dtype == torch.uint8


@ON
@given(seed=st.integers(0, 1000), n=st.integers(1, 5), iterations=st.integers(1, 3))
def test_labels_move_with_their_images(how: str, seed: int, n: int, iterations: int) -> None:
    _, masks, weights = batch(n, seed=seed)
    config = with_mixing(how, mix_iterations=iterations)
    images, mixed_masks, _ = mixed(masks[:, :1], masks, weights, (seed, 0, 0), config)
    assert torch.equal(images, mixed_masks[:, :1])
    assert 0 <= mixed_masks.min() <= mixed_masks.max() <= 1


@ON
def test_a_weight_is_that_of_the_images_by_their_shares_of_the_pixels(how: str) -> None:
    for step in range(20):
        images, _, weights = mixed(*levels(4, (16, 24)), (0, 0, step), with_mixing(how))
        assert torch.allclose(images.float().mean((1, 2, 3)), weights, atol=1e-5)


@ON
def test_a_batch_as_a_whole_keeps_its_mean(how: str) -> None:
    images, _, _ = mixed(*levels(5, (16, 24)), (0, 0, 0), with_mixing(how, mix_iterations=3))
    assert images.float().mean().item() == pytest.approx(2.0)
    assert images.float().mean((1, 2, 3)).tolist() != [0, 1, 2, 3, 4]


@ON
def test_the_tensors_given_stay_as_they_were(how: str) -> None:
    given = batch()
    mixed(*given, (0, 0, 0), with_mixing(how))
    assert equal(given, batch())


@pytest.mark.parametrize(
    "config", [Config(), with_mixing("Mixup", mix_probability=0.0)], ids=["Disabled", "never"]
)
def test_what_is_not_mixed_comes_back_as_it_is(config: Config) -> None:
    given = batch()
    for step in range(20):
        for one, other in zip(mixed(*given, (0, 0, step), config), given, strict=True):
            assert one is other


@ON
def test_the_share_of_batches_that_are_mixed_is_mix_probability(how: str) -> None:
    given, config = batch(), with_mixing(how, mix_probability=0.3)
    changed = [not equal(mixed(*given, (1, 2, step), config), given) for step in range(600)]
    assert np.mean(changed) == pytest.approx(0.3, abs=0.06)


@ON
def test_the_key_decides_and_nothing_else(how: str) -> None:
    first = mixed(*batch(), (1, 2, 3), with_mixing(how))
    torch.manual_seed(5)
    assert equal(first, mixed(*batch(), (1, 2, 3), with_mixing(how)))
    for other in ((0, 2, 3), (1, 0, 3), (1, 2, 0)):
        assert not equal(first, mixed(*batch(), other, with_mixing(how)))


@ON
def test_more_iterations_mix_more_images_into_one(how: str) -> None:
    """A batch of images that are 1 in a channel of their own shows who is in the mixture."""
    images = torch.eye(6)[:, :, None, None].expand(-1, -1, 32, 32)
    parts = []
    for iterations in (1, 3):
        config = with_mixing(how, mix_iterations=iterations, mix_concentration=50.0)
        mixture = mixed(images, images, torch.ones(6), (0, 0, 1), config)[0]
        parts.append((mixture.mean((2, 3)) > 0).sum(1))
    assert parts[0].max() == 2
    assert parts[1].max() > 2


def shares(config: Config, n: int = 300) -> np.ndarray:
    """What is left of the first image in it, of batches in which it gets another partner."""
    images, _, weights = levels(2, (64, 64))
    means = [mixed(images, images, weights, (0, 0, step), config)[2][0].item() for step in range(n)]
    return 1 - np.array(means)


@ON
@pytest.mark.parametrize("concentration", [0.2, 1.0, 8.0])
def test_shares_are_as_wide_as_the_beta_of_mix_concentration(
    how: str, concentration: float
) -> None:
    # cutmix_corner, because a box that is cut off has a smaller share than the one drawn.
    config = with_mixing(how, mix_concentration=concentration, cutmix_corner=True)
    drawn = shares(config)
    drawn = drawn[drawn < 1]  # half of the images are their own partners
    if concentration < 1:
        assert np.mean(np.abs(drawn - 0.5) > 0.4) > 0.5
    else:
        assert drawn.mean() == pytest.approx(0.5, abs=0.06)
        assert drawn.std() == pytest.approx((4 * (2 * concentration + 1)) ** -0.5, abs=0.03)


@given(st.integers(0, 1000), st.floats(0, 1), st.integers(1, 40), st.integers(1, 40))
def test_a_box_in_a_corner_has_its_whole_share(
    seed: int, share: float, height: int, width: int
) -> None:
    box = draw_box((height, width), share, True, np.random.default_rng(seed))
    for part, length in zip(box, (height, width), strict=True):
        assert part.start == 0 or part.stop == length
        assert part.stop - part.start == round(length * (1 - share) ** 0.5)


@given(st.integers(0, 1000), st.floats(0, 1), st.integers(1, 40), st.integers(1, 40))
def test_a_box_anywhere_lies_in_the_image_and_is_cut_off_at_its_edges(
    seed: int, share: float, height: int, width: int
) -> None:
    box = draw_box((height, width), share, False, np.random.default_rng(seed))
    for part, length in zip(box, (height, width), strict=True):
        assert 0 <= part.start <= part.stop <= length
        whole = round(length * (1 - share) ** 0.5)
        inside = part.start > 0 and part.stop < length
        assert part.stop - part.start == whole if inside else part.stop - part.start <= whole


def test_boxes_reach_every_pixel_or_each_corner_whole() -> None:
    random, hits = np.random.default_rng(0), np.zeros((2, 10, 20))
    for _ in range(200):
        for corner in (False, True):
            hits[int(corner)][draw_box((10, 20), 0.84, corner, random)] += 1  # 4 x 8 pixels
    assert hits[0].min() > 0
    assert hits[0].sum() < 0.9 * 200 * 32
    assert hits[1, [0, 0, -1, -1], [0, -1, 0, -1]].min() > 30
    assert hits[1].sum() == 200 * 32
    assert hits[1, 4:6].max() == hits[1, :, 8:12].max() == 0


@pytest.mark.parametrize("corner", [True, False])
def test_cutmix_corner_puts_the_other_image_into_a_corner(corner: bool) -> None:
    given, config = levels(2, (16, 24)), with_mixing("Cutmix", cutmix_corner=corner)
    images = [mixed(*given, (0, 0, step), config)[0][0, 0] for step in range(50)]
    in_corner = [bool(image[[0, 0, -1, -1], [0, -1, 0, -1]].any()) for image in images]
    assert all(in_corner[step] for step in range(50) if images[step].any()) == corner


@ON
def test_mixup_blends_pixels_and_cutmix_moves_them(how: str) -> None:
    given = levels(3, (16, 24))
    images, masks, _ = mixed(*given, (0, 0, 0), with_mixing(how))
    assert images.dtype == masks.dtype == (torch.float32 if how == "Mixup" else torch.uint8)
    assert set(images.unique().tolist()) <= {0, 1, 2} or how == "Mixup"
    assert all(len(image.unique()) == 1 for image in images) == (how == "Mixup")
