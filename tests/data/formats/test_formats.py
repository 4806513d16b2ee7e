"""Each format finds its own files, and those of no other."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lib.data.formats import (
    FORMATS,
    Format,
    coco,
    cvat,
    ddti,
    label_studio,
    label_studio_min,
    labelme,
    labelme_folders,
    supervisely,
    via,
    yolo,
)
from lib.data.pictures.tree import tree_of
from tests.data.formats import (
    test_coco,
    test_cvat,
    test_ddti,
    test_label_studio,
    test_label_studio_min,
    test_labelme,
    test_labelme_folders,
    test_supervisely,
    test_via,
    test_yolo,
)
from tests.data.formats.pictures import ANGLE, ANGLE_MASK, write_pictures

WRITTEN: list[tuple[Format, Callable[[Path], object]]] = [
    (labelme, lambda root: test_labelme.write(root, "a.png", test_labelme.shape(ANGLE))),
    (
        label_studio,
        lambda root: test_label_studio.write(
            root, test_label_studio.task("a.png", test_label_studio.annotation())
        ),
    ),
    (
        label_studio_min,
        lambda root: test_label_studio_min.write(root, test_label_studio_min.row("a.png")),
    ),
    (
        label_studio_min,
        lambda root: test_label_studio_min.write(
            root, test_label_studio_min.row("a.png"), name="x.csv"
        ),
    ),
    (labelme_folders, lambda root: test_labelme_folders.write(root, "a", ANGLE_MASK, "nerve")),
    (ddti, lambda root: test_ddti.write(root, "1", ("1", [test_ddti.outline(ANGLE)]))),
    (
        supervisely,
        lambda root: test_supervisely.write(root, "a.png", test_supervisely.polygon(ANGLE)),
    ),
    (via, lambda root: test_via.write_table(root, a=[])),
    (via, lambda root: test_via.write(root, test_via.project_3(a=[]))),
    (cvat, lambda root: test_cvat.write(root, test_cvat.image("a.png"))),
    (via, lambda root: test_via.write(root, test_via.entries(a=[]))),
    (yolo, lambda root: test_yolo.write(root, {"a": test_yolo.line(ANGLE)})),
    (
        coco,
        lambda root: test_coco.write(root / "x.json", [test_coco.image(1, "a.png")], []),
    ),
]


@pytest.mark.parametrize(("own", "write"), WRITTEN, ids=lambda value: getattr(value, "NAME", ""))
def test_the_files_of_a_tool_are_found_by_its_own_reader_alone(
    tmp_path: Path, own: Format, write: Callable[[Path], object]
) -> None:
    write(tmp_path)
    tree = tree_of(tmp_path)
    assert [each.NAME for each in FORMATS if each.find(tree)] == [own.NAME]


def test_every_format_is_in_the_list_once() -> None:
    assert sorted(each.NAME for each in FORMATS) == sorted({own.NAME for own, _ in WRITTEN})


def test_nothing_is_found_among_other_files(tmp_path: Path) -> None:
    write_pictures(tmp_path / "images", "a.png")
    for name, text in {
        "dataset.json": '{"labels": {"background": 0, "nerve": 1}}',
        "list.json": '[{"data": 3, "annotations": []}, "filename", "regions"]',
        "empty.json": "{}",
        "broken.json": '{"shapes": [], "imagePath": "a.png", "images": [], "annotations": [],',
        "train.csv": "image,rle_mask\na.png,1 5\n",
        "config.yaml": "architecture: Unet\n",
        "notes.txt": "0 0.1 0.2 0.3 0.4 0.5 0.6\n",
        "feed.xml": "<rss/>",
    }.items():
        (tmp_path / name).write_text(text)
    tree = tree_of(tmp_path)
    assert [each.NAME for each in FORMATS if each.find(tree)] == []
