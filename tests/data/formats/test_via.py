"""VGG Image Annotator -> labels."""

import csv
import json
import math
from pathlib import Path
from typing import Any

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
    assert_error_of_a_alone,
    assert_mask,
    assert_two_classes,
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
    assert labels.by_image["a.png"].size == SHAPE
    assert_two_classes(labels)


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
    assert_mask(labels.by_image["a.png"], ANGLE_MASK | BOX_MASK)


def test_the_regions_of_version_1_are_numbered(tmp_path: Path) -> None:
    write(tmp_path, entries(a={"0": polygon(ANGLE), "1": polygon(BOX)}))
    assert_mask(read(via, tmp_path).by_image["a.png"], ANGLE_MASK | BOX_MASK)


def test_a_box_to_tick_may_name_several_classes(tmp_path: Path) -> None:
    write(tmp_path, entries(a=[polygon(ANGLE, is_a={"nerve": True, "plexus": True, "no": False})]))
    labels = read(via, tmp_path)
    assert labels.classes == ["nerve", "plexus"]
    assert_mask(labels.by_image["a.png"], ANGLE_MASK, "plexus")


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
    assert_error_of_a_alone(read(via, tmp_path), complaint)


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


def write_table(root: Path, **regions: Any) -> Path:
    """As the tool exports CSV: a row a region, or one with an empty shape."""
    write_pictures(root / "images", "a.png", "b.png")
    rows = [["filename", "file_size", "file_attributes", "region_count", "region_id"]]
    rows[0] += ["region_shape_attributes", "region_attributes"]
    for name, its in regions.items():
        for number, one in enumerate(its or [region({})]):
            told = [json.dumps(one[key]) for key in ("shape_attributes", "region_attributes")]
            rows.append([f"{name}.png", "4711", "{}", str(len(its)), str(number), *told])
    with (root / "via_export.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return root


def project_3(**regions: list[tuple[list[float], dict[str, str]]]) -> dict[str, Any]:
    """By version 3: numbers of shapes and options, the files apart from what is marked in them."""
    numbered = {str(k): name for k, name in enumerate(regions, 1)}
    files = {k: {"fid": k, "fname": f"{name}.png", "type": 2} for k, name in numbered.items()}
    options = {"0": "nerve", "1": "vessel"}
    marks = [
        {"vid": k, "flg": 0, "z": [], "xy": xy, "av": av}
        for k, name in numbered.items()
        for xy, av in regions[name]
    ]
    return {
        "project": {"pname": "nerves", "data_format_version": "3.1.1", "vid_list": list(numbered)},
        "attribute": {
            "1": {"aname": "tissue", "anchor_id": "FILE1_Z0_XY1", "type": 4, "options": options},
            "2": {"aname": "is_a", "anchor_id": "FILE1_Z0_XY1", "type": 2, "options": options},
        },
        "file": files,
        "view": {k: {"fid_list": [k]} for k in files},
        "metadata": {f"m{k}": mark for k, mark in enumerate(marks)},
    }


def numbers(points: list[tuple[float, float]]) -> list[float]:
    return [7, *(value for point in points for value in point)]


def test_regions_exported_as_a_table_are_read(tmp_path: Path) -> None:
    marked = [polygon(ANGLE, tissue="nerve"), polygon(BOX, tissue="nerve")]
    write_table(tmp_path, a=[*marked, polygon(BOX, tissue="vessel")], b=[])
    assert via.find(tree_of(tmp_path)) == tmp_path / "via_export.csv"
    assert_two_classes(read(via, tmp_path))


def test_a_cell_of_a_table_that_broke_off_is_named(tmp_path: Path) -> None:
    path = write_table(tmp_path, a=[polygon(ANGLE)]) / "via_export.csv"
    path.write_text(path.read_text().replace("]}", ""))
    with pytest.raises(InputError, match=r"via_export\.csv: a cell holds .* and no JSON"):
        read(via, tmp_path)


def test_a_project_of_version_3_is_read(tmp_path: Path) -> None:
    nerve, vessel = {"1": "0"}, {"1": "1"}
    marked = [(numbers(ANGLE), nerve), (numbers(BOX), nerve), (numbers(BOX), vessel)]
    write(tmp_path, project_3(a=[*marked, ([], nerve)], b=[]))
    assert_two_classes(read(via, tmp_path))


def test_ticked_options_of_version_3_are_classes(tmp_path: Path) -> None:
    write(tmp_path, project_3(a=[(numbers(ANGLE), {"2": "0,1"})]))
    labels = read(via, tmp_path)
    assert labels.classes == ["nerve", "vessel"]
    assert_mask(labels.by_image["a.png"], ANGLE_MASK, "vessel")


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ([3, 32, 24, 11.5], {"name": "circle", "cx": 32, "cy": 24, "r": 11.5}),
        ([4, 32, 24, 16, 8], {"name": "ellipse", "cx": 32, "cy": 24, "rx": 16, "ry": 8}),
    ],
)
def test_round_shapes_of_version_3_are_those_of_version_2(
    tmp_path: Path, shape: list[float], told: dict[str, Any]
) -> None:
    third, second = tmp_path / "3", tmp_path / "2"
    write(third, project_3(a=[(shape, {})]))
    write(second, entries(a=[region(told)]))
    expected = mask_of(read(via, second).by_image["a.png"])
    assert expected.any()
    assert_mask(read(via, third).by_image["a.png"], expected)


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [([2, 1, 1, 9, 9], "a box is no mask"), ([6, 1, 1, 9, 9], "line is no"), ([7, 1, 1], "three")],
)
def test_what_is_no_outline_in_version_3_is_the_error_of_its_image_alone(
    tmp_path: Path, shape: list[float], complaint: str
) -> None:
    write(tmp_path, project_3(a=[(shape, {})], b=[(numbers(ANGLE), {})]))
    assert_error_of_a_alone(read(via, tmp_path), complaint)


def test_a_video_of_version_3_and_a_broken_project_are_named(tmp_path: Path) -> None:
    content = project_3(a=[(numbers(ANGLE), {})])
    content["metadata"]["m0"]["z"] = [1.5]
    write(tmp_path, content)
    with pytest.raises(InputError, match="holds marks in a video"):
        read(via, tmp_path)
    content["view"]["1"]["fid_list"] = ["9"]
    write(tmp_path, content)
    with pytest.raises(InputError, match="not a project as VIA 3 writes it"):
        read(via, tmp_path)
