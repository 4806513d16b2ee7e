"""Pictures to label, and what a reader makes of a tool's file about them."""

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from lib import rle
from lib.config.fields import Config
from lib.data.formats import Format
from lib.data.label import Label, Labels
from lib.data.pictures.arrays import PICTURE_SUFFIXES, ImageFile
from lib.data.pictures.tree import tree_of

SHAPE = (48, 64)
NEXT = np.ones((3, 3), dtype=np.uint8)
# An outline of right angles at whole pixels, and exactly the pixels inside it.
ANGLE = [(10.0, 5.0), (30.0, 5.0), (30.0, 15.0), (20.0, 15.0), (20.0, 35.0), (10.0, 35.0)]
ANGLE_MASK = np.zeros(SHAPE, dtype=np.uint8)
ANGLE_MASK[5:15, 10:30] = 1
ANGLE_MASK[15:35, 10:20] = 1
# One of no right angle, to be drawn by another library.
SLANTED = [(20.3, 8.2), (44.9, 12.6), (50.4, 30.1), (33.7, 40.8), (12.1, 27.5)]
BOX = [(40.0, 20.0), (50.0, 20.0), (50.0, 26.0), (40.0, 26.0)]
BOX_MASK = np.zeros(SHAPE, dtype=np.uint8)
BOX_MASK[20:26, 40:50] = 1


def write_pictures(folder: Path, *names: str, shape: tuple[int, int] = SHAPE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        cv2.imwrite(str(folder / name), np.full(shape, 9, dtype=np.uint8))
    return folder


def files_in(root: Path) -> dict[str, ImageFile]:
    """All pictures by name and by path below the root, each with and without its suffix."""
    files: dict[str, ImageFile] = {}
    for path in tree_of(root).files:
        if path.suffix in PICTURE_SUFFIXES:
            inner = path.relative_to(root)
            names = [path.name, path.stem, inner.as_posix(), inner.with_suffix("").as_posix()]
            files |= dict.fromkeys(names, ImageFile(path))
    return files


def read(reader: Format, root: Path, config: Config | None = None) -> Labels:
    """As a caller does: what the reader finds in the folder, it reads."""
    found = reader.find(tree_of(root))
    assert found is not None
    return reader.read(found, files_in(root), config or Config())


def mask_of(label: Label, name: str = "nerve") -> np.ndarray:
    assert not label.error
    assert label.ours
    mask = np.zeros(label.size or (0, 0), dtype=np.uint8)
    for text in label.runs[name]:
        mask |= rle.decode(text, mask.shape)
    return mask


def is_near(mask: np.ndarray, other: np.ndarray, pixels: int = 1) -> bool:
    """They differ only in as many pixels beside the outline of the other."""
    inside = cv2.erode(other, NEXT, iterations=pixels)
    around = cv2.dilate(other, NEXT, iterations=pixels)
    return bool(inside.any() and (inside <= mask).all() and (mask <= around).all())


def disc(x: float, y: float, radius_x: float, radius_y: float, turned: float = 0) -> np.ndarray:
    """By the formula of the ellipse, at the centres of the pixels; `turned` clockwise, degrees."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
    turn = np.deg2rad(turned)
    along = (columns - x) * np.cos(turn) + (rows - y) * np.sin(turn)
    across = (rows - y) * np.cos(turn) - (columns - x) * np.sin(turn)
    return ((along / radius_x) ** 2 + (across / radius_y) ** 2 <= 1).astype(np.uint8)


def assert_mask(label: Label, mask: np.ndarray, name: str = "nerve") -> None:
    assert np.array_equal(mask_of(label, name), mask)


def assert_two_classes(labels: Labels, *names: str) -> None:
    """The first image has the angle and the box as nerve, the box as vessel; the second nothing."""
    first, second = names or ("a.png", "b.png")
    assert list(labels.by_image) == [first, second]
    assert labels.classes == ["nerve", "vessel"]
    assert_mask(labels.by_image[first], ANGLE_MASK | BOX_MASK)
    assert_mask(labels.by_image[first], BOX_MASK, "vessel")
    assert labels.by_image[second].runs == {"nerve": [], "vessel": []}
    assert not labels.by_image[second].error


def assert_error_of_a_alone(labels: Labels, complaint: str) -> None:
    """And b.png has the angle; of complaints divided by | one is enough."""
    error = labels.by_image["a.png"].error
    assert any(words in error for words in complaint.split("|")), error
    assert_mask(labels.by_image["b.png"], ANGLE_MASK)


def png(mask: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    return file.getvalue()
