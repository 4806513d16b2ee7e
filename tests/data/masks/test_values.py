"""What the numbers and colours of mask files mean, one file and a whole set."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lib import rle
from lib.data.masks.values import Drawn, classes_of, drawn, runs_by_class
from lib.data.pictures.arrays import ImageFile, UnusableImage
from lib.runtime.errors import InputError
from tests.conftest import tiny_image

NERVE = tiny_image(5, nerve=True)[1]
VESSEL = np.roll(NERVE, 9, axis=0) & ~NERVE


def saved(path: Path, pixels: np.ndarray, **options: object) -> ImageFile:
    Image.fromarray(pixels).save(path, **options)  # type: ignore[arg-type]
    return ImageFile(path)


def decoded(mask: Drawn) -> dict[int, np.ndarray]:
    return {value: rle.decode(text, mask.shape) for value, text in mask.runs.items()}


@pytest.mark.parametrize("value", [1, 7, 255])
def test_each_value_has_its_pixels(tmp_path: Path, value: int) -> None:
    mask = drawn(saved(tmp_path / "mask.png", NERVE * np.uint8(value)))
    assert list(mask.runs) == [value]
    assert (decoded(mask)[value] == NERVE).all()


def test_a_black_mask_has_no_value(tmp_path: Path) -> None:
    assert drawn(saved(tmp_path / "mask.png", NERVE * 0)).runs == {}


def test_palettes_and_colours_are_told_apart_before_they_become_grey(tmp_path: Path) -> None:
    """Both colours have the same luminance."""
    palette = Image.fromarray(NERVE + 2 * VESSEL, "P")
    palette.putpalette([0, 0, 0, 255, 0, 0, 0, 130, 0])
    palette.save(tmp_path / "palette.png")
    colours = np.dstack([NERVE * 255, VESSEL * 130, NERVE * 0])
    for file in (ImageFile(tmp_path / "palette.png"), saved(tmp_path / "rgb.png", colours)):
        found = decoded(drawn(file))
        assert sorted(found) == [0x008200, 0xFF0000]
        assert (found[0xFF0000] == NERVE).all()


@pytest.mark.parametrize("name", ["mask.jpg", "mask.png"])
def test_blurred_edges_are_cut_at_half_whatever_the_file_is_called(
    tmp_path: Path, name: str
) -> None:
    Image.fromarray(NERVE * 255).save(tmp_path / name, "JPEG", quality=90)
    mask = drawn(ImageFile(tmp_path / name))
    (found,) = decoded(mask).values()
    assert mask.soft
    assert np.mean(found != NERVE) < 0.002


def test_a_jpeg_that_was_black_is_empty_and_one_of_0_and_1_is_not_guessed(tmp_path: Path) -> None:
    noise = (np.arange(NERVE.size) % 3).reshape(NERVE.shape).astype(np.uint8)
    assert drawn(saved(tmp_path / "noise.jpg", noise, quality=95)).runs == {}


def test_classes_that_jpeg_blurred_are_refused_with_the_way_out(tmp_path: Path) -> None:
    two = NERVE * 100 + VESSEL * 200
    big = np.kron(two, np.ones((8, 8), dtype=np.uint8))
    with pytest.raises(UnusableImage, match=r"areas of grey .* save a mask of several classes as"):
        drawn(saved(tmp_path / "mask.jpg", big, quality=80))


def test_a_picture_is_no_mask(tmp_path: Path) -> None:
    with pytest.raises(UnusableImage, match=r"holds \d+ values: a mask holds 0 and a few"):
        drawn(saved(tmp_path / "picture.png", tiny_image(5, nerve=True)[0]))


@pytest.mark.parametrize("name", ["mask.png", "mask.tif", "mask.jpg"])
@pytest.mark.parametrize("width", [4, 9])
def test_probabilities_are_refused_with_the_way_out(
    tmp_path: Path, name: str, width: float
) -> None:
    blurred = cv2.GaussianBlur(np.kron(NERVE, np.ones((4, 4))) * 255, (0, 0), width)
    with pytest.raises(UnusableImage, match=r"as probabilities do: set the pixels below the thre"):
        drawn(saved(tmp_path / name, blurred.astype(np.uint8)))


def test_fractions_of_0_to_1_are_refused_with_the_way_out(tmp_path: Path) -> None:
    fractions = cv2.GaussianBlur(NERVE.astype(np.float32), (0, 0), 3)
    np.save(tmp_path / "mask.npy", fractions)
    for file in (ImageFile(tmp_path / "mask.npy"), saved(tmp_path / "mask.tif", fractions)):
        with pytest.raises(UnusableImage, match=r"fractions of 0 to 1, as probabilities are: set"):
            drawn(file)
    assert drawn(saved(tmp_path / "whole.tif", NERVE.astype(np.float32))).runs


def test_even_steps_are_votes_where_one_is_inside_the_other_and_classes_elsewhere() -> None:
    inner = [cv2.erode(NERVE, np.ones((3, 3), np.uint8), iterations=n) for n in range(5)]
    steps = sum(51 * layer.astype(np.int64) for layer in inner)
    beside = np.zeros((40, 80), dtype=np.int64)
    for number in range(5):
        beside[5:30, 15 * number : 15 * number + 10] = 51 * (number + 1)
    votes, classes = (
        Drawn(of.shape, {v: rle.encode(of == v) for v in (51, 102, 153, 204, 255)}, soft=False)
        for of in (np.asarray(steps), beside)
    )
    with pytest.raises(InputError, match=r"51, 102, 153, 204, 255, each inside the one before"):
        classes_of([votes, votes], {}, "")
    assert len(classes_of([votes, votes], {51: "a"}, "classes.txt").names) == 5
    assert len(classes_of([classes, classes], {}, "").names) == 5


def masks_of(*values: list[int]) -> list[Drawn]:
    return [Drawn((8, 8), dict.fromkeys(of, "1 1"), soft=False) for of in values]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([[255], []], {}),
        ([[1], [255]], {}),  # two programs' foreground
        ([[128], [255]], {}),
        ([[1], [2]], {1: "1", 2: "2"}),  # a class in each
        ([[1, 2], []], {1: "1", 2: "2"}),
        ([[40, 200]], {40: "40", 200: "200"}),
        ([[1, 2, 255]], {1: "1", 2: "2"}),  # void
        ([[1, 255]], {}),
        ([[0xFF0000], [0x00FF00]], {0x00FF00: "colour_00ff00", 0xFF0000: "colour_ff0000"}),
        ([[0x800000, 0xE0E0C0]], {}),  # void of Pascal VOC's palette
        ([[1, 2, 3], [1], [1, 2], []], {}),  # objects of one class, counted
        ([[1, 2, 3], [1, 2], []], {1: "1", 2: "2", 3: "3"}),
        ([[1, 2, 3], [1, 3]], {1: "1", 2: "2", 3: "3"}),
        ([[1, 2, 3], [1, 2, 3]], {1: "1", 2: "2", 3: "3"}),
        ([[0x10000 + n, 0x20000 + n] for n in range(5)], {}),  # a colour an object
    ],
)
def test_values_of_a_set_are_classes_or_one(values: list[list[int]], names: dict[int, str]) -> None:
    assert classes_of(masks_of(*values), {}, "").names == names


def test_names_come_from_the_file_and_the_background_is_no_class() -> None:
    known = {1: "nerve", 2: "vessel", 3: "Background"}
    found = classes_of(masks_of([1, 2, 3]), known, "dataset.json")
    assert found.names == {1: "nerve", 2: "vessel"}
    assert found.told == "dataset.json"


def test_void_is_in_no_class_and_told() -> None:
    found = classes_of(masks_of([1, 2, 255]), {}, "")
    assert "255 is taken for pixels that nobody judged" in found.told
    (mask,) = masks_of([1, 2, 255])
    assert runs_by_class(mask, found.names) == {"1": ["1 1"], "2": ["1 1"]}
    (alone,) = masks_of([255])
    assert runs_by_class(alone, {}) == {"": ["1 1"]}
