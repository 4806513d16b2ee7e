"""Supervisely -> labels."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib.data.formats import supervisely
from lib.data.pictures.tree import tree_of
from tests.data.formats.pictures import (
    ANGLE,
    ANGLE_MASK,
    BOX,
    BOX_MASK,
    SHAPE,
    assert_error_of_a_alone,
    assert_mask,
    assert_two_classes,
    files_in,
    png,
    read,
    write_pictures,
)


def polygon(points: Any, label: str = "nerve", *holes: Any) -> dict[str, Any]:
    told = {"exterior": points, "interior": list(holes)}
    return {"classTitle": label, "geometryType": "polygon", "points": told, "tags": []}


def bitmap(mask: np.ndarray, left: int, top: int) -> dict[str, Any]:
    data = base64.b64encode(zlib.compress(png(mask))).decode()
    told = {"data": data, "origin": [left, top]}
    return {"classTitle": "nerve", "geometryType": "bitmap", "bitmap": told}


def write(root: Path, image: str, *objects: dict[str, Any], part: str = "ds0") -> Path:
    """The project's meta.json, the picture and its file."""
    write_pictures(root / part / "img", image)
    (root / "meta.json").write_text('{"classes": [{"title": "nerve"}], "tags": []}')
    (root / part / "ann").mkdir(exist_ok=True)
    size = {"height": SHAPE[0], "width": SHAPE[1]}
    content = {"description": "", "tags": [], "size": size, "objects": list(objects)}
    (root / part / "ann" / f"{image}.json").write_text(json.dumps(content))
    return root


def test_polygons_of_two_classes_and_an_image_without_any_are_read(tmp_path: Path) -> None:
    write(tmp_path, "a.png", polygon(ANGLE), polygon(BOX), polygon(BOX, "vessel"))
    write(tmp_path, "b.png")
    assert supervisely.find(tree_of(tmp_path)) == tmp_path
    assert_two_classes(read(supervisely, tmp_path))


def test_a_polygon_has_its_holes(tmp_path: Path) -> None:
    around = [(35.0, 15.0), (55.0, 15.0), (55.0, 30.0), (35.0, 30.0)]
    write(tmp_path, "a.png", polygon(around, "nerve", BOX))
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[15:30, 35:55] = 1
    assert_mask(read(supervisely, tmp_path).by_image["a.png"], mask - BOX_MASK)


@pytest.mark.parametrize(
    "drawn",
    [ANGLE_MASK > 0, ANGLE_MASK * 255, np.dstack([ANGLE_MASK * 0 + 9] * 3 + [ANGLE_MASK * 255])],
)
def test_a_bitmap_lies_where_its_origin_says(tmp_path: Path, drawn: np.ndarray) -> None:
    """Of one bit, of grey, or in its transparency."""
    write(tmp_path, "a.png", bitmap(drawn[4:36, 9:31], 9, 4))
    assert_mask(read(supervisely, tmp_path).by_image["a.png"], ANGLE_MASK)


def test_images_of_one_name_in_two_datasets_are_two(tmp_path: Path) -> None:
    write(tmp_path, "a.png", polygon(ANGLE))
    write(tmp_path, "a.png", polygon(BOX), part="ds1")
    files, labels = files_in(tmp_path), read(supervisely, tmp_path)
    found = {files[name].path.parts[-3]: label for name, label in labels.by_image.items()}
    assert_mask(found["ds0"], ANGLE_MASK)
    assert_mask(found["ds1"], BOX_MASK)


BROKEN = base64.b64encode(b"none").decode()
BAD: list[tuple[dict[str, Any], str]] = [
    ({**polygon(BOX), "geometryType": "rectangle"}, "a box is no mask"),
    ({**polygon(BOX), "geometryType": "line"}, "a line is no mask"),
    (bitmap(BOX_MASK, 5, 0), "leaves the image"),
    (bitmap(BOX_MASK, -1, 0), "leaves the image"),
    ({**bitmap(BOX_MASK, 0, 0), "bitmap": {"data": BROKEN, "origin": [0, 0]}}, "be unpacked"),
    ({"geometryType": "polygon", "points": {"exterior": ANGLE}}, "it lacks 'classTitle'"),
]


@pytest.mark.parametrize(("wrong", "complaint"), BAD)
def test_what_is_no_mask_is_the_error_of_its_image_alone(
    tmp_path: Path, wrong: dict[str, Any], complaint: str
) -> None:
    write(tmp_path, "a.png", wrong)
    write(tmp_path, "b.png", polygon(ANGLE))
    assert_error_of_a_alone(read(supervisely, tmp_path), complaint)
