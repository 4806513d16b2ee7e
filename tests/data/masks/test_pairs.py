"""Masks find their images, by names and folders."""

from pathlib import Path

import pytest

from lib.data.masks.pairs import beside, paired
from lib.data.pictures.arrays import ImageFile


def files(*paths: str) -> dict[str, ImageFile]:
    return {path: ImageFile(Path("/data") / path) for path in paths}


def found(images: list[str], masks: list[str]) -> dict[str, dict[str, list[str]]]:
    pairs = paired(files(*images), files(*masks).values())
    return {
        image: {name: [str(file.path)[6:] for file in of] for name, of in classes.items()}
        for image, classes in pairs.by_image.items()
    }


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/a.png", "masks/a.gif"),
        ("images/a.png", "masks/a_mask.png"),
        ("images/a.png", "masks/mask_a.png"),
        ("images/a.png", "masks/a_Annotation.png"),
        ("images/a.png", "masks/a-seg.png"),
        ("images/a_0000.png", "masks/a.png"),  # nnU-Net's channel
        ("images/loop_1.png", "masks/loop_0001.png"),
        ("x/benign (1).png", "x/benign (1)_mask.png"),
        ("train/images/a.png", "train/masks/a.png"),
        ("images/p1/a.png", "masks/p1/a.png"),
        ("images/bus_0001-l.png", "masks/mask_0001-l.png"),
        ("images/img_001.png", "masks/1.png"),
        ("images/21_training.tif", "1st_manual/21_manual1.gif"),
        ("x/a_image.png", "x/a_label.png"),
    ],
)
def test_a_mask_is_of_the_image_of_its_name(image: str, mask: str) -> None:
    assert found([image], [mask]) == {image: {"": [mask]}}


def test_the_longest_name_wins() -> None:
    images, masks = ["i/1_1.png", "i/1_1_2.png"], ["m/1_1_mask.png", "m/1_1_2_mask.png"]
    assert found(images, masks) == {
        "i/1_1.png": {"": ["m/1_1_mask.png"]},
        "i/1_1_2.png": {"": ["m/1_1_2_mask.png"]},
    }


def test_pages_of_a_mask_of_one_image_are_its_own_and_no_other_image_s() -> None:
    """Colours as three slices: page 1 of 1_2 is no mask of 1_1."""
    images = files("i/1_1.png", "i/1_2.png")
    pages = [ImageFile(Path(f"/data/m/1_{k}.nii.gz"), page) for k in (1, 2) for page in range(3)]
    found = paired(images, pages).by_image
    assert found == {"i/1_1.png": {"": pages[:3]}, "i/1_2.png": {"": pages[3:]}}


def test_several_masks_of_a_class_are_all_taken() -> None:
    masks = ["m/a_mask.png", "m/a_mask_1.png"]
    assert found(["i/a.png"], masks) == {"i/a.png": {"": masks}}


def test_images_of_one_name_take_the_mask_of_their_folder() -> None:
    images = ["p1/images/1.png", "p2/images/1.png"]
    masks = ["p1/masks/1.png", "p2/masks/1.png"]
    pairs = zip(images, masks, strict=True)
    assert found(images, masks) == {image: {"": [mask]} for image, mask in pairs}


def test_folders_of_masks_are_classes_where_an_image_has_one_in_each() -> None:
    images, masks = ["i/a.png", "i/b.png"], ["m/nerve/a.png", "m/nerve/b.png", "m/vessel/a.png"]
    assert found(images, masks) == {
        "i/a.png": {"nerve": ["m/nerve/a.png"], "vessel": ["m/vessel/a.png"]},
        "i/b.png": {"nerve": ["m/nerve/b.png"]},
    }


def test_folders_of_people_or_splits_are_no_classes() -> None:
    images = ["i/train/a.png", "i/val/b.png"]
    masks = ["m/train/a.png", "m/val/b.png"]
    assert [list(of) for of in found(images, masks).values()] == [[""], [""]]


def test_words_that_are_added_are_classes_where_an_image_has_several() -> None:
    masks = ["m/a_nerve.png", "m/a_vessel.png"]
    assert found(["i/a.png"], masks) == {"i/a.png": {"nerve": masks[:1], "vessel": masks[1:]}}


def test_all_masks_of_a_folder_for_each_image_are_its_own() -> None:
    images = ["d1/images/d1.png", "d2/images/d2.png"]
    masks = ["d1/masks/f00.png", "d1/masks/b7a.png", "d2/masks/c9.png"]
    assert found(images, masks) == {
        images[0]: {"": masks[:2]},
        images[1]: {"": masks[2:]},
    }


def test_a_mask_of_another_folder_than_the_image_of_its_name_is_not_taken() -> None:
    pairs = paired(
        files("train/i/7.png", "test/i/8.png", "test/i/9.png"), files("test/m/7.png").values()
    )
    assert pairs.by_image == {}


def test_a_mask_of_no_image_is_told() -> None:
    pairs = paired(files("i/a.png"), files("m/b.png", "m/a.png").values())
    assert [path.name for path in pairs.unused] == ["b.png"]


def test_names_beside_each_other_are_those_with_a_word_of_masks() -> None:
    stems = {"1_1", "1_1_mask", "1_1_2", "b", "b_mask_1", "c_mask", "b_left"}
    assert beside(stems) == {"1_1_mask", "b_mask_1"}
