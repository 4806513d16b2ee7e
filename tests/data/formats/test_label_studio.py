"""Label Studio's export -> labels; its brush against bytes that Label Studio's own code wrote."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.data.formats import label_studio
from lib.data.formats.parts.brush import unpacked
from lib.data.pictures.tree import tree_of
from tests.data.formats.pictures import (
    ANGLE,
    ANGLE_MASK,
    BOX,
    SHAPE,
    assert_error_of_a_alone,
    assert_mask,
    assert_two_classes,
    disc,
    is_near,
    mask_of,
    png,
    read,
    write_pictures,
)

# Of the mask below, written by encode_rle of label-studio-sdk 2.1.2 (converter/brush.py).
PACKED = [0, 0, 0, 96, 57, 27, 254, 31, 0, 183, 255, 108, 2, 223, 252, 96, 17, 255, 225, 48, 0]
UNPACKED = [[0, 0, 0, 0, 0, 0], [0, 0, 1, 1, 1, 0], [0, 0, 1, 1, 1, 0], [1, 0, 0, 0, 0, 0]]


def percent(points: list[tuple[float, float]]) -> list[list[float]]:
    return [[100 * x / SHAPE[1], 100 * y / SHAPE[0]] for x, y in points]


def result(kind: str, value: dict[str, Any], label: str = "nerve", **more: Any) -> dict[str, Any]:
    return {
        "id": "x1",
        "type": f"{kind}labels",
        "value": {**value, f"{kind}labels": [label]},
        "original_width": SHAPE[1],
        "original_height": SHAPE[0],
        "image_rotation": 0,
        "from_name": "label",
        "to_name": "image",
        **more,
    }


def polygon(points: list[tuple[float, float]], label: str = "nerve", **more: Any) -> dict[str, Any]:
    return result("polygon", {"points": percent(points), "closed": True}, label, **more)


def annotation(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": 1, "result": list(results), "was_cancelled": False, **more}


def task(image: str, *annotations: dict[str, Any]) -> dict[str, Any]:
    return {"id": 1, "data": {"image": image}, "annotations": list(annotations), "predictions": []}


def write(root: Path, *tasks: dict[str, Any], name: str = "project-1.json") -> Path:
    write_pictures(root / "images", "a.png", "b.png", "c d.png")
    (root / name).write_text(json.dumps(tasks))
    return root


def test_polygons_of_two_classes_and_an_image_without_any_are_read(tmp_path: Path) -> None:
    marked = annotation(polygon(ANGLE), polygon(BOX), polygon(BOX, "vessel"))
    write(
        tmp_path,
        task("/data/upload/1/0123abcd-a.png", marked),
        task("/data/upload/1/89abcdef-b.png", annotation()),
    )
    assert label_studio.find(tree_of(tmp_path)) == tmp_path / "project-1.json"
    labels = read(label_studio, tmp_path)
    assert_two_classes(labels)


@pytest.mark.parametrize(
    "told",
    [
        "/data/local-files/?d=images/c%20d.png",
        "https://bucket.example/x/c%20d.png?signature=/a.png",
        "s3://bucket/images/c d.png",
        "https://host/storage-data/uploaded/?filepath=upload/1/0123abcd-c%20d.png",
        "/tasks/7/presign/?fileuri=czM6Ly9iL2ltYWdlcy9jIGQucG5n",  # s3://b/images/c d.png
        ["s3://bucket/images/c d.png"],
    ],
)
def test_the_name_is_found_in_an_address(tmp_path: Path, told: Any) -> None:
    write(tmp_path, {**task("", annotation()), "data": {"note": "see a.txt", "scan": told}})
    assert list(read(label_studio, tmp_path).by_image) == ["c d.png"]


def test_a_picture_that_is_not_there_gives_way_to_one_that_is(tmp_path: Path) -> None:
    data = {"heatmap": "/data/upload/1/a_heat.png", "image": "/data/upload/1/a.png"}
    write(tmp_path, {**task("", annotation(polygon(ANGLE))), "data": data})
    assert_mask(read(label_studio, tmp_path).by_image["a.png"], ANGLE_MASK)


def test_a_task_of_two_images_that_are_there_is_an_error(tmp_path: Path) -> None:
    data = {"image": "a.png", "other": "c d.png"}
    several = {**task("", annotation(polygon(BOX))), "data": data}
    write(tmp_path, several, task("b.png", annotation(polygon(ANGLE))))
    assert_error_of_a_alone(read(label_studio, tmp_path), "its task names c d.png too")


def test_the_oldest_files_call_annotations_completions(tmp_path: Path) -> None:
    old = {"id": 1, "data": {"image": "a.png"}}
    marked = {"id": 1, "result": [polygon(ANGLE)]}
    write(tmp_path, {**old, "completions": [{"result": [], "skipped": True}, marked]})
    assert_mask(read(label_studio, tmp_path).by_image["a.png"], ANGLE_MASK)


def bitmask(drawn: np.ndarray) -> dict[str, Any]:
    data = base64.b64encode(png(drawn)).decode()
    return result("bitmask", {"imageDataURL": f"data:image/png;base64,{data}"})


def test_a_bitmask_is_where_its_picture_is_not_transparent(tmp_path: Path) -> None:
    clear = np.dstack([ANGLE_MASK * 0 + 9] * 3 + [ANGLE_MASK * 255])
    write(tmp_path, task("a.png", annotation(bitmask(clear))))
    assert_mask(read(label_studio, tmp_path).by_image["a.png"], ANGLE_MASK)


@pytest.mark.parametrize("turned", [0, 40])
def test_an_ellipse_has_its_centre_and_turns_clockwise(tmp_path: Path, turned: float) -> None:
    about = {"x": 50, "y": 50, "radiusX": 25, "radiusY": 20, "rotation": turned}
    write(tmp_path, task("a.png", annotation(result("ellipse", about))))
    found = mask_of(read(label_studio, tmp_path).by_image["a.png"])
    assert is_near(found, disc(32, 24, 16, 9.6, turned))


def test_the_bytes_of_label_studios_own_encoder_are_unpacked() -> None:
    assert unpacked(PACKED, (4, 6)).tolist() == UNPACKED


def packed(values: list[int], counts: tuple[int, ...], runs: bool) -> list[int]:
    """As the format's description has it: every block of the first width that holds its count."""
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{width - 1:04b}" for width in counts)
    done = 0
    while done < len(values):
        same = done
        while same < len(values) and values[same] == values[done]:
            same += 1
        end = min(same if runs else done + 5, len(values), done + 2 ** counts[-1])
        which = next(k for k, width in enumerate(counts) if end - done <= 2**width)
        bits += f"{int(runs)}{which:02b}{end - done - 1:0{counts[which]}b}"
        bits += "".join(f"{value:08b}" for value in ([values[done]] if runs else values[done:end]))
        done = end
    bits += "0" * (-len(bits) % 8)
    return [int(bits[k : k + 8], 2) for k in range(0, len(bits), 8)]


@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([(3, 4, 8, 16), (1, 2, 3, 4)]))
def test_any_paint_comes_back(seed: int, runs: bool, counts: tuple[int, ...]) -> None:
    random = np.random.default_rng(seed)
    size = (int(random.integers(1, 9)), int(random.integers(1, 9)))
    paint = random.choice([0, 127, 128, 255], (*size, 4), p=[0.4, 0.1, 0.1, 0.4])
    found = unpacked(packed(paint.ravel().tolist(), counts, runs), size)
    assert np.array_equal(found, paint[..., 3] >= 128)


def test_what_the_brush_painted_is_the_mask(tmp_path: Path) -> None:
    paint = np.repeat(ANGLE_MASK[..., None] * 255, 4, axis=2).ravel().tolist()
    painted = result("brush", {"format": "rle", "rle": packed(paint, (3, 4, 8, 16), True)})
    write(tmp_path, task("a.png", annotation(painted)))
    assert_mask(read(label_studio, tmp_path).by_image["a.png"], ANGLE_MASK)


def test_a_class_may_stand_in_a_result_of_its_own(tmp_path: Path) -> None:
    """As it does where the page has Polygon and Labels, in place of PolygonLabels."""
    drawn = {**polygon(ANGLE), "type": "polygon", "value": {"points": percent(ANGLE)}}
    named = {**drawn, "type": "labels", "value": {"points": percent(ANGLE), "labels": ["plexus"]}}
    write(tmp_path, task("a.png", annotation(drawn, named)))
    labels = read(label_studio, tmp_path)
    assert labels.classes == ["plexus"]
    assert_mask(labels.by_image["a.png"], ANGLE_MASK, "plexus")


def test_an_outline_without_a_class_is_of_the_only_one_or_an_error(tmp_path: Path) -> None:
    nameless = {**polygon(ANGLE, id="x2"), "value": {"points": percent(ANGLE)}}
    one, two = tmp_path / "one", tmp_path / "two"
    write(one, task("a.png", annotation(nameless)))
    write(two, task("a.png", annotation(nameless, polygon(BOX), polygon(BOX, "vessel"))))
    assert_mask(read(label_studio, one).by_image["a.png"], ANGLE_MASK)
    assert "outline without a class" in read(label_studio, two).by_image["a.png"].error


def test_what_is_told_of_the_whole_image_is_no_outline(tmp_path: Path) -> None:
    choice = {"id": "q", "type": "choices", "value": {"choices": ["blurred"]}}
    relation = {"type": "relation", "from_id": "x1", "to_id": "x2", "direction": "right"}
    write(tmp_path, task("a.png", annotation(choice, relation, polygon(ANGLE))))
    labels = read(label_studio, tmp_path)
    assert labels.classes == ["nerve"]
    assert_mask(labels.by_image["a.png"], ANGLE_MASK)


def test_the_annotation_that_is_ground_truth_counts_and_a_cancelled_one_does_not(
    tmp_path: Path,
) -> None:
    cancelled = annotation(polygon(BOX), was_cancelled=True)
    true = annotation(polygon(ANGLE), ground_truth=True)
    write(
        tmp_path,
        task("a.png", cancelled, annotation(polygon(ANGLE))),
        task("b.png", annotation(polygon(BOX)), true),
    )
    labels = read(label_studio, tmp_path)
    for name in ("a.png", "b.png"):
        assert_mask(labels.by_image[name], ANGLE_MASK)


BAD: list[tuple[list[dict[str, Any]], str]] = [
    ([], "was never annotated"),
    ([annotation(polygon(ANGLE), was_cancelled=True)], "was never annotated"),
    ([annotation(polygon(ANGLE)), annotation(polygon(BOX))], "has 2 annotations"),
    (
        [annotation(result("rectangle", {"x": 1, "y": 1, "width": 9, "height": 9}))],
        "a box, and a box is no mask",
    ),
    ([annotation(result("keypoint", {"x": 1, "y": 1}))], "a keypoint is no mask"),
    ([annotation(polygon(ANGLE, image_rotation=90))], "a turned picture"),
    ([annotation(polygon(ANGLE), polygon(BOX, original_width=65))], "of another size"),
    ([annotation(polygon([(1, 1), (9, 9)]))], "three points or more"),
    ([annotation(polygon([(1, 1), (9, 9), (200, 9)]))], "is far outside of the image"),
    ([annotation(result("polygon", {}))], "it lacks 'points'"),
    ([annotation(polygon(ANGLE, item_index=1))], "the second of several pictures"),
    ([annotation(bitmask(ANGLE_MASK[1:]))], "its mask has"),
    ([annotation(result("brush", {"rle": PACKED}))], "96 values of 8 bits, not RGBA"),
    ([annotation(result("brush", {"rle": []}))], "end too early"),
    ([annotation(result("brush", {"rle": [300]}))], "must be in range"),
]


@pytest.mark.parametrize(("annotations", "complaint"), BAD)
def test_what_is_no_mask_is_the_error_of_its_image_alone(
    tmp_path: Path, annotations: list[dict[str, Any]], complaint: str
) -> None:
    write(tmp_path, task("a.png", *annotations), task("b.png", annotation(polygon(ANGLE))))
    assert_error_of_a_alone(read(label_studio, tmp_path), complaint)


@pytest.mark.parametrize("cut", range(1, len(PACKED) - 1))
def test_bytes_that_break_off_are_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="end too early"):
        unpacked(PACKED[:cut], (4, 6))


def test_bytes_that_go_beyond_the_image_are_refused() -> None:
    bits = f"{4:032b}{7:05b}{15:04b}{15:04b}{15:04b}{15:04b}1{0:02b}{99:016b}{255:08b}"
    bits += "0" * (-len(bits) % 8)
    with pytest.raises(ValueError, match="beyond the image"):
        unpacked([int(bits[k : k + 8], 2) for k in range(0, len(bits), 8)], (1, 1))


def test_several_exports_are_read_together_and_a_task_in_two_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, task("a.png", annotation()), task("b.png", annotation()))
    write(tmp_path, task("b.png", annotation(polygon(ANGLE))), name="project-2.json")
    assert label_studio.find(tree_of(tmp_path)) == tmp_path
    labels = read(label_studio, tmp_path)
    assert list(labels.by_image) == ["a.png", "b.png"]
    assert "in two files" in labels.by_image["b.png"].error
