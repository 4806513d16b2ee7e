import gc
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from lib.artifacts.log import save_log
from lib.config.fields import Config
from tools.watch.pictures import (
    BLUE,
    ON_GREY,
    ORANGE,
    RED,
    _panels,
    _reference,
    _words,
    save_curves,
    save_first_batch,
)

GREY = "#808080"


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


def near(picture: np.ndarray, colour: str, tolerance: int = 12) -> np.ndarray:
    """Where the picture has the colour: (height, width) bool."""
    wanted = np.array(to_rgb(colour)) * 255
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
    outline = middle(near(first_batch(config, black(), masks), ON_GREY[0]))
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
    one, two = (middle(near(picture[:250], colour)) for colour in ON_GREY[:2])
    assert one[0] < two[0] and one[1] < two[1]
    assert all(near(picture[250:], colour).any() for colour in ON_GREY[:2])  # the legend


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
    assert (picture[285:].min() < 100) == bool(name)


def rows(epochs: int, **more: float) -> list[dict[str, float]]:
    one = {"learning_rate": 0.001, "train_loss": 0.5, "validation_loss": 0.75}
    return [{"epoch": epoch, **one, **more} for epoch in range(1, epochs + 1)]


SCORES = {
    "validation_iou": 0.6,
    "validation_dice": 0.7,
    "validation_iou_nerve": 0.4,
    "validation_dice_nerve": 0.5,
}
SAME = SCORES | {"validation_iou_nerve": 0.6, "validation_dice_nerve": 0.7}


def curves(config: Config, log: list[dict[str, float]]) -> np.ndarray:
    save_log(config, 0, log)
    return pixels(save_curves(config, 0))


@pytest.mark.parametrize("epochs", [1, 3, 300])
def test_losses_and_scores_have_their_colours(config: Config, epochs: int) -> None:
    picture = curves(config, rows(epochs, **SCORES))
    assert all(near(picture[:, :560], colour).any() for colour in (BLUE, ORANGE, RED))


def test_the_reference_is_drawn_where_every_image_has_a_mask(config: Config) -> None:
    """Letters have some grey at their edges in either picture."""
    without, drawn = (near(curves(config, rows(5, **scores)), GREY, 4) for scores in (SCORES, SAME))
    assert drawn[:, :560].sum() > without[:, :560].sum() + 100


@pytest.mark.parametrize(
    ("scores", "changed", "expected"),
    [
        (SAME, {}, {"validation_loss", "validation_iou"}),
        (SAME, {"loss_function": "Focal"}, {"validation_iou"}),
        (SAME, {"dice_weight": 2.0}, {"validation_iou"}),
        (SAME, {"presence_head": 0.5}, {"validation_iou"}),
        (SCORES, {}, set()),
        (SAME | {"validation_iou_nerve": math.nan}, {}, set()),
        ({"validation_iou": 0.6}, {}, set()),
    ],
)
def test_the_reference_is_held_against_what_it_can_be(
    scores: dict[str, float], changed: dict[str, Any], expected: set[str]
) -> None:
    found = _reference(pd.DataFrame(rows(2, **scores)), replace(Config(), **changed))
    assert set(found) - {"epoch"} == expected


RATE = ("learning rate", ["learning_rate"])
LOSS = ("loss", ["train_loss", "validation_loss"])


@pytest.mark.parametrize(
    ("log", "each_has_a_mask", "expected"),
    [
        (rows(2, **SCORES), False, [LOSS, ("score", list(SCORES)), RATE]),
        (rows(2, **SAME), True, [LOSS, ("score", list(SCORES)[:2]), RATE]),
        (
            rows(2, **SCORES | {"validation_iou_nerve": math.nan, "train_iou": 0.1}),
            False,
            [LOSS, ("score", [*list(SCORES)[:2], "validation_dice_nerve", "train_iou"]), RATE],
        ),
        (rows(2, validation_iou=math.nan), False, [LOSS, RATE]),
        ([{"epoch": 1.0, "validation_auc": 0.8}], False, [("score", ["validation_auc"])]),
    ],
)
def test_each_column_that_holds_a_number_stands_in_its_panel(
    log: list[dict[str, float]], each_has_a_mask: bool, expected: list[Any]
) -> None:
    assert _panels(pd.DataFrame(log), each_has_a_mask) == expected


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("train_loss", "train"),
        ("validation_loss", "validation"),
        ("validation_iou", "IoU"),
        ("validation_dice_nerve", "Dice with a mask"),
        ("train_iou", "train IoU"),
        ("validation_auc", "AUC"),
        ("validation_iou_vessel", "IoU vessel"),
    ],
)
def test_a_column_is_called(column: str, words: str) -> None:
    assert _words(column) == words


numbers = st.one_of(st.just(math.nan), st.floats(0, 1e6))


@settings(max_examples=5, deadline=None)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(SCORES, numbers)), min_size=1, max_size=4))
def test_any_numbers_can_be_drawn(
    tmp_path_factory: pytest.TempPathFactory, scores: list[dict[str, float]]
) -> None:
    config = replace(Config(), runs_folder=str(tmp_path_factory.mktemp("runs")))
    log = [{**row, **score} for row, score in zip(rows(len(scores)), scores, strict=True)]
    assert curves(config, log).shape[2] == 3


def content(config: Config) -> list[bytes]:
    first_batch(config, black(2), black(2) + 1)
    curves(config, rows(3, **SCORES))
    folder = Path(config.runs_folder) / "nerve" / "fold0"
    return [(folder / name).read_bytes() for name in ("first_batch.png", "curves.png")]


def test_the_same_input_gives_the_same_bytes_whatever_style_a_person_has(config: Config) -> None:
    before = content(config)
    with matplotlib.rc_context({"font.size": 30, "axes.grid": False, "text.parse_math": True}):
        assert content(config) == before
        assert matplotlib.rcParams["font.size"] == 30
    assert all(b"atplotlib" not in picture for picture in before)


def test_figures_do_not_stay_in_memory(config: Config) -> None:
    def alive() -> int:
        gc.collect()
        return sum(type(thing) is Figure for thing in gc.get_objects())

    before = alive()
    for _ in range(3):
        curves(config, rows(1, **SCORES))
    assert alive() == before
