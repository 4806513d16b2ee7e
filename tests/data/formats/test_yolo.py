"""YOLO segmentation -> labels; Ultralytics draws with OpenCV."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest

from lib.config.fields import Config
from lib.data.formats import yolo
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
    assert_two_classes,
    files_in,
    is_near,
    mask_of,
    read,
    write_pictures,
)

NAMES = "path: .\ntrain: images/train\nval: images/val\nnames:\n  0: nerve\n  1: vessel\n"


def line(points: list[tuple[float, float]], number: int = 0) -> str:
    shares = " ".join(f"{x / SHAPE[1]:.6f} {y / SHAPE[0]:.6f}" for x, y in points)
    return f"{number} {shares}\n"


def write(root: Path, texts: dict[str, str], names: str = NAMES, into: str = "labels") -> Path:
    """By path, such as train/a; a picture for each in images/."""
    for stem, text in texts.items():
        picture = root / "images" / f"{stem}.png"
        write_pictures(picture.parent, picture.name)
        path = root / into / f"{stem}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "data.yaml").write_text(names)
    return root


@pytest.mark.parametrize("names", [NAMES, "train: a\nnc: 2\nnames: ['nerve', 'vessel']\n"])
def test_outlines_of_two_classes_and_an_empty_file_are_read(tmp_path: Path, names: str) -> None:
    marked = line(ANGLE) + line(BOX) + "\n" + line(BOX, 1)
    write(tmp_path, {"train/a": marked, "val/b": ""}, names)
    assert yolo.find(tree_of(tmp_path)) == tmp_path
    labels = read(yolo, tmp_path)
    assert labels.by_image["a.png"].size == SHAPE
    assert_two_classes(labels)


def test_an_outline_is_as_ultralytics_draws_it_but_for_the_edge(tmp_path: Path) -> None:
    write(tmp_path, {"a": line(SLANTED)})
    drawn = np.zeros(SHAPE, dtype=np.uint8)
    cv2.fillPoly(drawn, [np.asarray(SLANTED, dtype=np.int32)], 1)
    assert is_near(mask_of(read(yolo, tmp_path).by_image["a.png"]), drawn)


@pytest.mark.parametrize("into", ["labels", "images", "annotations/of me"])
def test_a_text_is_found_in_labels_beside_the_picture_or_by_its_name(
    tmp_path: Path, into: str
) -> None:
    write(tmp_path, {"a": line(ANGLE)}, into=into)
    assert_mask(read(yolo, tmp_path).by_image["a.png"], ANGLE_MASK)


def test_each_split_has_its_own_text_of_a_name(tmp_path: Path) -> None:
    write(tmp_path, {"train/a": line(ANGLE), "val/a": line(BOX)})
    found = {name: mask_of(label) for name, label in read(yolo, tmp_path).by_image.items()}
    assert len(found) == 2
    files = files_in(tmp_path)
    for name, mask in found.items():
        expected = ANGLE_MASK if files[name].path.parent.name == "train" else BOX_MASK
        assert np.array_equal(mask, expected)


def test_a_missing_text_is_an_error_with_its_remedy(tmp_path: Path) -> None:
    write(tmp_path, {"a": line(ANGLE), "b": ""})
    (tmp_path / "labels" / "b.txt").unlink()
    label = read(yolo, tmp_path).by_image["b.png"]
    assert label.error.startswith("has no .txt file")
    assert "set missing_mask=empty" in label.error


def test_a_missing_text_is_an_empty_mask_where_the_setting_says_so(tmp_path: Path) -> None:
    write(tmp_path, {"a": line(ANGLE), "b": ""})
    (tmp_path / "labels" / "b.txt").unlink()
    config = cast(Config, SimpleNamespace(missing_mask="empty"))
    label = read(yolo, tmp_path, config).by_image["b.png"]
    assert (label.runs, label.error) == ({"nerve": []}, "")


def test_the_images_of_a_folder_without_texts_are_no_part_of_the_labels(tmp_path: Path) -> None:
    write(tmp_path, {"train/a": line(ANGLE)})
    write_pictures(tmp_path / "images" / "test", "t.png")
    assert list(read(yolo, tmp_path).by_image) == ["a.png"]


def test_a_text_without_an_image_is_named_and_a_list_of_names_is_no_text(tmp_path: Path) -> None:
    write(tmp_path, {"a": line(ANGLE), "gone": line(BOX)})
    (tmp_path / "images" / "gone.png").unlink()
    (tmp_path / "train.txt").write_text("images/a.png\n")
    (tmp_path / "classes.txt").write_text("nerve\n")
    labels = read(yolo, tmp_path)
    assert list(labels.by_image) == ["a.png", "gone"]
    assert labels.by_image["gone"].error == ""


def test_a_second_text_of_an_image_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, {"a": line(ANGLE)})
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a.txt").write_text(line(BOX))
    assert "keep one .txt file" in read(yolo, tmp_path).by_image["a.png"].error


BAD = [
    ("0 0.5 0.5 0.2 0.2\n", "a box, and a box is no mask"),
    (line(ANGLE, 2), "class 2 has no name in the data.yaml"),
    ("0.5 0.1 0.1 0.9 0.1 0.9 0.9", "class 0.5 has no name"),
    ("0 0.1 0.1 0.9 0.1 0.9 0.9 0.77", "cannot reshape"),
    ("0 0.1 0.1", "three points or more"),
    ("0 10 10 30 10 30 30", "not shares of the image's size"),
    ("0 0.1 0.1 0.9 0.1 0.9 -0.2", "not shares of the image's size"),
    ("0 0.1 0.1 0.9 0.1 0.9 nan", "shares|no number"),
    ("nerve 0.1 0.1 0.9 0.1 0.9 0.9", "could not convert"),
]


@pytest.mark.parametrize(("wrong", "complaint"), BAD)
def test_what_is_no_outline_is_the_error_of_its_image_alone(
    tmp_path: Path, wrong: str, complaint: str
) -> None:
    write(tmp_path, {"a": wrong, "b": line(ANGLE)})
    assert_error_of_a_alone(read(yolo, tmp_path), complaint)


@pytest.mark.parametrize("name", ["classes.txt", "obj.names"])
def test_a_list_of_names_will_do(tmp_path: Path, name: str) -> None:
    write(tmp_path, {"a": line(ANGLE, 1)}, "")
    (tmp_path / name).write_text("vessel\nplexus\n")
    assert_mask(read(yolo, tmp_path).by_image["a.png"], ANGLE_MASK, "plexus")


def test_keypoints_are_no_outlines(tmp_path: Path) -> None:
    """Of which an even number, all of them visible, would look like one."""
    write(tmp_path, {"a": line(ANGLE)}, "names: [nerve]\nkpt_shape: [4, 3]\n")
    with pytest.raises(InputError, match="boxes with keypoints"):
        yolo.find(tree_of(tmp_path))


def test_two_images_do_not_share_a_text(tmp_path: Path) -> None:
    write(tmp_path, {"a": line(ANGLE), "b": line(BOX)})
    for part in ("train", "valid"):
        write_pictures(tmp_path / "images" / part, "a.png")
    (tmp_path / "images" / "a.png").unlink()
    found = read(yolo, tmp_path).by_image
    assert not [name for name, label in found.items() if name.endswith("a.png") and not label.error]


def test_a_picture_that_is_none_is_the_error_of_its_image(tmp_path: Path) -> None:
    write(tmp_path, {"a": line(ANGLE), "b": line(ANGLE)})
    (tmp_path / "images" / "a.png").write_text("<html>404</html>")
    assert "size of its picture cannot be read" in read(yolo, tmp_path).by_image["a.png"].error


def test_boxes_alone_are_found_and_refused(tmp_path: Path) -> None:
    write(tmp_path, {"a": "0 0.5 0.5 0.2 0.2\n", "b": ""})
    assert "a box is no mask" in read(yolo, tmp_path).by_image["a.png"].error


def test_two_files_that_name_other_classes_are_named(tmp_path: Path) -> None:
    write(tmp_path, {"a": line(ANGLE)})
    (tmp_path / "old.yaml").write_text("names: [vessel, nerve]\n")
    with pytest.raises(InputError, match=r"data\.yaml and .*old\.yaml name other classes"):
        read(yolo, tmp_path)


@pytest.mark.parametrize("names", ["", "names: 3\n", "names: [\n", "other: [nerve]\n"])
def test_texts_without_the_names_of_their_classes_are_not_found(tmp_path: Path, names: Any) -> None:
    write(tmp_path, {"a": line(ANGLE)}, names)
    assert yolo.find(tree_of(tmp_path)) is None
    with pytest.raises(InputError, match=r"there is no data\.yaml or classes"):
        yolo.read(tmp_path, {}, Config())
