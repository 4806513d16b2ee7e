"""Every layout of labels, and every kind of bad table, by the table that 01 makes of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from pycocotools import mask as coco

from lib import rle
from lib.config.fields import Config
from lib.config.read import to_yaml
from lib.data.formats.parts.coco_mask import coco_mask
from lib.data.images_of_test import read_test_table
from lib.data.layouts import load_settings
from lib.data.table import read_training_images
from lib.runtime.errors import InputError
from tests.conftest import REPOSITORY, SHAPE, tiny_image
from tests.data.pictures.test_arrays import save_dicom

NAMES = [f"{subject}_{number}" for subject in "abc" for number in (1, 2)]
NERVE = {name: tiny_image(number, nerve=True)[1] for number, name in enumerate(NAMES)}
VESSEL = {name: np.roll(mask, 9, axis=0) * (name[0] != "a") for name, mask in NERVE.items()}


def write_images(folder: Path) -> Path:
    """Six images of three people."""
    (folder / "images").mkdir(parents=True)
    for number, name in enumerate(NAMES):
        cv2.imwrite(str(folder / "images" / f"{name}.png"), tiny_image(number, nerve=True)[0])
    return folder


def loaded(data: Path, *more: str) -> Config:
    return load_settings(REPOSITORY / "config.yaml", [f"data={data}", *more])


def read(data: Path, *more: str) -> pd.DataFrame:
    """By image, without its suffix."""
    table = read_training_images(loaded(data, *more)).table
    return table.assign(image=table["image"].str.removesuffix(".png")).set_index("image")


def masks(table: pd.DataFrame, column: str = "rle_mask") -> dict[str, np.ndarray]:
    return {name: rle.decode(text, SHAPE) for name, text in table[column].items()}


def same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    return found.keys() == expected.keys() and all(
        np.array_equal(found[name], expected[name]) for name in expected
    )


def table_of(**columns: Any) -> pd.DataFrame:
    subjects = [name[0] for name in NAMES]
    return pd.DataFrame(
        {"image": [f"{name}.png" for name in NAMES], "subject": subjects, **columns}
    )


def two_classes_in_lists(as_text: bool) -> pd.DataFrame:
    """Images of `a` have no vessel, and it is left out of their lists."""
    classes = [["nerve", "vessel"] if VESSEL[name].any() else ["nerve"] for name in NAMES]
    runs = [
        [rle.encode(part[name]) for part in (NERVE, VESSEL) if part[name].any()] for name in NAMES
    ]
    if as_text:
        return table_of(class_id=map(str, classes), rle_mask=map(str, runs))
    return table_of(class_id=classes, rle_mask=runs)


def two_classes_in_rows() -> pd.DataFrame:
    rows = [
        {
            "image": f"{name}.png",
            "subject": name[0],
            "class_id": what,
            "rle_mask": rle.encode(part[name]),
        }
        for what, part in (("nerve", NERVE), ("vessel", VESSEL))
        for name in NAMES
        if part[name].any()
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("table", "name"),
    [
        (two_classes_in_lists(as_text=False), "train.pq"),
        (two_classes_in_lists(as_text=True), "train.csv"),
        (two_classes_in_rows(), "train.csv"),
        (two_classes_in_rows(), "train.parquet"),
    ],
)
def test_two_classes_are_read_from_lists_and_from_rows(
    tmp_path: Path, table: pd.DataFrame, name: str
) -> None:
    folder = write_images(tmp_path)
    if name.endswith("csv"):
        table.to_csv(folder / name, index=False)
    else:
        table.to_parquet(folder / name)
    found = read(folder)
    assert same(masks(found, "rle_mask_nerve"), NERVE)
    assert same(masks(found, "rle_mask_vessel"), VESSEL)
    assert found["subject"].tolist() == list("aabbcc")


def test_classes_and_folds_are_read_from_the_columns_asked_for(tmp_path: Path) -> None:
    folder = write_images(tmp_path)
    tissues, parts = ["artery", "vein"] * 3, [0, 1, 1, 0, 0, 1]
    columns = {"class_id": "nerve", "tissue": tissues, "fold": 0, "part": parts}
    table_of(rle_mask="1 5", **columns).to_csv(folder / "train.csv", index=False)
    usual, asked = read(folder), read(folder, "class_name_column=tissue", "fold_column=part")
    assert [name for name in usual.columns if "rle" in name] == ["rle_mask"]
    assert usual["told_fold"].tolist() == ["0"] * 6
    assert (asked["rle_mask_artery"] != "").tolist() == [True, False] * 3
    assert (asked["rle_mask_vein"] != "").tolist() == [False, True] * 3
    assert asked["told_fold"].tolist() == [str(part) for part in parts]


def test_a_column_of_classes_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Else the masks of all classes would become one."""
    folder = write_images(tmp_path)
    two_classes_in_rows().to_csv(folder / "train.csv", index=False)
    with pytest.raises(InputError, match=r"has no column 'class_ids'.* did you mean class_id"):
        read(folder, "class_name_column=class_ids")


@pytest.mark.parametrize("classes", [["nerve", "vessel"], ["nerve"]])
def test_empty_lists_are_empty_masks(tmp_path: Path, classes: list[str]) -> None:
    folder = write_images(tmp_path)
    cells = [classes, *[[]] * 5]
    runs = [["1 5"] * len(classes), *[[]] * 5]
    table_of(class_id=cells, rle_mask=runs).to_parquet(folder / "train.pq")
    found = read(folder)
    columns = [name for name in found.columns if name.startswith("rle_mask")]
    assert len(columns) == len(classes)
    assert (found[columns].iloc[0] == "1 5").all()
    assert (found[columns].iloc[1:] == "").all(axis=None)


@pytest.mark.parametrize("as_text", [False, True])
def test_nothing_is_nothing_however_it_is_written(tmp_path: Path, as_text: bool) -> None:
    folder = write_images(tmp_path)
    cells: list[Any] = [[], None, [], None, ["nerve"], ["nerve"]]
    runs: list[Any] = [None, [], [], None, ["1 5"], ["9 5"]]
    table = table_of(class_id=cells, rle_mask=runs)
    if as_text:
        table.to_csv(folder / "train.csv", index=False)
    else:
        table.to_parquet(folder / "train.pq")
    assert read(folder)["rle_mask"].tolist() == ["", "", "", "", "1 5", "9 5"]


def test_blanks_around_a_value_make_no_other_person_or_class(tmp_path: Path) -> None:
    folder = write_images(tmp_path)
    names = ["nerve", "nerve ", "vessel", " vessel", "nerve", "nerve"]
    table = table_of(class_id=names, rle_mask="1 5").assign(
        subject=["a", "a ", "b", " b", "c", "c"]
    )
    table.to_csv(folder / "train.csv", index=False)
    found = read(folder)
    assert set(found["subject"]) == {"a", "b", "c"}
    assert [name for name in found.columns if "rle" in name] == [
        "rle_mask_nerve",
        "rle_mask_vessel",
    ]


def test_numbers_of_a_column_with_gaps_stay_whole(tmp_path: Path) -> None:
    folder = write_images(tmp_path)
    table_of(
        class_id=[0, 1, None, 0, 1, 0], rle_mask=["1 5", "1 5", "", "1 5", "1 5", "1 5"]
    ).to_parquet(folder / "train.pq")
    found = read(folder)
    assert [name for name in found.columns if "rle" in name] == ["rle_mask_0", "rle_mask_1"]


def write_validation(folder: Path, **columns: Any) -> list[str]:
    """Takes the images of `a` out of train.csv into held_out.csv, with other columns."""
    table = pd.read_csv(folder / "train.csv", dtype=str)
    table.iloc[2:].to_csv(folder / "train.csv", index=False)
    table.iloc[:2].assign(**columns).to_csv(folder / "held_out.csv", index=False)
    path = folder / "held_out.csv"
    return ["validation_strategy=custom", f"validation_dataframe={path}"]


def test_validation_images_have_their_mask_files(tmp_path: Path) -> None:
    folder = write_images(tmp_path)
    (folder / "masks").mkdir()
    for name, mask in NERVE.items():
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), mask)
    table_of().to_csv(folder / "train.csv", index=False)
    found = read(folder, *write_validation(folder), f"mask_folder={folder / 'masks'}")
    assert same(masks(found), NERVE)
    assert found["validation"].tolist() == [True, True, False, False, False, False]


@pytest.mark.parametrize("setting", ["validation_dataframe", "test_dataframe"])
def test_a_table_for_something_else_is_not_taken_for_that_to_train_on(
    tmp_path: Path, setting: str
) -> None:
    folder = write_images(tmp_path)
    table = table_of(rle_mask=[rle.encode(NERVE[name]) for name in NAMES])
    table[2:].to_csv(folder / "held_out.csv", index=False)
    more = [f"{setting}={folder / 'held_out.csv'}", "validation_strategy=custom"]
    with pytest.raises(InputError, match="6 pictures and no labels"):
        loaded(folder, *more)
    table[:2].to_csv(folder / "labels.csv", index=False)
    config = loaded(folder, *more)
    assert config.train_dataframe == str(folder / "labels.csv")
    assert getattr(config, setting) == str(folder / "held_out.csv")


def test_a_validation_table_brings_no_class(tmp_path: Path) -> None:
    folder = write_images(tmp_path)
    names = ["artery", "vein"] * 3
    table_of(class_id=names, rle_mask="1 5").to_csv(folder / "train.csv", index=False)
    with pytest.raises(InputError, match=r"tells the classes nerve, which .* does not"):
        read(folder, *write_validation(folder, class_id="nerve"))


def test_a_validation_table_of_empty_rows_brings_no_class(tmp_path: Path) -> None:
    folder = write_images(tmp_path)
    names = ["artery", "vein"] * 3
    table_of(class_id=names, rle_mask="1 5").to_csv(folder / "train.csv", index=False)
    found = read(folder, *write_validation(folder, class_id="", rle_mask=""))
    assert [name for name in found.columns if "rle" in name] == ["rle_mask_artery", "rle_mask_vein"]


def test_a_mask_file_beside_an_image_is_of_no_class_where_there_are_several(tmp_path: Path) -> None:
    folder = write_images(tmp_path)
    two_classes_in_rows().to_csv(folder / "train.csv", index=False)
    cv2.imwrite(str(folder / "images" / "b_1_mask.png"), VESSEL["b_1"])
    assert same(masks(read(folder), "rle_mask_nerve"), NERVE)


def test_numbers_for_names_are_no_subjects(tmp_path: Path) -> None:
    folder = write_images(tmp_path)
    for number, name in enumerate(NAMES):
        (folder / "images" / f"{name}.png").rename(folder / "images" / f"2023_{number}.png")
    images = [f"2023_{number}.png" for number in range(6)]
    pd.DataFrame({"image": images, "rle_mask": "1 5"}).to_csv(folder / "train.csv", index=False)
    assert (read(folder)["subject"] == "").all()


def test_the_labels_of_another_data_set_in_the_file_give_way(tmp_path: Path) -> None:
    other, folder = write_images(tmp_path / "other"), write_images(tmp_path / "data")
    (other / "masks").mkdir()
    for name, mask in NERVE.items():
        cv2.imwrite(str(other / "masks" / f"{name}.png"), mask)
    table_of(rle_mask="1 5").to_csv(folder / "train.csv", index=False)
    (tmp_path / "run.yaml").write_text(to_yaml(loaded(other)))
    config = load_settings(tmp_path / "run.yaml", [f"data={folder}"])
    assert set(read_training_images(config).table["rle_mask"]) == {"1 5"}


def test_the_folder_of_data_may_stand_in_a_file_of_all_settings(tmp_path: Path) -> None:
    folder = write_images(tmp_path)
    table_of(rle_mask="1 5").to_csv(folder / "train.csv", index=False)
    (tmp_path / "run.yaml").write_text(f"{to_yaml(Config())}data: {folder}\n")
    assert len(read_training_images(load_settings(tmp_path / "run.yaml")).table) == 6


def test_several_rows_of_one_class_are_parts_of_one_mask(tmp_path: Path) -> None:
    folder = write_images(tmp_path)
    halves = []
    for name in NAMES:
        for half in (slice(None, 30), slice(30, None)):
            part = np.zeros_like(NERVE[name])
            part[half] = NERVE[name][half]
            halves.append(
                {"image": f"{name}.png", "subject": name[0], "rle_mask": rle.encode(part)}
            )
    pd.DataFrame(halves).to_csv(folder / "train.csv", index=False)
    assert same(masks(read(folder)), NERVE)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_csv_is_read_however_a_spreadsheet_wrote_it(
    tmp_path: Path, encoding: str, separator: str, ending: str
) -> None:
    folder = write_images(tmp_path)
    table = table_of(rle_mask=[rle.encode(NERVE[name]) for name in NAMES])
    text = table.to_csv(index=False, sep=separator, lineterminator=ending)
    (folder / "train.csv").write_bytes(text.encode(encoding))
    assert same(masks(read(folder)), NERVE)


def in_another_convention(mask: np.ndarray, order: str, start: int) -> str:
    words = rle.encode(mask if order == "columns" else mask.T).split()
    words[::2] = [str(int(word) - 1 + start) for word in words[::2]]
    return " ".join(words)


@pytest.mark.parametrize("order", ["columns", "rows"])
@pytest.mark.parametrize("start", [0, 1])
def test_run_lengths_of_every_convention_give_the_same_masks(
    tmp_path: Path, order: str, start: int, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_images(tmp_path)
    texts = [in_another_convention(NERVE[name], order, start) for name in NAMES]
    table_of(rle_mask=texts).to_csv(folder / "train.csv", index=False)
    found = read(folder, f"rle_order={order}", f"rle_start={start}")
    assert same(masks(found), NERVE)
    assert "WARNING" not in capsys.readouterr().out


@pytest.mark.parametrize(("written", "other"), [("columns", "rows"), ("rows", "columns")])
def test_masks_that_are_smoother_the_other_way_are_told_with_the_setting(
    tmp_path: Path, written: str, other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_images(tmp_path)
    texts = [in_another_convention(NERVE[name], written, 1) for name in NAMES]
    table_of(rle_mask=texts).to_csv(folder / "train.csv", index=False)
    read(folder, f"rle_order={other}")
    assert f"set rle_order={written}" in capsys.readouterr().out


def test_a_first_pixel_called_0_names_the_setting(tmp_path: Path) -> None:
    folder = write_images(tmp_path)
    table_of(rle_mask="0 5").to_csv(folder / "train.csv", index=False)
    with pytest.raises(InputError, match="set rle_start=0"):
        read(folder)


def polygon(mask: np.ndarray) -> list[list[float]]:
    lines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [line.ravel().astype(float).tolist() for line in lines]


def uncompressed(mask: np.ndarray) -> dict[str, Any]:
    flat = np.concatenate([[0], mask.T.ravel(), [1 - mask[-1, -1]]])
    return {"size": list(mask.shape), "counts": np.diff(np.flatnonzero(np.diff(flat)), prepend=0)}


def compressed(mask: np.ndarray) -> dict[str, Any]:
    runs = coco.encode(np.asfortranarray(mask))
    return {"size": list(mask.shape), "counts": runs["counts"].decode()}


def write_coco(folder: Path, segmentation: Callable[[np.ndarray], Any], **more: Any) -> Path:
    content: dict[str, Any] = {
        "images": [
            {"id": i, "file_name": f"{name}.png", "height": 60, "width": 80, "subject": name[0]}
            for i, name in enumerate(NAMES)
        ],
        "annotations": [
            {"image_id": i, "category_id": k, "segmentation": segmentation(part[name])}
            for i, name in enumerate(NAMES)
            for k, part in ((7, NERVE), (9, VESSEL))
            if part[name].any()
        ],
        "categories": [{"id": 7, "name": "nerve"}, {"id": 9, "name": "vessel"}],
    }
    for part, change in more.items():
        content[part] = change(content[part])
    path = folder / "annotations.json"
    path.write_text(json.dumps(content, default=lambda array: array.tolist()))
    return folder


@pytest.mark.parametrize("segmentation", [uncompressed, compressed])
def test_both_run_lengths_of_coco_are_read(
    tmp_path: Path, segmentation: Callable[[np.ndarray], Any]
) -> None:
    found = read(write_coco(write_images(tmp_path), segmentation))
    assert same(masks(found, "rle_mask_nerve"), NERVE)
    assert same(masks(found, "rle_mask_vessel"), VESSEL)
    assert found["subject"].tolist() == list("aabbcc")


def test_polygons_of_coco_are_filled(tmp_path: Path) -> None:
    found = masks(read(write_coco(write_images(tmp_path), polygon)), "rle_mask_nerve")
    for name, mask in NERVE.items():
        assert np.mean(found[name] != mask) < 0.02  # a polygon through pixel centres is smaller


def test_cocos_run_lengths_are_read_by_its_own_convention_whatever_the_settings(
    tmp_path: Path,
) -> None:
    found = read(write_coco(write_images(tmp_path), compressed), "rle_order=rows", "rle_start=0")
    assert same(masks(found, "rle_mask_nerve"), NERVE)


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [60, 80], "counts": [10, 20]},
        {"size": [60, 81], "counts": [4860]},
        {"size": [60, 80], "counts": "no run lengths at all"},
        {"size": [60, 80], "counts": "zzzzzz~~~~"},
        {"size": [60, 80], "counts": "é"},
        {"size": [60, 80], "counts": ""},
        {"size": [60, 80], "counts": []},
        {"size": [60, 80]},
        [[1.0, 2.0, 3.0]],
        [[float("nan"), 1.0, 5.0, 1.0, 5.0, 5.0]],
        [[1e9, 1.0, 5.0, 1.0, 5.0, 5.0]],
        None,
        "polygon",
    ],
)
def test_a_segmentation_that_is_none_is_refused(segmentation: Any) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        coco_mask(segmentation, SHAPE)


BAD_COCO: list[tuple[dict[str, Callable[[list[Any]], Any]], str]] = [
    ({"categories": lambda part: None}, "not COCO: a list 'categories' was expected"),
    ({"images": lambda part: [{"id": 1}]}, "entry 0 of images lacks file_name, height, width"),
    ({"images": lambda part: [*part, 3]}, "entry 6 of images lacks id, file_name"),
    ({"images": lambda part: [{**part[0], "height": None}]}, "entry 0 of images lacks height"),
    ({"categories": lambda part: part[:1]}, "an annotation has category_id 9, which is not there"),
    ({"images": lambda part: part[1:]}, "an annotation has image_id 0, which is not there"),
    (
        {"images": lambda part: [{**entry, "height": 61} for entry in part]},
        "annotation of it cannot",
    ),
    ({"images": lambda part: [*part, {**part[0], "id": 77}]}, "a_1.png: stands in the file twice"),
]


@pytest.mark.parametrize(("more", "complaint"), BAD_COCO)
def test_a_bad_coco_file_says_what_is_wrong_and_where(
    tmp_path: Path, more: dict[str, Any], complaint: str
) -> None:
    folder = write_coco(write_images(tmp_path), compressed, **more)
    with pytest.raises(InputError, match=complaint):
        read(folder)


def test_a_json_file_that_is_none_is_named(tmp_path: Path) -> None:
    folder = write_images(tmp_path)
    (folder / "labels.json").write_text("{")
    with pytest.raises(InputError, match=r"labels.json: .* holds no labels of a known"):
        read_training_images(
            load_settings(
                REPOSITORY / "config.yaml",
                [f"data_folder={folder / 'images'}", f"train_dataframe={folder / 'labels.json'}"],
            )
        )


@pytest.mark.parametrize("name", ["{}.png", "{}_mask.png", "{}.jpg", "{}.bmp"])
@pytest.mark.parametrize("value", [1, 255])
def test_masks_are_read_from_a_folder_of_pictures(tmp_path: Path, name: str, value: int) -> None:
    folder = write_images(tmp_path)
    (folder / "masks").mkdir()
    for image, mask in NERVE.items():
        drawn = mask * (255 if name.endswith("jpg") else value)
        cv2.imwrite(
            str(folder / "masks" / name.format(image)), drawn, [cv2.IMWRITE_JPEG_QUALITY, 95]
        )
    found = masks(read(folder))
    for image, mask in NERVE.items():
        assert np.mean(found[image] != mask) <= (0.002 if name.endswith("jpg") else 0)


def test_a_folder_of_masks_a_class_gives_classes(tmp_path: Path) -> None:
    folder = write_images(tmp_path)
    for what, part in (("nerve", NERVE), ("vessel", VESSEL)):
        (folder / "masks" / what).mkdir(parents=True)
        for name, mask in part.items():
            if mask.any():
                cv2.imwrite(str(folder / "masks" / what / f"{name}.png"), mask)
    found = read(folder)
    assert same(masks(found, "rle_mask_nerve"), NERVE)
    assert same(masks(found, "rle_mask_vessel"), VESSEL)


def test_an_image_without_its_mask_file_is_an_error(tmp_path: Path) -> None:
    folder = write_images(tmp_path)
    (folder / "masks").mkdir()
    for name in NAMES[1:]:
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), NERVE[name])
    with pytest.raises(InputError, match=r"a_1: there is no mask of a_1 in .*masks"):
        read(folder)


def test_an_image_without_its_mask_file_is_a_negative_if_asked(tmp_path: Path) -> None:
    folder = write_images(tmp_path)
    (folder / "masks").mkdir()
    for name in NAMES[1:]:
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), NERVE[name])
    found = read(folder, "missing_mask=empty")
    assert found["rle_mask"].eq("").tolist() == [True] + [False] * 5


def inverted(folder: Path) -> Path:
    """Black nerves on white."""
    write_images(folder)
    (folder / "masks").mkdir()
    for name, mask in NERVE.items():
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), 255 * (1 - mask))
    return folder


def test_masks_of_the_background_are_refused_and_turned_if_asked(tmp_path: Path) -> None:
    folder = inverted(tmp_path)
    with pytest.raises(InputError, match=r"6 of 6 masks cover .* set invert_masks=true"):
        read(folder)
    assert same(masks(read(folder, "invert_masks=true")), NERVE)


def test_some_masks_of_the_background_are_named(tmp_path: Path) -> None:
    folder = inverted(tmp_path)
    for name in NAMES[1:]:
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), NERVE[name])
    with pytest.raises(InputError, match=r"1 of 6 masks .* such as a_1: these are inverted beside"):
        read(folder)


@pytest.mark.parametrize(
    ("fill", "is_filled"), [("auto", True), ("always", True), ("never", False)]
)
def test_outlines_become_areas(
    tmp_path: Path, fill: str, is_filled: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_images(tmp_path)
    (folder / "masks").mkdir()
    for name, mask in NERVE.items():
        edge = mask - cv2.erode(mask, np.ones((3, 3), dtype=np.uint8))
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), 255 * edge)
    assert same(masks(read(folder, f"fill_outlines={fill}")), NERVE) is is_filled
    told = "6 of 6 masks are closed lines"
    assert told in capsys.readouterr().out


def test_masks_that_are_all_alike_are_doubted_beside_every_score(tmp_path: Path) -> None:
    folder = write_images(tmp_path)
    (folder / "masks").mkdir()
    for name in NAMES:
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), NERVE["a_1"])
    doubts = read_training_images(loaded(folder)).doubts
    assert list(doubts) == ["all 6 masks are alike, pixel by pixel"]


def turned_box(number: int) -> np.ndarray:
    corners = cv2.boxPoints(((40, 30), (20 + number, 12), 15 * number))
    return cv2.fillPoly(np.zeros(SHAPE, np.uint8), [np.rint(corners).astype(np.int32)], 1)


def test_rectangles_are_doubted_where_most_masks_are_some(tmp_path: Path) -> None:
    """As a labelling tool's turned boxes are, where they are written as outlines."""
    folder = write_images(tmp_path)
    (folder / "masks").mkdir()
    for number, name in enumerate(NAMES):
        mask = turned_box(number) if number else NERVE[name]
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), mask)
    (doubt,) = read_training_images(loaded(folder)).doubts
    assert doubt.startswith("5 of 6 masks are rectangles, such as a_2")
    cv2.imwrite(str(folder / "masks" / "c_2.png"), NERVE["c_2"])
    assert not read_training_images(loaded(folder)).doubts


def test_the_test_set_of_these_layouts_is_the_folder_test(tmp_path: Path) -> None:
    folder = write_coco(write_images(tmp_path), compressed)
    (folder / "test").mkdir()
    for number in (10, 2):
        cv2.imwrite(str(folder / "test" / f"{number}.png"), tiny_image(number, nerve=False)[0])
    table = read_test_table(loaded(folder))
    assert table is not None
    assert table["image"].tolist() == ["2", "10"]


def test_frames_of_cine_loops_are_labelled_by_loop_and_number(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for person in "abc":
        frames = [tiny_image(NAMES.index(f"{person}_{k}"), nerve=True)[0] for k in (1, 2)]
        save_dicom(tmp_path / "images" / f"{person}.dcm", np.stack(frames), f"Patient {person}")
    runs = [rle.encode(NERVE[name]) for name in NAMES]
    pd.DataFrame({"image": NAMES, "rle_mask": runs}).to_csv(tmp_path / "train.csv", index=False)
    found = read(tmp_path)
    assert same(masks(found), NERVE)
    assert found["subject"].tolist() == ["p1", "p1", "p2", "p2", "p3", "p3"]
    assert found["sha"].nunique() == 6
    assert "Patient" not in found.to_csv()


BAD_TABLES: list[tuple[pd.DataFrame, str]] = [
    (table_of(class_id=[["a", "b"]] * 6, rle_mask=[[""]] * 6), "2 classes and 1 run lengths in"),
    (table_of(class_id=["a", "b", "a", "b", "a", ""], rle_mask="1 5"), "has a mask without a"),
    (table_of(class_id="['a' 'b']", rle_mask="['1 5' '']"), "no list such as|not a list like"),
    (table_of(class_id="['a', nan]", rle_mask="['1 5', '']"), "no list such as|not a list like"),
    (table_of(rle_mask="1 5").assign(subject=[["x"]] * 6), "holds the list .*: one value a row"),
    (table_of(class_id=[f"c{k}" for k in range(6)], rle_mask="1 5").iloc[np.arange(60) % 6].assign(
        class_id=[f"c{k}" for k in range(60)]), "class_id holds 60 classes, such as c0, c1, c10"),
    (
        pd.concat([table_of(rle_mask="1 5"), table_of(rle_mask="9 5").assign(subject="z")]),
        "its rows tell two values of subject: a and z",
    ),
    (table_of(rle_mask="-1 5"), "`-1` is negative"),
    (table_of(rle_mask="1.0 5"), "`1.0` is not a whole number"),
    (table_of(rle_mask="5 5 1 2"), "starts before the one ahead of it"),
    (table_of(rle_mask="1 5 3 2"), "overlaps the one ahead of it"),
    (table_of(rle_mask="7"), "1 numbers: run lengths come in pairs"),
    (table_of(rle_mask="1 5").replace("a_1.png", "../images/no.png"), r"\.\./images/no.png: "),
    (table_of(rle_mask="1 5").replace("a_1.png", "A_1.PNG"), r"A_1.PNG: .*near: a_1.png"),
    (table_of(rle_mask="1 5").replace("a_1.png", "_presence"), "kept for the pipeline's own use"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "complaint"), BAD_TABLES)
def test_a_bad_row_is_an_error_that_names_the_image(
    tmp_path: Path, table: pd.DataFrame, complaint: str
) -> None:
    folder = write_images(tmp_path)
    table.to_parquet(folder / "train.pq")
    with pytest.raises(InputError, match=complaint):
        read(folder)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the table has no rows"),
        (b"image,rle_mask\n", "the table has no rows"),
        (b"image,image,rle_mask\na,b,c\n", "the column image stands there twice"),
        (b"images,rle_mask\na_1.png,1 5\n", "did you mean images?"),
        (b"image,rle_mask\na_1.png,1 5,7,8\n", "line 2 has 4 values, the header 2 names"),
        (b'image,rle_mask\na_1.png,"1 5\n', "not a table that can be read"),
        (b"\xff\xfe\x00", "not a table that can be read"),
    ],
)
def test_a_table_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    folder = write_images(tmp_path)
    (folder / "train.csv").write_bytes(content)
    with pytest.raises(InputError, match=complaint):
        read(folder)


def test_a_fault_of_our_own_is_not_told_as_a_fault_of_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_images(tmp_path)
    (folder / "train.csv").write_text("image,rle_mask\na_1.png,1 5\n")
    monkeypatch.delattr("lib.data.tables.cells._without_empty_ends")
    with pytest.raises(NameError, match="_without_empty_ends"):
        read(folder)


@pytest.mark.parametrize("seed", range(20))
def test_random_masks_come_back_from_cocos_run_lengths(seed: int) -> None:
    random = np.random.default_rng(seed)
    mask = (random.random((23, 31)) < random.random() ** 2).astype(np.uint8)
    assert np.array_equal(coco_mask(compressed(mask), mask.shape), mask)
    assert np.array_equal(coco_mask(uncompressed(mask), mask.shape), mask)
