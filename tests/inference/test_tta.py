"""Views of an image are undone in its place: shown by a "network" that returns what it sees."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lib.config.fields import Config
from lib.dataset import Batch
from lib.inference.predict import mean_answer
from lib.inference.tta import View, views_of

SIZE = (192, 320)
CPU = torch.device("cpu")
WHOLE_VIEWS = [
    ([], [View()]),
    (["Horizontal flip"], [View(), View(axes=(3,))]),
    (
        ["Vertical flip", "Horizontal flip"],
        [View(), View(axes=(2,)), View(axes=(3,)), View(axes=(3, 2))],
    ),
    (["Scale"], [View(), View(size=(384, 384)), View(size=(512, 512))]),
    (["Rotation"], [View(), View(degrees=-6), View(degrees=6)]),
]


class Echo(nn.Module):
    """Answers with its input as the probability."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, :1].logit(1e-6)


class Fixed(nn.Module):
    """Answers with the same probabilities, whatever it sees."""

    def __init__(self, pixels: Tensor) -> None:
        super().__init__()
        self.pixels = pixels

    def forward(self, images: Tensor) -> Tensor:
        return self.pixels.expand(len(images), 1, -1, -1).logit(1e-6)


class Presence(nn.Module):
    """Says as presence how bright the top left pixel is."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images[:, :1], images[:, :1, 0, 0].logit(1e-6)


def config_of(*wished: str, size: tuple[int, int] = SIZE) -> Config:
    return Config(
        image_height=size[0], image_width=size[1], test_time_augmentations=list(wished), gpus=[]
    )


def mean_of(network: nn.Module, image: np.ndarray, views: list[View]) -> np.ndarray:
    """Of an image uint8 (height, width), the mean over the views, 0..1."""
    images = torch.from_numpy(image)[None, None]
    nothing = torch.empty(0)
    batch = Batch(torch.tensor([0]), images, nothing, torch.tensor([image.shape]), nothing)
    config = config_of(size=image.shape)
    return mean_answer([network], views, batch, config, CPU).pixels[0, 0].numpy()


def blobs(size: tuple[int, int] = SIZE) -> np.ndarray:
    """Smooth, in no way symmetric; as bright at a border as inside."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    image = np.zeros(size)
    for row, column, width in ((40, 60, 10), (140, 240, 15), (96, 0, 12), (20, 315, 11)):
        image += np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * width**2))
    return np.rint(255 * image.clip(0, 1)).astype(np.uint8)


@pytest.mark.parametrize(("wished", "views"), WHOLE_VIEWS)
def test_the_views_of_each_setting(wished: list[str], views: list[View]) -> None:
    found = views_of(config_of(*wished, size=(448, 448)))
    assert found[0] == View()
    assert sorted(found, key=str) == sorted(views, key=str)


def test_all_four_settings_are_eight_views() -> None:
    wished = ("Horizontal flip", "Vertical flip", "Scale", "Rotation")
    assert len(views_of(config_of(*wished))) == 8


SCALED = [
    ((448, 448), [(384, 384), (512, 512)]),
    ((192, 256), [(160, 224), (224, 288)]),
    ((128, 160), [(96, 128), (160, 192)]),
    ((64, 64), [(32, 32), (96, 96)]),
    ((32, 32), [(64, 64)]),
]


@pytest.mark.parametrize(("size", "others"), SCALED)
def test_scales_are_other_sizes_that_a_network_takes(
    size: tuple[int, int], others: list[tuple[int, int]]
) -> None:
    assert [view.size for view in views_of(config_of("Scale", size=size))[1:]] == others


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.sampled_from(["Horizontal flip", "Vertical flip"]), unique=True),
    st.integers(0, 2**31),
)
def test_flips_are_undone_to_the_value(wished: list[str], seed: int) -> None:
    image = np.random.default_rng(seed).integers(1, 255, (32, 64), dtype=np.uint8)
    found = mean_of(Echo(), image, views_of(config_of(*wished)))
    assert np.abs(found - image / 255).max() < 1e-6


@pytest.mark.parametrize("wished", ["Scale", "Rotation"])
def test_each_view_gives_the_image_back_in_its_place(wished: str) -> None:
    """Half a pixel of shift would change the slopes of the blobs by .03."""
    image = blobs()
    for view in views_of(config_of(wished))[1:]:
        found = mean_of(Echo(), image, [view])
        seen = view.seen(SIZE, CPU).expand(SIZE).numpy() > 0
        assert seen.mean() > 0.85
        assert np.abs(found - image / 255)[seen].max() < 0.015


@pytest.mark.parametrize("wished", ["Horizontal flip", "Vertical flip", "Scale", "Rotation"])
def test_a_small_thing_stays_where_it_is(wished: str) -> None:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    far = (rows - 50.5) ** 2 + (columns - 82) ** 2
    image = np.rint(255 * np.exp(-far / (2 * 4**2))).astype(np.uint8)
    for view in views_of(config_of(wished)):
        found = mean_of(Echo(), image, [view])
        found = np.where(found > 1e-4, found, 0)
        assert (found * rows).sum() / found.sum() == pytest.approx(50.5, abs=0.05)
        assert (found * columns).sum() / found.sum() == pytest.approx(82, abs=0.05)


def test_a_view_is_what_its_name_says() -> None:
    image = torch.zeros(1, 1, 21, 31)
    image[0, 0, 10, 25] = 1  # 10 pixels to the right of the centre
    assert View(axes=(3,)).shown(image)[0, 0, 10, 5] == 1
    assert View(axes=(2, 3)).shown(image)[0, 0, 10, 5] == 1
    turned = View(degrees=30).shown(image)  # counter-clockwise: 5 up, to 8.7 to the right
    assert divmod(int(turned.argmax()), 31) == (5, 24)


def test_what_a_rotation_does_not_see_takes_no_part_in_the_mean() -> None:
    """In a corner, which both rotate out, only the image as it is counts."""
    ramp = torch.linspace(0.1, 0.9, SIZE[1]).expand(SIZE)
    image, views = blobs(), views_of(config_of("Rotation"))
    found = mean_of(Fixed(ramp), image, views)
    corners = (slice(None, None, SIZE[0] - 1), slice(None, None, SIZE[1] - 1))
    assert np.allclose(found[corners], ramp[corners], atol=1e-6)
    white = np.full(SIZE, 255, dtype=np.uint8)
    assert mean_of(Echo(), white, views).min() > 0.999


def test_rotations_by_both_signs_see_different_corners() -> None:
    left, right = (View(degrees=degrees).seen(SIZE, CPU) for degrees in (-6, 6))
    assert torch.equal(left, right.flip(1))
    assert not torch.equal(left, right)
    assert left[SIZE[0] // 2, SIZE[1] // 2] == 1


def test_the_presence_is_the_mean_over_the_views_and_networks() -> None:
    image = np.zeros((32, 64), dtype=np.uint8)
    image[0, 0], image[0, -1] = 51, 204  # .2 and .8
    batch = Batch(
        torch.tensor([0]),
        torch.from_numpy(image)[None, None],
        torch.empty(0),
        torch.tensor([[32, 64]]),
        torch.empty(0),
    )
    config = config_of(size=(32, 64))
    views = [View(), View(axes=(3,))]
    answer = mean_answer([Presence()], views, batch, config, CPU)
    assert answer.presence is not None
    assert answer.presence.tolist() == [[pytest.approx(0.5)]]
    assert mean_answer([Presence(), Echo()], views, batch, config, CPU).presence is None
