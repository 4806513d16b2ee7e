"""Label Studio's JSON-MIN and CSV, which hold what the full JSON of the same marks does."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib.data.formats import label_studio_min
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
    is_near,
    mask_of,
    read,
    write_pictures,
)
from tests.data.formats.test_label_studio import PACKED, UNPACKED, percent

Value = dict[str, Any]


def value(kind: str, label: str = "nerve", **shape: Any) -> Value:
    size = {"original_width": SHAPE[1], "original_height": SHAPE[0]}
    return {**shape, f"{kind}labels": [label], **size}


def polygon(points: list[tuple[float, float]], label: str = "nerve") -> Value:
    return value("polygon", label, points=percent(points), closed=True)


def row(image: str, **controls: Any) -> Value:
    """As the tool writes an annotation; a control without marks is not there."""
    told = {"annotator": 1, "annotation_id": 1, "created_at": "2026-01-02", "lead_time": 3.5}
    return {"image": f"/data/upload/1/0123abcd-{image}", "id": 1, **controls, **told}


def write(root: Path, *rows: Value, name: str = "project-min.json") -> Path:
    write_pictures(root / "images", "a.png", "b.png")
    path = root / name
    if path.suffix == ".json":
        path.write_text(json.dumps(rows))
        return root
    keys = sorted({key for row in rows for key in row})
    with path.open("w", encoding="utf8", newline="") as file:
        writer = csv.DictWriter(file, keys, quoting=csv.QUOTE_NONNUMERIC)
        writer.writeheader()
        for one in rows:
            texts = {key: json.dumps(v) for key, v in one.items() if isinstance(v, list)}
            writer.writerow(one | texts)
    return root


@pytest.mark.parametrize("name", ["project-min.json", "project.csv"])
def test_polygons_of_two_classes_and_an_image_without_any_are_read(
    tmp_path: Path, name: str
) -> None:
    marked = [polygon(ANGLE), polygon(BOX), polygon(BOX, "vessel")]
    write(tmp_path, row("a.png", tag=marked, quality="good"), row("b.png"), name=name)
    assert label_studio_min.find(tree_of(tmp_path)) == tmp_path / name
    assert_two_classes(read(label_studio_min, tmp_path))


def test_an_ellipse_and_paint_are_told_by_what_they_hold(tmp_path: Path) -> None:
    about: Value = {"x": 50, "y": 50, "radiusX": 25, "radiusY": 20, "rotation": 40}
    paint = {**value("brush", format="rle", rle=PACKED), "original_width": 6, "original_height": 4}
    write(tmp_path, row("a.png", tag=[value("ellipse", **about)]), row("b.png", tag=[paint]))
    labels = read(label_studio_min, tmp_path)
    assert is_near(mask_of(labels.by_image["a.png"]), disc(32, 24, 16, 9.6, 40))
    assert_mask(labels.by_image["b.png"], np.array(UNPACKED))


def test_a_control_that_names_shapes_of_another_draws_them_once(tmp_path: Path) -> None:
    shape = {key: told for key, told in polygon(ANGLE).items() if key != "polygonlabels"}
    named = [{**shape, "labels": ["plexus"]}, polygon(BOX, "vessel")]
    write(tmp_path, row("a.png", label=named, shape=[shape]))
    labels = read(label_studio_min, tmp_path)
    assert labels.classes == ["plexus", "vessel"]
    assert_mask(labels.by_image["a.png"], ANGLE_MASK, "plexus")


def test_what_is_told_of_the_whole_image_is_no_outline(tmp_path: Path) -> None:
    size = {"original_width": SHAPE[1], "original_height": SHAPE[0]}
    whole = {
        "quality": {"choices": ["a", "b"]},
        "notes": [{"text": ["a", "b"], "textarea": 1, **size}],
    }
    write(tmp_path, row("a.png", tag=[polygon(BOX)], **whole))
    assert_mask(read(label_studio_min, tmp_path).by_image["a.png"], BOX_MASK)


BAD: list[tuple[list[Value], str]] = [
    ([value("rectangle", x=1, y=1, width=9, height=9)], "a box or point is no mask"),
    ([polygon([(1, 1), (9, 9)])], "three points or more"),
    ([polygon(ANGLE), {**polygon(BOX), "original_width": 65}], "of another size"),
]


@pytest.mark.parametrize(("marks", "complaint"), BAD)
def test_what_is_no_mask_is_the_error_of_its_image_alone(
    tmp_path: Path, marks: list[Value], complaint: str
) -> None:
    write(tmp_path, row("a.png", tag=marks), row("b.png", tag=[polygon(ANGLE)]))
    assert_error_of_a_alone(read(label_studio_min, tmp_path), complaint)


def test_two_annotations_of_an_image_are_an_error(tmp_path: Path) -> None:
    rows = [row("a.png", tag=[polygon(BOX)]), row("a.png"), row("b.png", tag=[polygon(ANGLE)])]
    write(tmp_path, *rows)
    assert_error_of_a_alone(read(label_studio_min, tmp_path), "has several annotations")


@pytest.mark.parametrize("name", ["project-min.json", "project.csv"])
def test_a_task_without_an_annotation_is_no_empty_mask(tmp_path: Path, name: str) -> None:
    never = {**row("a.png"), "annotation_id": None}
    write(tmp_path, never, row("b.png", tag=[polygon(ANGLE)]), name=name)
    assert_error_of_a_alone(read(label_studio_min, tmp_path), "was never annotated")


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('[{"annotation_id": 1}]')
    assert label_studio_min.find(tree_of(tmp_path)) is None
    with pytest.raises(InputError, match=r"other\.json: not Label Studio's JSON-MIN"):
        label_studio_min.read(tmp_path / "other.json", {}, None)  # type: ignore[arg-type]
