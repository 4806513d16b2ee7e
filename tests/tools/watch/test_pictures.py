from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from lib.config.fields import Config
from tools.watch.pictures import COLOURS, LINE, PANEL, save_first_batch


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return replace(Config(), runs_folder=str(tmp_path))


def first_batch(config: Config, images: Tensor, masks: Tensor, **more: Any) -> np.ndarray:
    """The pixels of the picture (height, width, 3)."""
    names = more.get("names", [f"1_{number}" for number in range(len(images))])
    classes = [""] if masks.shape[1] == 1 else [f"class {n}" for n in range(masks.shape[1])]
    return pixels(save_first_batch(config, 0, names, images, masks, classes))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def black(images: int = 1, height: int = 64, width: int = 64) -> Tensor:
    return torch.zeros(images, 1, height, width, dtype=torch.uint8)


def near(picture: np.ndarray, colour: tuple[int, int, int], tolerance: int = 12) -> np.ndarray:
    """Where the picture has the colour: (height, width) bool."""
    wanted = np.array(colour)
    found: np.ndarray = (np.abs(picture - wanted) < tolerance).all(axis=2)
    return found


def colourful(picture: np.ndarray) -> int:
    return int((np.ptp(picture.astype(int), axis=2) > 40).sum())


def middle(where: np.ndarray) -> tuple[float, float]:
    rows, columns = np.nonzero(where)
    return (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2


def test_an_outline_stands_where_its_mask_does(config: Config) -> None:
    """Held against a white square of the image itself, in the place of the mask."""
    masks = black()
    masks[0, 0, 8:20, 40:60] = 1
    outline = middle(near(first_batch(config, black(), masks), COLOURS[0]))
    picture = first_batch(config, black() + 255 * masks, black())
    inside = picture[40:250, 15:240]  # without the margins, which are white as well
    square = middle((inside == 255).all(axis=2))
    assert outline == pytest.approx((square[0] + 40, square[1] + 15), abs=2)


def test_an_image_without_a_mask_has_no_colour(config: Config) -> None:
    assert colourful(first_batch(config, black(2), black(2))) == 0


@pytest.mark.parametrize("where", [np.s_[:, :], np.s_[:10, :10], np.s_[-5:, -5:], np.s_[30, 30]])
def test_masks_at_edges_of_one_pixel_and_of_all_pixels_are_drawn(
    config: Config, where: Any
) -> None:
    masks = black()
    masks[0, 0][where] = 1
    assert colourful(first_batch(config, black(), masks)) > 0


def test_each_class_has_its_colour_and_name(config: Config) -> None:
    masks = black().repeat(1, 2, 1, 1)
    masks[0, 0, 5:20, 5:20] = 1
    masks[0, 1, 40:60, 40:60] = 1
    picture = first_batch(config, black(), masks)
    one, two = (middle(near(picture[:250], colour)) for colour in COLOURS[:2])
    assert one[0] < two[0] and one[1] < two[1]
    assert all(near(picture[250:], colour).any() for colour in COLOURS[:2])  # the legend


def test_a_mixed_batch_shows_the_share_of_each_label(config: Config) -> None:
    masks = torch.zeros(1, 1, 64, 64)
    masks[0, 0, 5:20, 20:40] = 0.3
    masks[0, 0, 40:55, 20:40] = 1
    picture = first_batch(config, black().float() + 0.4, masks)
    strength = [
        int(np.ptp(part.astype(int), axis=2).max()) for part in (picture[:130], picture[140:])
    ]
    assert 30 < strength[0] < strength[1] / 2


def test_whole_numbers_and_fractions_of_the_same_value_look_the_same(config: Config) -> None:
    images = torch.randint(0, 256, (3, 1, 32, 64), dtype=torch.uint8)
    masks = torch.randint(0, 2, (3, 1, 32, 64), dtype=torch.uint8)
    picture = first_batch(config, images, masks)
    assert np.array_equal(first_batch(config, images.float(), masks.float()), picture)


@pytest.mark.parametrize("number", [1, 2, 5, 16, 20])
def test_up_to_sixteen_images_are_drawn(config: Config, number: int) -> None:
    """Each is of its own grey."""
    greys = torch.arange(10, 10 + 10 * number, 10, dtype=torch.uint8)
    images = greys[:, None, None, None].expand(number, 1, 32, 32)
    picture = first_batch(config, images, torch.zeros_like(images))
    # Thousands of pixels of each, give or take a colour map's rounding; letters have fewer.
    counts = np.bincount(picture[..., 0].ravel(), minlength=256)
    drawn = [bool(counts[grey - 2 : grey + 3].sum() > 10_000) for grey in greys.tolist()]
    assert drawn == [True] * min(number, 16) + [False] * (number - 16)


@pytest.mark.parametrize("name", ["$a$", "$a_{b", "folder/" * 30 + "1_1", "", "nérf"])
def test_any_name_can_stand_below_an_image(config: Config, name: str) -> None:
    picture = first_batch(config, black(), black(), names=[name])
    assert (picture[LINE + PANEL :].min() < 100) == bool(name)


def test_the_same_input_gives_the_same_bytes(config: Config) -> None:
    def content() -> bytes:
        names = ["a", "b"]
        return save_first_batch(config, 0, names, black(2), black(2) + 1, [""]).read_bytes()

    assert content() == content()
