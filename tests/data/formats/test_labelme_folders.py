"""The folders of labelme_export_json -> labels."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib.data.formats import labelme_folders
from lib.data.pictures.tree import tree_of
from tests.data.formats import test_labelme
from tests.data.formats.pictures import (
    ANGLE,
    ANGLE_MASK,
    BOX_MASK,
    assert_error_of_a_alone,
    assert_mask,
    files_in,
    read,
    write_pictures,
)

APART = ANGLE_MASK & (1 - BOX_MASK)


def write(root: Path, name: str, numbers: np.ndarray, *names: str, beside: bool = False) -> Path:
    """label.png has a palette, as LabelMe's has; the image is in the folder, or beside."""
    folder = root / f"{name}_json"
    folder.mkdir(parents=True)
    picture = Image.fromarray(numbers.astype(np.uint8), "P")
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    picture.save(folder / "label.png")
    write_pictures(folder, "label_viz.png")
    write_pictures(*(root, f"{name}.png") if beside else (folder, "img.png"))
    (folder / "label_names.txt").write_text("\n".join(["_background_", *names]) + "\n")
    return root


def test_numbers_mean_what_the_names_of_their_own_folder_say(tmp_path: Path) -> None:
    write(tmp_path, "a", APART + 2 * BOX_MASK, "nerve", "vessel")
    write(tmp_path, "b", ANGLE_MASK, "vessel")
    write(tmp_path, "c", 0 * ANGLE_MASK, "nerve")
    assert labelme_folders.find(tree_of(tmp_path)) == tmp_path
    files, labels = files_in(tmp_path), read(labelme_folders, tmp_path)
    found = {files[name].path.parent.name[0]: label for name, label in labels.by_image.items()}
    assert labels.classes == ["nerve", "vessel"]
    assert_mask(found["a"], APART)
    assert_mask(found["a"], BOX_MASK, "vessel")
    assert_mask(found["b"], ANGLE_MASK, "vessel")
    assert found["c"].runs == {"nerve": [], "vessel": []}


def test_without_a_picture_in_it_the_folder_names_the_image(tmp_path: Path) -> None:
    write(tmp_path, "a", ANGLE_MASK, "nerve", beside=True)
    assert_mask(read(labelme_folders, tmp_path).by_image["a.png"], ANGLE_MASK)


def test_numbers_of_too_many_pixels_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a", ANGLE_MASK, "nerve")
    Image.new("1", (8192, 8193)).save(tmp_path / "a_json" / "label.png")
    (label,) = read(labelme_folders, tmp_path).by_image.values()
    assert "a size of 8193 x 8192" in label.error


def test_where_the_files_of_labelme_are_there_too_they_count(tmp_path: Path) -> None:
    write(tmp_path, "a", ANGLE_MASK, "nerve", beside=True)
    test_labelme.write(tmp_path, "a.png", test_labelme.shape(ANGLE))
    assert labelme_folders.find(tree_of(tmp_path)) is None


def test_numbers_without_a_name_are_the_error_of_their_image_alone(tmp_path: Path) -> None:
    write(tmp_path, "a", 2 * ANGLE_MASK, "nerve", beside=True)
    write(tmp_path, "b", ANGLE_MASK, "nerve", beside=True)
    labels = read(labelme_folders, tmp_path)
    assert_error_of_a_alone(labels, "label.png has the number 2, label_names.txt 2 names")


@pytest.mark.parametrize("name", ["label.png", "label_names.txt"])
def test_a_folder_without_one_of_both_is_none(tmp_path: Path, name: str) -> None:
    write(tmp_path, "a", ANGLE_MASK, "nerve")
    (tmp_path / "a_json" / name).unlink()
    assert labelme_folders.find(tree_of(tmp_path)) is None
