"""COCO, as several tools write it; single files of all kinds are in tests/data/test_labels.py."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from lib.config.fields import Config
from lib.data.formats import coco
from lib.data.pictures.tree import tree_of
from lib.runtime.errors import InputError
from tests.data.formats.pictures import (
    ANGLE,
    ANGLE_MASK,
    BOX,
    BOX_MASK,
    SHAPE,
    SLANTED,
    assert_mask,
    files_in,
    mask_of,
    read,
    write_pictures,
)

NERVE, VESSEL = {"id": 1, "name": "nerve"}, {"id": 2, "name": "vessel"}


def flat(points: list[tuple[float, float]]) -> list[float]:
    return [value for point in points for value in point]


def image(number: int | str, name: str, **more: Any) -> dict[str, Any]:
    return {"id": number, "file_name": name, "height": SHAPE[0], "width": SHAPE[1], **more}


def marked(
    number: int | str, segmentation: Any, category: int | str = 1, **more: Any
) -> dict[str, Any]:
    return {"image_id": number, "category_id": category, "segmentation": segmentation, **more}


def write(path: Path, images: Any, annotations: Any, categories: Any = (NERVE, VESSEL)) -> Path:
    content = {"images": images, "annotations": annotations, "categories": categories}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def label_of(root: Path, *annotations: dict[str, Any]) -> Any:
    """What becomes of the annotations of the image 1, beside an image that is as it should be."""
    write_pictures(root / "images", "a.png", "b.png")
    images = [image(1, "a.png"), image(2, "b.png")]
    write(root / "labels.json", images, [*annotations, marked(2, [flat(BOX)])])
    labels = read(coco, root)
    assert_mask(labels.by_image["b.png"], BOX_MASK)
    return labels.by_image["a.png"]


def test_one_file_is_found_and_its_polygons_are_those_of_cocos_own_library(tmp_path: Path) -> None:
    write_pictures(tmp_path / "images", "a.png")
    annotation = marked(1, [flat(SLANTED), flat(BOX)], id=5, area=1000, bbox=[12, 8, 38, 33])
    path = write(tmp_path / "labels.json", [image(1, "a.png")], [annotation])
    assert coco.find(tree_of(tmp_path)) == path
    its = COCO(path)
    found = mask_of(read(coco, tmp_path).by_image["a.png"])
    assert np.array_equal(found, its.annToMask(its.anns[5]))


def test_splits_are_read_together_and_their_categories_are_joined_by_name(tmp_path: Path) -> None:
    """As Roboflow has them: a file a split, and an unused category over all."""
    over_all = {"id": 0, "name": "tissues", "supercategory": "none"}
    for part, points, area, number in (("train", ANGLE, 400, 1), ("valid", BOX, 60, 7)):
        write_pictures(tmp_path / part, f"{part}.jpg")
        annotation = marked(0, [flat(points)], number, bbox=[0, 0, 1, 1], area=area)
        categories = [over_all, {"id": number, "name": "nerve", "supercategory": "tissues"}]
        path = tmp_path / part / "_annotations.coco.json"
        write(path, [image(0, f"{part}.jpg")], [annotation], categories)
    assert coco.find(tree_of(tmp_path)) == tmp_path
    labels = read(coco, tmp_path)
    assert labels.classes == ["nerve"]
    assert_mask(labels.by_image["train.jpg"], ANGLE_MASK)
    assert_mask(labels.by_image["valid.jpg"], BOX_MASK)


def test_images_of_one_name_in_two_splits_are_two(tmp_path: Path) -> None:
    for part, points in (("train", ANGLE), ("valid", BOX)):
        write_pictures(tmp_path / part, "a.jpg")
        path = tmp_path / part / "_annotations.coco.json"
        write(path, [image(0, "a.jpg")], [marked(0, [flat(points)])])
    files = files_in(tmp_path)
    found = read(coco, tmp_path).by_image
    assert len(found) == 2
    for name, label in found.items():
        expected = ANGLE_MASK if files[name].path.parent.name == "train" else BOX_MASK
        assert np.array_equal(mask_of(label), expected)


def test_an_image_in_two_files_is_an_error(tmp_path: Path) -> None:
    write_pictures(tmp_path / "images", "a.png")
    for part in ("train", "val"):
        path = tmp_path / "annotations" / f"instances_{part}.json"
        write(path, [image(1, "a.png")], [marked(1, [flat(BOX)])])
    assert "in two files" in read(coco, tmp_path).by_image["a.png"].error


@pytest.mark.parametrize("told", ["images\\a.png", "images/a.png", "C:\\me\\a.png", "a.png"])
def test_a_file_name_may_be_a_path(tmp_path: Path, told: str) -> None:
    write_pictures(tmp_path / "images", "a.png")
    write(tmp_path / "labels.json", [image(1, told)], [marked(1, [flat(ANGLE)])])
    assert_mask(read(coco, tmp_path).by_image["a.png"], ANGLE_MASK)


def test_ids_are_the_same_as_texts_and_as_numbers(tmp_path: Path) -> None:
    write_pictures(tmp_path / "images", "a.png")
    write(tmp_path / "labels.json", [image("1", "a.png")], [marked(1, [flat(ANGLE)], "1")])
    assert_mask(read(coco, tmp_path).by_image["a.png"], ANGLE_MASK)


def test_two_images_or_categories_of_one_id_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "x.json", [image(1, "a.png"), image("1", "b.png")], [])
    with pytest.raises(InputError, match="two of images have the id 1"):
        coco.read(path, {}, Config())
    path = write(tmp_path / "x.json", [], [], [NERVE, {**VESSEL, "id": 1}])
    with pytest.raises(InputError, match="two of categories have the id 1"):
        coco.read(path, {}, Config())


@pytest.mark.parametrize(
    "segmentation", [flat(ANGLE), [flat(ANGLE)], [[list(point) for point in ANGLE]]]
)
def test_a_polygon_may_be_written_without_its_list_or_in_pairs(
    tmp_path: Path, segmentation: Any
) -> None:
    assert_mask(label_of(tmp_path, marked(1, segmentation)), ANGLE_MASK)


@pytest.mark.parametrize("name", ["background", "Background "])
def test_the_background_is_told_and_is_no_class(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(tmp_path, "a.png")
    annotations = [marked(1, [flat(BOX)], 0), marked(1, [flat(ANGLE)])]
    path = tmp_path / "labels.json"
    write(path, [image(1, "a.png")], annotations, [{"id": 0, "name": name}, NERVE])
    labels = read(coco, tmp_path)
    assert labels.classes == ["nerve"]
    assert_mask(labels.by_image["a.png"], ANGLE_MASK)
    assert "1 annotations are of the background" in capsys.readouterr().out


@pytest.mark.parametrize("segmentation", [[], {}, None])
def test_a_box_without_an_outline_is_no_empty_mask(tmp_path: Path, segmentation: Any) -> None:
    annotation = marked(1, segmentation, bbox=[10, 10, 20, 20], area=400)
    assert "a box is no mask" in label_of(tmp_path, annotation).error


def test_a_box_without_the_key_of_an_outline_is_no_empty_mask(tmp_path: Path) -> None:
    annotation = marked(1, None, bbox=[10, 10, 20, 20])
    del annotation["segmentation"]
    assert "a box is no mask" in label_of(tmp_path, annotation).error


@pytest.mark.parametrize("box", [[], [0, 0, 0, 0], None])
def test_neither_box_nor_outline_is_an_empty_mask(tmp_path: Path, box: Any) -> None:
    assert not mask_of(label_of(tmp_path, marked(1, [], bbox=box, area=0))).any()


AREA = int(ANGLE_MASK.sum())
INNER = [12, 8, 18, 8, 18, 18, 12, 18]  # 60 pixels
HALF = [[value / 2 for value in flat(ANGLE)]]
AS_TOLD: list[dict[str, Any]] = [
    {},
    {"area": AREA, "bbox": [10, 5, 20, 30]},
    {"area": 0, "bbox": [0, 0, 0, 0]},
    {"area": None, "bbox": None},
    {"area": AREA, "bbox": [0, 0, 1, 1]},
    {"area": AREA, "bbox": [40, 40, 10, 10]},  # less than half of the area: nobody's box
    {"area": 600, "bbox": [10, 5, 20, 30]},  # the bbox's size
    {"area": AREA * 2, "bbox": []},
    {"area": AREA / 2, "bbox": []},
    {"area": 10, "bbox": [30, 30, 3, 9]},  # too small to judge by
]


@pytest.mark.parametrize("told", AS_TOLD)
def test_an_outline_that_is_as_its_annotation_tells_is_read(
    tmp_path: Path, told: dict[str, Any]
) -> None:
    found = mask_of(label_of(tmp_path, marked(1, [flat(ANGLE)], **told)))
    assert np.array_equal(found, ANGLE_MASK)


@pytest.mark.parametrize("area", [AREA, AREA + 60, None])
def test_a_polygon_in_another_is_no_hole_where_the_area_says_none(
    tmp_path: Path, area: int | None
) -> None:
    assert_mask(label_of(tmp_path, marked(1, [flat(ANGLE), INNER], area=area)), ANGLE_MASK)


def test_the_area_of_a_thin_outline_may_be_that_of_its_box(tmp_path: Path) -> None:
    thin = [[5, 5, 8, 5, 45, 40, 42, 40]]
    assert label_of(tmp_path, marked(1, thin, bbox=[5, 5, 40, 35], area=1400)).error == ""


NOT_AS_TOLD: list[tuple[Any, dict[str, Any], str]] = [
    (HALF, {"area": AREA}, f"holds {AREA // 4} pixels, its area is {AREA}"),
    ([flat(ANGLE)], {"area": AREA / 2 - 1}, f"holds {AREA} pixels, its area is {AREA // 2 - 1}"),
    ([flat(ANGLE)], {"area": AREA * 2 + 1}, f"holds {AREA} pixels, its area is {AREA * 2 + 1}"),
    (
        [flat(ANGLE)],
        {"area": AREA, "bbox": [34, 5, 20, 30]},
        "lies in the box 10, 5, 20, 30, its bbox is 34, 5, 20, 30",
    ),
    (HALF, {"area": 600, "bbox": [10, 5, 20, 30]}, "its bbox is 10, 5, 20, 30"),
    (
        [flat(ANGLE), INNER],
        {"area": AREA - 60},
        f"hold {AREA} pixels, its area is {AREA - 60}: has",
    ),
    ([[1, 1, 9, 9, 5]], {}, "a polygon has 5 numbers"),
    ([[0.1, 0.1, 0.5, 0.1, 0.5, 0.6]], {}, "shares of the image's size"),
]


@pytest.mark.parametrize(("segmentation", "told", "complaint"), NOT_AS_TOLD)
def test_an_outline_that_contradicts_its_annotation_is_an_error_with_both_figures(
    tmp_path: Path, segmentation: Any, told: dict[str, Any], complaint: str
) -> None:
    assert complaint in label_of(tmp_path, marked(1, segmentation, **told)).error


def test_subject_and_fold_are_told_by_the_images_entry(tmp_path: Path) -> None:
    config = Config(group_fold_column="patient", fold_column="part")
    path = write(tmp_path / "x.json", [image(1, "a.png", patient=7, part=2)], [])
    label = coco.read(path, {}, config).by_image["a.png"]
    assert (label.subject, label.group, label.fold) == ("7", "7", "2")


def test_a_file_of_images_alone_is_not_found_and_one_that_is_missing_is_named(
    tmp_path: Path,
) -> None:
    (tmp_path / "image_info.json").write_text(json.dumps({"images": [], "categories": []}))
    (tmp_path / "nowhere.json").symlink_to(tmp_path / "none.json")
    assert coco.find(tree_of(tmp_path)) is None
    with pytest.raises(InputError, match=r"none\.json: there is no such file"):
        coco.read(tmp_path / "none.json", {}, Config())
