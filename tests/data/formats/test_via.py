"""VGG Image Annotator -> labels."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib.config.fields import Config
from lib.data.formats import via
from lib.data.pictures.tree import tree_of
from lib.runtime.errors import InputError
from tests.data.formats.pictures import (
    ANGLE,
    ANGLE_MASK,
    BOX,
    BOX_MASK,
    SHAPE,
    disc,
    files_in,
    is_near,
    mask_of,
    read,
    write_pictures,
)


def region(shape: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    return {"shape_attributes": shape, "region_attributes": attributes}


def polygon(points: list[tuple[float, float]], **attributes: Any) -> dict[str, Any]:
    xs, ys = zip(*points, strict=True)
    return region({"name": "polygon", "all_points_x": xs, "all_points_y": ys}, **attributes)


def entries(**regions: Any) -> dict[str, Any]:
    """By the key that the tool makes of a name and the file's size."""
    return {
        f"{name}.png4711": {
            "filename": f"{name}.png",
            "size": 4711,
            "regions": its,
            "file_attributes": {},
        }
        for name, its in regions.items()
    }


def write(root: Path, content: Any, name: str = "via_project.json") -> Path:
    write_pictures(root / "images", "a.png", "b.png")
    (root / name).write_text(json.dumps(content))
    return root


def project(metadata: dict[str, Any]) -> dict[str, Any]:
    return {
        "_via_settings": {"project": {"name": "nerves"}},
        "_via_img_metadata": metadata,
        "_via_attributes": {"region": {"tissue": {"type": "dropdown"}}, "file": {}},
        "_via_data_format_version": "2.0.10",
    }


@pytest.mark.parametrize("wrapped", [project, dict])
def test_a_project_and_exported_regions_are_read(tmp_path: Path, wrapped: Any) -> None:
    marked = [polygon(ANGLE, tissue="nerve"), polygon(BOX, tissue="nerve")]
    marked.append(polygon(BOX, tissue="vessel"))
    write(tmp_path, wrapped(entries(a=marked, b=[])))
    assert via.find(tree_of(tmp_path)) == tmp_path / "via_project.json"
    labels = read(via, tmp_path)
    assert list(labels.by_image) == ["a.png", "b.png"]
    assert labels.classes == ["nerve", "vessel"]
    assert labels.by_image["a.png"].size == SHAPE
    assert np.array_equal(mask_of(labels.by_image["a.png"]), ANGLE_MASK | BOX_MASK)
    assert np.array_equal(mask_of(labels.by_image["a.png"], "vessel"), BOX_MASK)
    assert labels.by_image["b.png"].runs == {"nerve": [], "vessel": []}


@pytest.mark.parametrize("turned", [0, 40])
def test_an_ellipse_turns_clockwise_by_its_angle_in_radians(tmp_path: Path, turned: float) -> None:
    shape = {"name": "ellipse", "cx": 32, "cy": 24, "rx": 16, "ry": 8}
    write(tmp_path, entries(a=[region({**shape, "theta": math.radians(turned)})]))
    found = mask_of(read(via, tmp_path).by_image["a.png"])
    assert is_near(found, disc(32, 24, 16, 8, turned))


def test_a_circle_has_its_radius(tmp_path: Path) -> None:
    write(tmp_path, entries(a=[region({"name": "circle", "cx": 32, "cy": 24, "r": 11.5})]))
    found = mask_of(read(via, tmp_path).by_image["a.png"])
    assert is_near(found, disc(32, 24, 11.5, 11.5))


def test_regions_without_attributes_are_of_the_one_class(tmp_path: Path) -> None:
    write(tmp_path, entries(a=[polygon(ANGLE), {**polygon(BOX), "region_attributes": None}]))
    labels = read(via, tmp_path)
    assert labels.classes == ["nerve"]
    assert np.array_equal(mask_of(labels.by_image["a.png"]), ANGLE_MASK | BOX_MASK)


def test_the_regions_of_version_1_are_numbered(tmp_path: Path) -> None:
    write(tmp_path, entries(a={"0": polygon(ANGLE), "1": polygon(BOX)}))
    assert np.array_equal(mask_of(read(via, tmp_path).by_image["a.png"]), ANGLE_MASK | BOX_MASK)


def test_a_box_to_tick_may_name_several_classes(tmp_path: Path) -> None:
    write(tmp_path, entries(a=[polygon(ANGLE, is_a={"nerve": True, "plexus": True, "no": False})]))
    labels = read(via, tmp_path)
    assert labels.classes == ["nerve", "plexus"]
    assert np.array_equal(mask_of(labels.by_image["a.png"], "plexus"), ANGLE_MASK)


def test_of_several_attributes_the_setting_names_that_of_the_class(tmp_path: Path) -> None:
    write(tmp_path, entries(a=[polygon(ANGLE, tissue="nerve", certain="no")]))
    with pytest.raises(InputError, match="attributes certain, tissue: set class_name_column"):
        read(via, tmp_path)
    assert read(via, tmp_path, Config(class_name_column="tissue")).classes == ["nerve"]


BAD: list[tuple[dict[str, Any], str]] = [
    (region({"name": "rect", "x": 1, "y": 1, "width": 9, "height": 9}), "a box is no mask"),
    (region({"name": "polyline", "all_points_x": [1], "all_points_y": [1]}), "a polyline is no"),
    (polygon([(1, 1), (9, 9)]), "three points or more"),
    (polygon([(1, 1), (9, 9), (200, 9)]), "200, 9 is far outside"),
    (region({"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1]}), "is shorter"),
    (region({"name": "circle", "cx": 3}), "it lacks 'cy'"),
    ({"region_attributes": {}}, "it lacks 'shape_attributes'"),
]


@pytest.mark.parametrize(("wrong", "complaint"), BAD)
def test_what_is_no_outline_is_the_error_of_its_image_alone(
    tmp_path: Path, wrong: dict[str, Any], complaint: str
) -> None:
    write(tmp_path, entries(a=[wrong], b=[polygon(ANGLE)]))
    labels = read(via, tmp_path)
    assert complaint in labels.by_image["a.png"].error
    assert np.array_equal(mask_of(labels.by_image["b.png"]), ANGLE_MASK)


def test_an_image_that_is_not_there_is_named_and_no_more(tmp_path: Path) -> None:
    """Its size is not known, and whoever asked says that it is missing."""
    write(tmp_path, entries(none=[polygon(ANGLE)]))
    label = read(via, tmp_path).by_image["none.png"]
    assert (label.runs, label.error) == ({"nerve": []}, "")


def test_several_projects_are_read_together_and_an_image_in_two_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, project(entries(a=[polygon(ANGLE)])))
    write(tmp_path, project(entries(a=[], b=[])), "second.json")
    assert via.find(tree_of(tmp_path)) == tmp_path
    labels = read(via, tmp_path)
    assert "in two files" in labels.by_image["a.png"].error
    assert not labels.by_image["b.png"].error


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"filename": 3, "regions": []}, "other.json")
    assert via.find(tree_of(tmp_path)) is None
    with pytest.raises(InputError, match=r"other\.json: not a project or an export"):
        via.read(tmp_path / "other.json", files_in(tmp_path), Config())
