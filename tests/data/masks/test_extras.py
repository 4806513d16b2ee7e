"""Pictures that are made of images are told by what they hold, and real ones stay."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from lib.data.layouts import load_settings
from lib.runtime.errors import InputError
from tests.conftest import REPOSITORY, SHAPE
from tests.data.test_layouts import IMAGES, NAMES, folders, read, save

Make = Callable[[np.ndarray, np.ndarray], np.ndarray]


def outlined(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    drawn = np.dstack([image] * 3)
    drawn[(mask - cv2.erode(mask, np.ones((3, 3), np.uint8))) > 0] = (255, 0, 0)
    drawn[:3, :8] = (255, 255, 0)  # a word in a corner, on empty images too
    return drawn


def heat(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return cv2.applyColorMap(cv2.GaussianBlur(mask * 255, (0, 0), 9), cv2.COLORMAP_JET)


def blended(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return (np.dstack([image] * 3) // 2 + heat(image, mask) // 2).astype(np.uint8)


def regions(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Numbered as ISIC numbers superpixels: red, then green."""
    down, along = np.mgrid[: SHAPE[0], : SHAPE[1]] // 10
    number = down * 40 + along
    return np.dstack([number % 256, number // 256, 0 * number]).astype(np.uint8)


def small(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return cv2.resize(image, (SHAPE[1] // 2, SHAPE[0] // 2), interpolation=cv2.INTER_AREA)


def other(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The other side of the body."""
    return np.random.default_rng(0).permutation(image)


@pytest.mark.parametrize("make", [outlined, heat, blended, regions, small])
@pytest.mark.parametrize(
    "place", ["images/{}_shown.png", "images/shown_{}.png", "results/{}.png", "results/{}.bmp"]
)
def test_what_is_made_of_images_is_passed_over_and_told(
    tmp_path: Path, make: Make, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folders()(tmp_path)
    for name, pair in IMAGES.items():
        save(tmp_path / place.format(name), make(*pair))
    assert sorted(read(tmp_path)) == sorted(NAMES)
    told: list[str] = []
    load_settings(REPOSITORY / "config.yaml", [f"data={tmp_path}"], told.append)
    told.append(capsys.readouterr().out)
    assert "12 pictures that are made of images" in "".join(told)


def test_an_image_that_lacks_its_mask_stays_an_error(tmp_path: Path) -> None:
    folders()(tmp_path)
    for name, pair in IMAGES.items():
        save(tmp_path / "images" / f"{name}_left.png", other(*pair))
    with pytest.raises(InputError, match=r"12 images .*\n.*there is no mask of 11_left"):
        read(tmp_path)


def test_people_in_folders_are_no_copies_of_each_other(tmp_path: Path) -> None:
    folders("images/p{person}/{frame}.png", "masks/p{person}/{frame}.png")(tmp_path)
    (tmp_path / "masks" / "p2" / "1.png").unlink()
    with pytest.raises(InputError, match=r"1 images .*\n.*there is no mask of p2/1"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("TIF/Original/{}.tif", "TIF/Ground Truth/{}.tif"),
        ("BMP/Original/{}.bmp", "PNG/Ground Truth/{}.png"),
        ("PNG/Original/{}.jpg", "PNG/Ground Truth/{}.png"),
    ],
)
def test_the_same_pictures_in_another_format_count_once(
    tmp_path: Path, images: str, masks: str
) -> None:
    truth = folders("PNG/Original/{}.png", "PNG/Ground Truth/{}.png")(tmp_path)
    folders(images, masks)(tmp_path)
    found = read(tmp_path)
    assert found.keys() == truth.keys()
    assert all((found[name][0] == truth[name][0]).all() for name in NAMES)


def test_other_pictures_of_the_same_names_are_no_copies(tmp_path: Path) -> None:
    folders("a/{}.png", "a/{}_mask.png")(tmp_path)
    for name, (image, mask) in IMAGES.items():
        save(tmp_path / "b" / f"{name}.bmp", other(image, mask))
        save(tmp_path / "b" / f"{name}_mask.bmp", mask[::-1] * 255)
    assert len(read(tmp_path)) == 24
