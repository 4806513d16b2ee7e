"""LabelMe's files -> labels; LabelMe itself draws with Pillow."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lib.data.formats import labelme
from lib.data.pictures.tree import tree_of
from lib.runtime.errors import InputError
from tests.data.formats.pictures import (
    ANGLE,
    ANGLE_MASK,
    BOX,
    BOX_MASK,
    SHAPE,
    SLANTED,
    assert_error_of_a_alone,
    assert_mask,
    files_in,
    is_near,
    mask_of,
    png,
    read,
    write_pictures,
)


def shape(points: Any, kind: str | None = "polygon", label: str = "nerve") -> dict[str, Any]:
    told = {"label": label, "points": points, "group_id": None, "flags": {}}
    return told if kind is None else {**told, "shape_type": kind}


def write(root: Path, image: str, *shapes: dict[str, Any], **more: Any) -> Path:
    """The picture and its file, beside each other."""
    write_pictures(root, image)
    content: dict[str, Any] = {
        "version": "5.4.1",
        "flags": {},
        "imagePath": image,
        "imageData": None,
        "imageHeight": SHAPE[0],
        "imageWidth": SHAPE[1],
        "shapes": list(shapes),
    }
    path = root / f"{Path(image).stem}.json"
    path.write_text(json.dumps({**content, **more}))
    return path


def test_a_file_an_image_is_found_as_a_folder_and_read(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", shape(ANGLE), shape(BOX), shape(BOX, label="vessel"))
    write(tmp_path, "b.jpg")
    assert labelme.find(tree_of(tmp_path)) == tmp_path
    labels = read(labelme, tmp_path)
    assert labels.classes == ["nerve", "vessel"]
    assert list(labels.by_image) == ["a.jpg", "b.jpg"]
    assert_mask(labels.by_image["a.jpg"], ANGLE_MASK | BOX_MASK)
    assert_mask(labels.by_image["a.jpg"], BOX_MASK, "vessel")
    assert labels.by_image["b.jpg"].runs == {"nerve": [], "vessel": []}
    assert labels.by_image["b.jpg"].size == SHAPE


def test_a_polygon_is_as_labelme_draws_it_but_for_the_edge(tmp_path: Path) -> None:
    write(tmp_path, "a.png", shape(SLANTED))
    drawn = Image.new("L", SHAPE[::-1])
    ImageDraw.Draw(drawn).polygon(SLANTED, outline=1, fill=1)
    assert is_near(mask_of(read(labelme, tmp_path).by_image["a.png"]), np.asarray(drawn))


def test_a_circle_is_as_labelme_draws_it_but_for_the_edge(tmp_path: Path) -> None:
    write(tmp_path, "a.png", shape([[30, 20], [30, 31]], "circle"))
    drawn = Image.new("L", SHAPE[::-1])
    ImageDraw.Draw(drawn).ellipse([19, 9, 41, 31], outline=1, fill=1)
    assert is_near(mask_of(read(labelme, tmp_path).by_image["a.png"]), np.asarray(drawn))


def test_what_is_named_background_is_a_hole_in_what_was_drawn_before(tmp_path: Path) -> None:
    around = [(35, 15), (55, 15), (55, 30), (35, 30)]
    hole = shape(BOX, label="_background_")
    write(tmp_path, "a.png", shape(around), hole)
    write(tmp_path, "b.png", hole, shape(around))
    whole = np.zeros(SHAPE, dtype=np.uint8)
    whole[15:30, 35:55] = 1
    labels = read(labelme, tmp_path)
    assert labels.classes == ["nerve"]
    assert_mask(labels.by_image["a.png"], whole - BOX_MASK)
    assert_mask(labels.by_image["b.png"], whole)


def test_a_class_that_is_spelled_in_two_ways_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "a.png", shape(ANGLE, label="Nerve"), shape(BOX))
    write(tmp_path, "b.png", shape(ANGLE, label="nerve "))
    labels = read(labelme, tmp_path)
    assert labels.classes == ["nerve"]
    assert_mask(labels.by_image["a.png"], ANGLE_MASK | BOX_MASK)
    assert_mask(labels.by_image["b.png"], ANGLE_MASK)
    assert "Nerve and nerve are taken for one, nerve" in capsys.readouterr().out


def packed(mask: np.ndarray) -> str:
    return base64.b64encode(png(mask)).decode()


def test_a_mask_lies_where_its_box_says(tmp_path: Path) -> None:
    part = ANGLE_MASK[4:36, 9:31]
    write(tmp_path, "a.png", {**shape([[9, 4], [30, 35]], "mask"), "mask": packed(part)})
    assert_mask(read(labelme, tmp_path).by_image["a.png"], ANGLE_MASK)


def test_files_of_old_versions_tell_neither_kind_nor_size(tmp_path: Path) -> None:
    write(tmp_path, "a.png", shape(ANGLE, kind=None), imageHeight=None, imageWidth=None)
    label = read(labelme, tmp_path).by_image["a.png"]
    assert label.size == SHAPE
    assert_mask(label, ANGLE_MASK)


@pytest.mark.parametrize("told", ["../images/a.png", "..\\images\\a.png", "a.png", "D:\\x\\a.png"])
def test_the_picture_may_lie_in_another_folder(tmp_path: Path, told: str) -> None:
    write_pictures(tmp_path / "images", "a.png")
    path = write(tmp_path / "labels", "a.png", shape(ANGLE), imagePath=told)
    path.with_suffix(".png").unlink()
    assert_mask(read(labelme, tmp_path).by_image["a.png"], ANGLE_MASK)


def test_of_two_pictures_of_one_name_that_beside_the_file_is_meant(tmp_path: Path) -> None:
    write(tmp_path / "ann", "1.png", shape(ANGLE))
    write(tmp_path / "bob", "1.png", shape(BOX))
    files, labels = files_in(tmp_path), read(labelme, tmp_path)
    found = {files[name].path.parent.name: label for name, label in labels.by_image.items()}
    assert_mask(found["ann"], ANGLE_MASK)
    assert_mask(found["bob"], BOX_MASK)


BAD: list[tuple[dict[str, Any], str]] = [
    (shape([[1, 1], [9, 9]], "rectangle"), "a box, and a box is no mask"),
    (shape([[1, 1], [9, 9]], "linestrip"), "a linestrip is no mask"),
    (shape([[1, 1], [9, 9]]), "three points or more"),
    (shape([[1, 1], [9, 9], [999, 5]]), "999, 5 is far outside"),
    (shape([[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]), "shares of the image's size"),
    (shape([[1, 1]], "circle"), "not enough values"),
    ({**shape([[60, 4], [70, 9]], "mask"), "mask": packed(BOX_MASK)}, "its mask leaves the image"),
    ({**shape([[-9, 9], [-4, 9]], "mask"), "mask": packed(BOX_MASK[:5, :5])}, "leaves the image"),
    ({**shape([[0, 0], [9, 9]], "mask"), "mask": "bm9uZQ=="}, "its mask is no PNG"),
    ({"label": "nerve"}, "it lacks 'points'"),
]


@pytest.mark.parametrize(("wrong", "complaint"), BAD)
def test_what_is_no_outline_is_the_error_of_its_image_alone(
    tmp_path: Path, wrong: dict[str, Any], complaint: str
) -> None:
    write(tmp_path, "a.png", wrong)
    write(tmp_path, "b.png", shape(ANGLE))
    assert_error_of_a_alone(read(labelme, tmp_path), complaint)


def test_two_files_of_one_image_are_an_error(tmp_path: Path) -> None:
    write(tmp_path, "a.png", shape(ANGLE))
    (tmp_path / "copy.json").write_text((tmp_path / "a.json").read_text())
    assert "in two files" in read(labelme, tmp_path).by_image["a.png"].error


def test_a_file_that_broke_off_is_named(tmp_path: Path) -> None:
    """Its image would else count as never labelled."""
    write(tmp_path, "a.png", shape(ANGLE))
    path = write(tmp_path, "b.png", shape(ANGLE))
    path.write_text(path.read_text()[:-20])
    with pytest.raises(InputError, match=r"b\.json: not a JSON file"):
        read(labelme, tmp_path)


def test_an_image_that_is_not_there_keeps_the_name_that_labelme_gives_it(tmp_path: Path) -> None:
    write(tmp_path, "a.png", shape(ANGLE)).with_suffix(".png").unlink()
    assert list(read(labelme, tmp_path).by_image) == ["a.png"]
