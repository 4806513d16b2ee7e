"""Every layout of folders is recognised by what it holds, its labels read right to the pixel."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lib import rle
from lib.artifacts.folds import masks_in
from lib.data.images_of_test import read_test_table
from lib.data.layouts import find_layout, load_settings
from lib.data.table import read_training_images
from lib.runtime.errors import InputError
from tests.conftest import REPOSITORY, SHAPE, tiny_image

PEOPLE = "abcd"
NAMES = [f"{person}{number}" for person in "1234" for number in "123"]
IMAGES = {name: tiny_image(k, nerve=k not in (3, 7)) for k, name in enumerate(NAMES)}
Masks = dict[str, list[np.ndarray]]  # by image: one a class
Make = Callable[[Path], Masks]


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def second(mask: np.ndarray) -> np.ndarray:
    """A mask of another class beside the first."""
    box = np.zeros_like(mask)
    box[1:6, 60:75] = 1
    return box & (1 - mask)


def folders(
    images: str = "images/{}.png",
    masks: str = "masks/{}.png",
    drawn: Callable[[np.ndarray], np.ndarray] = lambda mask: mask * 255,
    shown: Callable[[np.ndarray], np.ndarray] = lambda mask: mask,
    named: str = "{}",
) -> Make:
    """Images and masks at these places, the masks as `drawn`; the truth is the mask as `shown`."""

    def make(folder: Path) -> Masks:
        truth = {}
        for name, (image, mask) in IMAGES.items():
            place = {"name": name, "person": name[0], "frame": name[1]}
            save(folder / images.format(name, **place), image)
            save(folder / masks.format(name, **place), drawn(mask))
            truth[named.format(name, **place)] = [shown(mask)]
        return truth

    return make


def several(drawn: Callable[[np.ndarray, np.ndarray], np.ndarray], beside: str = "") -> Make:
    """Masks of two classes in one picture; `beside` is the text of a file of their names."""

    def make(folder: Path) -> Masks:
        truth = {}
        for name, (image, mask) in IMAGES.items():
            save(folder / "images" / f"{name}.png", image)
            save(folder / "masks" / f"{name}.png", drawn(mask, second(mask)))
            truth[name] = [mask, second(mask)]
        if beside:
            file, _, text = beside.partition("\n")
            (folder / file).write_text(text)
        return truth

    return make


def outline(mask: np.ndarray) -> np.ndarray:
    return 255 * (mask - cv2.erode(mask, np.ones((3, 3), np.uint8)))


def colours(first: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.dstack([128 * first, 128 * other, 0 * first])


def united(folder: Path) -> Masks:
    """A second mask file for a second lesion."""
    truth = {}
    for number, (image, mask) in enumerate(IMAGES.values()):
        kind = ("benign", "normal")[not mask.any()]
        save(folder / kind / f"{kind} ({number}).png", image)
        save(folder / kind / f"{kind} ({number})_mask.png", mask * 255)
        more = second(mask) if number == 0 else 0 * mask
        if number == 0:
            save(folder / kind / f"{kind} ({number})_mask_1.png", more * 255)
        truth[f"{kind} ({number})"] = [mask | more]
    return truth


def volumes(folder: Path) -> Masks:
    """nnU-Net's: a stack for each person."""
    truth: Masks = {}
    (folder / "imagesTr").mkdir(parents=True)
    (folder / "labelsTr").mkdir()
    for person in "1234":
        names = [name for name in NAMES if name[0] == person]
        for kind, end, k in (("imagesTr", "_0000", 0), ("labelsTr", "", 1)):
            stack = np.stack([IMAGES[name][k].T for name in names], axis=2)
            path = folder / kind / f"case{person}{end}.nii.gz"
            nibabel.save(
                nibabel.Nifti1Image(stack.astype(np.int16), np.diag([0.1, 0.2, 1, 1])), path
            )
        truth |= {f"case{person}_{k + 1}": [IMAGES[n][1]] for k, n in enumerate(names)}
    labels = {"background": 0, "nerve": 1}
    (folder / "dataset.json").write_text(json.dumps({"labels": labels, "file_ending": ".nii.gz"}))
    return truth


def pages(folder: Path) -> Masks:
    """ImageJ's stacks, a file for each person."""
    truth: Masks = {}
    for person in "1234":
        names = [name for name in NAMES if name[0] == person]
        for kind, k in (("images", 0), ("masks", 1)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            first, *rest = [Image.fromarray(IMAGES[n][k] * (1 + 254 * k)) for n in names]
            first.save(folder / kind / f"loop{person}.tif", save_all=True, append_images=rest)
        truth |= {f"loop{person}_{k + 1}": [IMAGES[n][1]] for k, n in enumerate(names)}
    return truth


LAYOUTS: dict[str, Make] = {
    "image and label": folders("image/{}.png", "label/{}.png"),
    "one or several folders down": folders("a/b/imgs/{}.png", "a/b/msks/{}.png"),
    "splits above": folders("train/images/{}.png", "train/masks/{}.png"),
    "splits below": folders("images/training/{}.png", "annotations/training/{}.png", lambda m: m),
    "an affix behind": folders(masks="masks/{}_segmentation.png"),
    "an affix before": folders(masks="masks/mask_{}.png"),
    "beside the image": folders("{}.png", "{}_Annotation.png"),
    "words in one folder": folders("{}_image.png", "{}_label.png", named="{}_image"),
    "other words and numbers": folders("Images/bus_{}-l.png", "Masks/m{}-l.png", named="bus_{}-l"),
    "an overlay beside": lambda folder: (
        folders("overlay/{}.png")(folder),
        folders()(folder),
    )[1],
    "train and val": folders("train/{}.png", "train/{}_mask.png"),
    "capitals": folders("Images/{}.PNG", "GroundTruth/{}_GT.PNG"),
    "people in folders": folders(
        "images/p{person}/{frame}.png", "masks/p{person}/{frame}.png", named="p{person}/{frame}"
    ),
    "people above": folders(
        "p{person}/images/{frame}.png", "p{person}/masks/{frame}.png", named="p{person}/{frame}"
    ),
    "folders of a diagnosis, several masks": united,
    "transparency": folders(drawn=lambda m: np.dstack([0 * m + 255] * 3 + [255 * m])),
    "GIF": folders(masks="masks/{}.gif"),
    "numpy arrays": folders(masks="masks/{}.png"),
    "outlines": folders(drawn=outline),
    "index": several(lambda first, other: first + 2 * other),
    "index with void": several(lambda first, other: np.maximum(first, 2 * other)),
    "any values": several(lambda first, other: 100 * first + 200 * other),
    "colours": several(colours, "labelmap.txt\nbackground:0,0,0::\nn:128,0,0::\nv:0,128,0::\n"),
    "nnU-Net, NIfTI": volumes,
    "stacks of pages": pages,
}


def read(folder: Path, *more: str) -> Masks:
    config = load_settings(REPOSITORY / "config.yaml", [f"data={folder}", *more])
    table = read_training_images(config).table
    columns = masks_in(table)
    return {
        row["image"]: [rle.decode(row[column], SHAPE) for column in columns]
        for row in table.to_dict("records")
    }


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_recognised_and_read_right_to_the_pixel(tmp_path: Path, name: str) -> None:
    truth = LAYOUTS[name](tmp_path)
    found = read(tmp_path)
    assert found.keys() == truth.keys()
    for image, masks in truth.items():
        assert len(found[image]) == len(masks)
        assert all((a == b).all() for a, b in zip(found[image], masks, strict=True)), image


def test_images_beside_train_are_trained_on_too(tmp_path: Path) -> None:
    folders("train/{}.png", "train/{}_mask.png")(tmp_path)
    save(tmp_path / "val" / "v1.png", IMAGES["11"][0])
    save(tmp_path / "val" / "v1_mask.png", 255 * IMAGES["11"][1])
    found = read(tmp_path)
    assert len(found) == 13
    assert (found["v1"][0] == IMAGES["11"][1]).all()


def test_the_only_folder_may_be_called_test(tmp_path: Path) -> None:
    folders("my_test_data/images/{}.png", "my_test_data/masks/{}.png")(tmp_path)
    assert len(read(tmp_path)) == 12


def test_a_zip_in_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "archive.zip").touch()
    with pytest.raises(InputError, match=r"holds the archive archive\.zip: give data=.*archive"):
        read(tmp_path)


def test_void_is_in_no_class(tmp_path: Path) -> None:
    several(lambda first, other: first + 2 * other)(tmp_path)
    for path in (tmp_path / "masks").iterdir():
        values = np.asarray(Image.open(path)).copy()
        values[-3:] = 255
        save(path, values)
    for name, masks in read(tmp_path).items():
        assert (masks[0][:-3] == IMAGES[name][1][:-3]).all()
        assert not masks[0][-3:].any()


def test_class_names_come_from_the_file_beside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    beside = "classes.txt\nbackground\nnerve\nvessel\n"
    several(lambda first, other: first + 2 * other, beside)(tmp_path)
    config = load_settings(REPOSITORY / "config.yaml", [f"data={tmp_path}"])
    assert read_training_images(config).classes == ["nerve", "vessel"]
    assert "nerve, vessel, from classes.txt" in capsys.readouterr().out


def test_the_test_set_is_told_by_the_name_of_its_folder(tmp_path: Path) -> None:
    folders("train/images/{}.png", "train/masks/{}.png")(tmp_path)
    for number in (10, 2):
        save(tmp_path / "test" / "images" / f"t{number}.png", IMAGES["11"][0])
        save(tmp_path / "test" / "masks" / f"t{number}.png", IMAGES["11"][1])
    config = load_settings(REPOSITORY / "config.yaml", [f"data={tmp_path}"])
    test = read_test_table(config)
    assert test is not None
    assert test["image"].tolist() == ["t2", "t10"]
    assert config.mask_folder_test == str(tmp_path / "test" / "masks")
    assert len(read_training_images(config).table) == 12


def test_two_folders_of_masks_of_the_same_images_are_an_error_that_shows_both(
    tmp_path: Path,
) -> None:
    folders(masks="first/{}.png")(tmp_path)
    folders(masks="other/{}.png")(tmp_path)
    with pytest.raises(InputError, match=r"first and .*other both hold masks of .* mask_folder="):
        read(tmp_path)
    assert len(read(tmp_path, f"mask_folder={tmp_path / 'first'}")) == 12


def test_what_systems_leave_in_folders_is_passed_over(tmp_path: Path) -> None:
    folders()(tmp_path)
    for name in (".DS_Store", "._11.png", "Thumbs.db", "__MACOSX/11.png"):
        for kind in ("images", "masks"):
            path = tmp_path / kind / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"junk")
    assert len(read(tmp_path)) == 12


def test_people_and_spacing_of_volumes_are_kept(tmp_path: Path) -> None:
    volumes(tmp_path)
    config = load_settings(REPOSITORY / "config.yaml", [f"data={tmp_path}"])
    table = read_training_images(config).table
    assert table["subject"].nunique() == 4
    assert set(table["spacing"]) == {"0.2 0.1"}
    assert table["path"].iloc[0] == "case1_0000.nii.gz#1"


def test_01_says_in_a_line_what_it_took_for_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders("data/imgs/{}.png", "data/msks/{}.png")(tmp_path)
    read(tmp_path)
    place = tmp_path / "data"
    told = f"data           12 images of {place / 'imgs'}, masks of {place / 'msks'}\n"
    assert told in capsys.readouterr().out


def test_a_layout_may_be_named_where_the_guess_is_wrong(tmp_path: Path) -> None:
    folders("a/{}.png", "b/{}.png")(tmp_path)
    words = [f"data_folder={tmp_path / 'a'}", f"mask_folder={tmp_path / 'b'}"]
    config = load_settings(REPOSITORY / "config.yaml", words)
    assert len(read_training_images(config).table) == 12


@pytest.mark.parametrize("name", ["train.csv", "people.csv"])
def test_a_table_of_people_stands_beside_masks(tmp_path: Path, name: str) -> None:
    folders("images/x{}.png", "masks/x{}.png", named="x{}")(tmp_path)
    rows = "".join(f"x{image}.png,{image[1]}\n" for image in NAMES)
    (tmp_path / name).write_text("image,patient\n" + rows)
    config = load_settings(REPOSITORY / "config.yaml", [f"data={tmp_path}"])
    table = read_training_images(config).table
    assert table["subject"].tolist() == [image[2] for image in table["image"]]
    assert (table["rle_mask"] != "").sum() == 10


@pytest.mark.parametrize("name", [b"11\xff_mask.png", b"11\n_mask.png"])
@pytest.mark.parametrize("place", ["masks/{}_mask.png", "images/{}_mask.png"])
def test_a_mask_whose_name_no_table_could_hold_is_one_clear_error(
    tmp_path: Path, name: bytes, place: str
) -> None:
    folders(masks=place)(tmp_path)
    folder = (tmp_path / place).parent
    (folder / "11_mask.png").rename(folder / os.fsdecode(name))
    with pytest.raises(InputError, match=r"11.*_mask.png': a name in UTF-8 without line breaks"):
        read(tmp_path)


@pytest.mark.parametrize("differ", [False, True])
def test_a_mask_in_three_planes_is_one_mask_where_they_are_alike(
    tmp_path: Path, differ: bool
) -> None:
    truth = folders()(tmp_path)
    for name, (mask,) in truth.items():
        (tmp_path / "masks" / f"{name}.png").unlink()
        planes = np.stack([mask.T, mask.T, mask.T * (not differ)], axis=2)
        image = nibabel.Nifti1Image(planes, np.eye(4))
        nibabel.save(image, tmp_path / "masks" / f"{name}.nii.gz")
    if differ:
        with pytest.raises(InputError, match=r"11.nii.gz holds several pictures that differ"):
            read(tmp_path)
    else:
        assert all((read(tmp_path)[name][0] == truth[name][0]).all() for name in ("11", "21"))


def test_broken_links_and_folders_that_lead_back_are_passed_over(tmp_path: Path) -> None:
    folders()(tmp_path)
    (tmp_path / "images" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "back").symlink_to(tmp_path)
    with pytest.raises(InputError, match="gone"):
        read(tmp_path)
    (tmp_path / "images" / "gone.png").unlink()
    assert len(read(tmp_path)) == 12


def test_a_folder_of_all_folders_takes_the_given_settings_alone(tmp_path: Path) -> None:
    folders()(tmp_path)
    folders("other/{}.png", "more/{}.png")(tmp_path)
    words = [f"data_folder={tmp_path / 'other'}", f"mask_folder={tmp_path / 'more'}"]
    assert len(read(tmp_path, *words)) == 12


def test_inverted_masks_of_several_classes_are_refused_by_name(tmp_path: Path) -> None:
    several(lambda first, other: first + 2 * other)(tmp_path)
    with pytest.raises(InputError, match="invert_masks: true: masks of several classes, 1, 2"):
        read(tmp_path, "invert_masks=true")


def test_a_second_channel_is_refused_with_the_way_out(tmp_path: Path) -> None:
    folders("imagesTr/{}_0000.png", "labelsTr/{}.png")(tmp_path)
    save(tmp_path / "imagesTr" / "11_0001.png", IMAGES["11"][0])
    with pytest.raises(InputError, match=r"11_0001\.png: nnU-Net's second channel"):
        read(tmp_path)


def soft(mask: np.ndarray) -> np.ndarray:
    """Probabilities, as another network left them."""
    blurred = cv2.GaussianBlur(mask * 200.0, (0, 0), 4)
    return blurred.astype(np.uint8)


def with_file(name: str, text: str) -> Callable[[Path], object]:
    """A picture, and a file that tells nothing."""

    def make(folder: Path) -> None:
        save(folder / "a.png", IMAGES["11"][0])
        (folder / name).write_text(text)

    return make


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (
            folders(drawn=soft),
            r"two folders of pictures: .*masks/11.png is no mask, .* as probabilities do: set",
        ),
        (
            folders("{}.png", "{}_mask.png", soft),
            r"beside images: .*11_mask.png is no mask",
        ),
        (lambda folder: save(folder / "a.png", IMAGES["11"][0]), "1 pictures and no labels"),
        (
            with_file("a.json", "{}"),
            r"a labelling tool's file: a\.json is of none that is known; export as COCO",
        ),
        (
            with_file("a.txt", "0 0.1 0.1 0.9 0.1 0.9 0.9\n"),
            r"nearest is YOLO: a\.txt is of it, but no data\.yaml or classes\.txt",
        ),
        (
            with_file("notes.csv", "image,age\na,7\n"),
            r"a table of labels: notes\.csv has no column of run lengths",
        ),
    ],
)
def test_an_unknown_folder_is_told_the_nearest_layout_and_what_is_missing(
    tmp_path: Path, make: Callable[[Path], object], told: str
) -> None:
    make(tmp_path)
    with pytest.raises(InputError, match=told):
        read(tmp_path)


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ("1,1 5\n2,1 5,9\n", r"labels\.csv: .*line 3 has 3 values, the header 2 names"),
        ("", r"labels\.csv: the table has no rows"),
    ],
)
def test_a_table_is_told_by_its_header_and_wrong_rows_are_named(
    rows: str, error: str, tmp_path: Path
) -> None:
    save(tmp_path / "images" / "1.png", IMAGES["11"][0])
    (tmp_path / "labels.csv").write_text(f"image,rle_mask\n{rows}")
    with pytest.raises(InputError, match=error):
        read(tmp_path)


def test_a_parquet_file_is_told_by_its_header(tmp_path: Path) -> None:
    save(tmp_path / "images" / "1.png", IMAGES["11"][0])
    table = pd.DataFrame({"Image ID": ["1"], " EncodedPixels": [""]}, index=[7])
    table.to_parquet(tmp_path / "labels.parquet")
    found = find_layout(tmp_path, tmp_path / "unpacked")
    assert found["train_dataframe"] == str(tmp_path / "labels.parquet")
