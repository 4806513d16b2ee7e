"""Tables as people have them: their encodings, column names, paths and run lengths."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from pycocotools import mask as coco

from lib import rle
from lib.config.fields import Config
from lib.data.label import Label, Labels
from lib.data.pictures.arrays import ImageFile, image_files
from lib.data.tables.cells import CELL_LIMIT, found_in, read_table, with_image_column
from lib.data.tables.labels import read_label_table
from lib.data.tables.run_lengths import cumulated, joined, two_that_overlap
from lib.runtime.errors import InputError
from tests.conftest import SHAPE, tiny_image

NAMES = [f"{number:03d}" for number in range(1, 7)]
NERVE = {name: tiny_image(int(name), nerve=True)[1] for name in NAMES}
RUNS = {name: rle.encode(mask) for name, mask in NERVE.items()}
BESIDE = {name: np.roll(mask, 30, axis=1) for name, mask in NERVE.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six images, images/001.png to images/006.png."""
    (tmp_path / "images").mkdir()
    for name in NAMES:
        image = tiny_image(int(name), nerve=True)[0]
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), image)
    return tmp_path


def files_of(folder: Path) -> dict[str, ImageFile]:
    return image_files(folder / "images")


def labels_in(folder: Path, name: str = "train.csv", **settings: Any) -> Labels:
    config = Config(**settings)
    return read_label_table(folder / name, "train_dataframe", config, files_of(folder))


def read(folder: Path, table: pd.DataFrame, **settings: Any) -> dict[str, Label]:
    """By the names that stand in `files`, without suffix."""
    table.to_csv(folder / "train.csv", index=False)
    by_image = labels_in(folder, **settings).by_image
    return {image.removesuffix(".png"): label for image, label in by_image.items()}


def table_of(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"image": [f"{name}.png" for name in NAMES], **columns})


def mask_of(label: Label, name: str = "nerve") -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=np.uint8)
    for text in label.runs[name]:
        mask |= rle.decode(text, SHAPE)
    return mask


def same(by_image: dict[str, Label], masks: dict[str, np.ndarray], name: str = "nerve") -> bool:
    assert not any(label.error for label in by_image.values())
    return by_image.keys() == masks.keys() and all(
        np.array_equal(mask_of(by_image[image], name), mask) for image, mask in masks.items()
    )


# How the file is written.


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("suffix", ["csv", "tsv", "txt"])
def test_a_table_is_read_in_the_encodings_that_programs_write(
    folder: Path, encoding: str, separator: str, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = table_of(rle_mask=RUNS.values(), subject="Müller")
    text = table.to_csv(index=False, sep=separator, lineterminator="\r\n")
    (folder / f"train.{suffix}").write_bytes(text.encode(encoding))
    labels = labels_in(folder, f"train.{suffix}").by_image
    assert {label.subject for label in labels.values()} == {"Müller"}
    assert [mask_of(label).sum() for label in labels.values()] == [
        mask.sum() for mask in NERVE.values()
    ]
    assert ("cp1252" in capsys.readouterr().out) == (encoding == "cp1252")


@pytest.mark.parametrize("mark", ["little", "big"])
def test_utf_16_of_either_order_is_told_by_its_mark(folder: Path, mark: str) -> None:
    text = "\ufeff" + table_of(rle_mask="1 5").to_csv(index=False)
    (folder / "train.csv").write_bytes(text.encode(f"utf-16-{mark[0]}e"))
    assert labels_in(folder).by_image["001.png"].runs == {"nerve": ["1 5"]}


@pytest.mark.parametrize(
    ("name", "content"),
    [("train.xlsx", b"PK\x03\x04"), ("train.csv", b"PK\x03\x04..."), ("train.xls", b"\xd0\xcf")],
)
def test_a_workbook_is_refused_with_the_way_out(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match="save the sheet as CSV"):
        labels_in(folder, name)


def test_utf_16_without_a_mark_says_what_to_do(folder: Path) -> None:
    text = table_of(rle_mask="1 5").to_csv(index=False)
    (folder / "train.csv").write_bytes(text.encode("utf-16-le"))
    with pytest.raises(InputError, match="save it as CSV in UTF-8"):
        labels_in(folder)


def test_empty_rows_and_columns_of_a_spreadsheet_are_no_data(folder: Path) -> None:
    (folder / "train.csv").write_text("image;rle_mask;;\n001;1 5;;\n;;;\n\n")
    table = read_table(folder / "train.csv", "train_dataframe")
    assert table.to_dict("records") == [{"image": "001", "rle_mask": "1 5"}]


# Which column is which.


@pytest.mark.parametrize("image", ["ImageId", "image_id", "IMG", "id", "file name", "Path"])
@pytest.mark.parametrize("runs", ["EncodedPixels", "rle", "mask_rle", "pixels", "Segmentation"])
def test_columns_are_taken_by_their_usual_names_and_told(
    folder: Path, image: str, runs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.DataFrame({image: NAMES, runs: RUNS.values()})
    assert same(read(folder, table), NERVE)
    lines = [line for line in capsys.readouterr().out.splitlines() if "usual names" in line]
    assert len(lines) == 1
    assert f"{image} as image_column, {runs} as rle_mask_column" in lines[0]


@pytest.mark.parametrize("name", ["patient", "Patient_ID", "PatientID", "case", "subject_id"])
def test_the_subject_is_taken_by_its_usual_names(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = read(folder, table_of(rle_mask="1 5", **{name: list("aabbcc")}))
    assert [label.subject for label in labels.values()] == list("aabbcc")
    assert [label.group for label in labels.values()] == list("aabbcc")
    assert f"{name} as group_fold_column" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["ClassId", "class", "label", "Category"])
def test_the_class_is_taken_by_its_usual_names(folder: Path, name: str) -> None:
    labels = read(folder, table_of(rle_mask="1 5", **{name: ["vein", "artery"] * 3}))
    assert labels["001"].runs == {"vein": ["1 5"], "artery": []}


def test_the_diagnosis_of_images_without_a_mask_is_no_class(folder: Path) -> None:
    table = table_of(rle_mask=["1 5", "", "1 5", "", "1 5", ""], label=["1", "0"] * 3)
    assert read(folder, table)["002"].runs == {"1": [""]}


def test_a_label_with_a_value_an_image_is_no_class(folder: Path) -> None:
    numbers = [f"text {number}" for number in range(60)]
    runs = [f"{10 * number + 1} 2" for number in range(60)]
    rows = pd.DataFrame({"image": NAMES * 10, "label": numbers, "rle_mask": runs})
    rows.to_csv(folder / "train.csv", index=False)
    assert labels_in(folder).classes == ["nerve"]


def test_what_a_column_holds_tells_what_it_is(folder: Path) -> None:
    """Remarks are no run lengths, and classes are no paths, for all that one looks like it."""
    remarks = {"annotation": ["blurred", "1 5 2", *["sharp"] * 4]}
    classes = {"label": ["artery", "vein", "vein", "vein", "x.png", "vein"]}
    labels = read(folder, table_of(**remarks, **classes, pixels=RUNS.values()))
    assert np.array_equal(mask_of(labels["002"], "vein"), NERVE["002"])
    assert np.array_equal(mask_of(labels["005"], "x.png"), NERVE["005"])


def test_the_settings_own_columns_come_first_and_nothing_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = {"id": "no such", "EncodedPixels": "9 9", "patient": "x", "class": "x"}
    told = {"subject": "s", "class_id": "nerve", "rle_mask": list(RUNS.values())}
    assert same(read(folder, table_of(**told, **more)), NERVE)
    assert capsys.readouterr().out == ""


def test_a_column_that_is_asked_for_and_missing_is_not_guessed(folder: Path) -> None:
    table = pd.DataFrame({"ImageId": NAMES, "rle_mask": "1 5"})
    with pytest.raises(InputError, match="has no column 'picture', only ImageId, rle_mask"):
        read(folder, table, image_column="picture")


@pytest.mark.parametrize(
    ("columns", "first", "second", "setting"),
    [
        ({"rle": "1 5", "EncodedPixels": "1 6"}, "EncodedPixels", "rle", "rle_mask_column"),
        ({"rle": "1 5", "mask": "a.png"}, "rle", "mask", "rle_mask_column"),
        (
            {"rle_mask": "1 5", "patient": list("aabbcc"), "case": list("abcabc")},
            "patient",
            "case",
            "group_fold_column",
        ),
        (
            {"rle_mask": "1 5", "class": list("aabbcc"), "label": list("abcabc")},
            "class",
            "label",
            "class_name_column",
        ),
    ],
)
def test_two_columns_that_fit_are_an_error_that_names_the_setting(
    folder: Path, columns: dict[str, Any], first: str, second: str, setting: str
) -> None:
    with pytest.raises(InputError) as caught:
        read(folder, table_of(**columns))
    assert f"columns {first} and {second} both fit" in str(caught.value)
    assert f"set {setting}={first} or {setting}={second}" in str(caught.value)
    read(folder, table_of(**columns), **{setting: first})  # its remedy


def test_of_two_columns_the_one_that_names_images_is_taken(folder: Path) -> None:
    table = pd.DataFrame({"id": range(10, 16), "filename": NAMES, "rle": RUNS.values()})
    assert same(read(folder, table), NERVE)


def test_two_columns_that_name_other_images_are_an_error(folder: Path) -> None:
    table = pd.DataFrame({"id": NAMES, "filename": NAMES[::-1], "rle": RUNS.values()})
    with pytest.raises(InputError, match="set image_column=id or image_column=filename"):
        read(folder, table)


def test_two_columns_that_tell_the_same_are_one(folder: Path) -> None:
    paths = [f"images/{name}.png" for name in NAMES]
    table = pd.DataFrame({"id": NAMES, "path": paths, "class": list("ababab"), "rle": "1 5"})
    labels = read(folder, table.assign(category=["x", "y"] * 3))
    assert labels["001"].runs == {"a": ["1 5"], "b": []}


@pytest.mark.parametrize("name", ["ImageId", "filename", "ImageId_ClassId"])
def test_of_a_test_set_only_the_images_count(folder: Path, name: str) -> None:
    """Columns that would be an error of a table to train on are none there."""
    cells = ["a.png_1"] if name == "ImageId_ClassId" else ["a.png"]
    table = pd.DataFrame({name: cells, "patient": "x", "case": "y", "rle": "", "pixels": ""})
    found = with_image_column(table, Config(), "test.csv")
    assert found["image"].tolist() == ["a.png"]


def test_an_image_and_its_class_in_one_column_are_split_at_the_last_line(folder: Path) -> None:
    rows = [
        {"ImageId_ClassId": f"{name}.png_{number}", "EncodedPixels": runs}
        for name in NAMES
        for number, runs in enumerate([RUNS[name], rle.encode(BESIDE[name]), ""], start=1)
    ]
    labels = read(folder, pd.DataFrame(rows))
    assert same(labels, NERVE, "1")
    assert same(labels, BESIDE, "2")
    assert labels["001"].runs["3"] == [""]


def test_an_image_without_a_class_behind_it_is_named(folder: Path) -> None:
    table = pd.DataFrame({"ImageId_ClassId": ["001.png_1", "002.png"], "EncodedPixels": "1 5"})
    with pytest.raises(InputError, match=r"ImageId_ClassId holds '002.png': IMAGE_CLASS was"):
        read(folder, table)


def test_subject_img_and_pixels_with_whole_names_are_not_the_competitions(folder: Path) -> None:
    table = pd.DataFrame({"subject": list("aabbcc"), "img": NAMES, "pixels": RUNS.values()})
    assert same(read(folder, table), NERVE)


# Paths.

FILES = {
    name: ImageFile(Path(name)) for name in ("a", "a.png", "p1/b.png", "p2/b.png", "é.png", "c")
}


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("a", "a"),
        ("a.png", "a.png"),
        ("images/a.png", "a.png"),
        (r"C:\data\images\a.png", "a.png"),
        ("/home/me/data/p1/b.png", "p1/b.png"),
        (r"D:\p2\b.png", "p2/b.png"),
        ("./a.png", "a.png"),
        ("../images/a.png", "a.png"),
        ("images//c", "c"),
        ("images/e\u0301.png", "é.png"),
        ("b.png", None),
        ("p3/b.png", None),
        ("xa.png", None),
        ("a.png/", "a.png"),
        ("", None),
        ("/", None),
    ],
)
def test_a_path_means_the_image_of_its_last_parts(cell: str, name: str | None) -> None:
    assert found_in(cell, FILES) == name


@pytest.mark.parametrize("before", ["images/", "C:\\data\\images\\", "/home/me/images/", "./"])
def test_images_are_found_by_their_paths_on_another_machine(folder: Path, before: str) -> None:
    table = pd.DataFrame({"image": [f"{before}{n}.png" for n in NAMES], "rle_mask": RUNS.values()})
    assert same(read(folder, table), NERVE)


def test_two_paths_that_end_alike_are_an_error_not_one_image(folder: Path) -> None:
    table = pd.DataFrame({"image": ["p1/001.png", "p2/001.png"], "rle_mask": ["1 5", "9 5"]})
    error = read(folder, table)["001"].error
    assert error == "p1/001.png and p2/001.png of the table are the same file"


def write_masks(folder: Path, place: str = "truth", ending: str = "_m.png") -> None:
    (folder / place).mkdir(parents=True, exist_ok=True)
    for name, mask in NERVE.items():
        cv2.imwrite(str(folder / place / f"{name}{ending}"), mask)


@pytest.mark.parametrize("column", ["mask", "mask_path", "label", "segmentation", "rle_mask"])
@pytest.mark.parametrize(
    "before", ["truth/", "truth\\", "data/truth/", "", "D:\\old\\truth\\", "/home/x/masks/"]
)
def test_mask_files_are_found_by_their_paths(tmp_path: Path, column: str, before: str) -> None:
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    for name in NAMES:
        cv2.imwrite(str(folder / "images" / f"{name}.png"), tiny_image(int(name), nerve=True)[0])
    write_masks(folder)
    labels = read(folder, table_of(**{column: [f"{before}{name}_m.png" for name in NAMES]}))
    for name, label in labels.items():
        assert label.files == {"nerve": folder / "truth" / f"{name}_m.png"}
        assert (label.runs, label.error) == ({}, "")


def test_an_absolute_path_of_a_mask_is_taken_as_it_is(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    write_masks(elsewhere, "m", ".png")
    labels = read(folder, table_of(mask=[str(elsewhere / "m" / f"{name}.png") for name in NAMES]))
    assert labels["003"].files == {"nerve": elsewhere / "m" / "003.png"}


@pytest.mark.parametrize("before", ["truth/", "D:\\other\\"])
def test_an_image_is_never_its_own_mask(folder: Path, before: str) -> None:
    """Masks that have the names of their images, and one of them is missing."""
    write_masks(folder, ending=".png")
    (folder / "truth" / "002.png").unlink()
    labels = read(folder, table_of(mask=[f"{before}{name}.png" for name in NAMES]))
    assert labels["001"].files == {"nerve": folder / "truth" / "001.png"}
    assert labels["002"].files == {}
    assert "its mask" in labels["002"].error and "002.png is not there" in labels["002"].error


def test_a_missing_mask_is_not_one_of_that_name_in_another_folder(folder: Path) -> None:
    write_masks(folder, ending=".png")
    write_masks(folder, "old", ".png")
    (folder / "truth" / "002.png").unlink()
    labels = read(folder, table_of(mask=[f"truth/{name}.png" for name in NAMES]))
    assert labels["001"].files == {"nerve": folder / "truth" / "001.png"}
    assert "truth/002.png is not there" in labels["002"].error


def test_a_name_that_several_masks_have_is_an_error(folder: Path) -> None:
    write_masks(folder)
    write_masks(folder, "old")
    assert (
        "or several are" in read(folder, table_of(mask=[f"{n}_m.png" for n in NAMES]))["001"].error
    )


def test_a_path_of_the_image_itself_is_no_mask(folder: Path) -> None:
    labels = read(folder, table_of(mask=[f"images/{name}.png" for name in NAMES]))
    assert labels["001"].files == {}
    assert "its mask images/001.png is not there" in labels["001"].error


def test_another_file_among_the_masks_is_an_error_of_its_image(folder: Path) -> None:
    write_masks(folder)
    cells = [f"truth/{name}_m.png" for name in NAMES[:4]]
    labels = read(folder, table_of(mask=[*cells, "/", "truth/006.nii"]))
    assert "its mask / is not there" in labels["005"].error
    assert "its mask truth/006.nii is not there" in labels["006"].error
    assert not labels["001"].error


def test_two_masks_of_one_class_are_an_error_that_names_both(folder: Path) -> None:
    write_masks(folder)
    table = pd.DataFrame({"image": "001", "mask": ["truth/001_m.png", "truth/002_m.png"]})
    assert "two masks, 001_m.png and 002_m.png: keep one" in read(folder, table)["001"].error


def test_a_mask_file_without_a_class_is_an_error_where_there_are_several(folder: Path) -> None:
    write_masks(folder)
    cells = [f"truth/{name}_m.png" for name in NAMES]
    labels = read(folder, table_of(mask=cells, class_id=["", *"ababa"]))
    assert labels["001"].error == "has a mask without a class, and there are a, b"
    assert not labels["002"].error


def test_no_path_is_an_empty_mask_and_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_masks(folder)
    cells = [f"truth/{name}_m.png" for name in NAMES[:4]]
    labels = read(folder, table_of(mask=[*cells, "", "None"]))
    assert [label.files for label in labels.values()][4:] == [{}, {}]
    assert [label.runs for label in labels.values()][3:] == [{}, {"nerve": []}, {"nerve": []}]
    assert "2 rows name no mask file" in capsys.readouterr().out


def test_mask_files_of_two_classes_stand_in_rows(folder: Path) -> None:
    write_masks(folder, ending="_a.png")
    write_masks(folder, ending="_v.png")
    rows = [
        {"image": name, "class": what, "mask": f"truth/{name}_{what[0]}.png"}
        for name in NAMES
        for what in ("artery", "vein")
        if (name, what) != ("002", "vein")
    ]
    labels = read(folder, pd.DataFrame(rows))
    truth = folder / "truth"
    assert labels["001"].files == {"artery": truth / "001_a.png", "vein": truth / "001_v.png"}
    assert (labels["002"].files, labels["002"].runs) == (
        {"artery": truth / "002_a.png"},
        {"vein": []},
    )


# Lost leading zeros.


@pytest.mark.parametrize("cells", [[1, 2, 3, 4, 5, 6], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
@pytest.mark.parametrize("suffix", ["csv", "pq"])
def test_lost_leading_zeros_are_set_again_and_told(
    folder: Path, cells: list[Any], suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.DataFrame({"image": cells, "rle_mask": list(RUNS.values())})
    if suffix == "csv":
        table.assign(image=table["image"].astype(int)).to_csv(folder / "train.csv", index=False)
    else:
        table.to_parquet(folder / "train.pq")
    assert same(labels_in(folder, f"train.{suffix}").by_image, NERVE)
    assert "leading zeros were lost, 1 is read as 001" in capsys.readouterr().out


def test_numbers_that_had_no_leading_zero_stand_beside_those_that_had(folder: Path) -> None:
    """001 to 006 and 123: the last is found as it stands."""
    image = tiny_image(123, nerve=True)[0]
    cv2.imwrite(str(folder / "images" / "123.png"), image)
    table = pd.DataFrame({"image": [*range(1, 7), 123], "rle_mask": "1 5"})
    assert list(read(folder, table)) == [*NAMES, "123"]


@pytest.mark.parametrize("cells", [["1", "2", "77"], ["001", "2", "3"], ["1", "2", "a"]])
def test_zeros_lost_in_only_some_names_are_an_error_with_a_hint(
    folder: Path, cells: list[str]
) -> None:
    labels = read(folder, pd.DataFrame({"image": cells, "rle_mask": "1 5"}))
    assert "but 002: leading zeros were lost" in labels["2"].error


def test_names_of_several_lengths_have_lost_no_zeros(folder: Path) -> None:
    (folder / "images" / "006.png").rename(folder / "images" / "6.png")
    labels = read(folder, pd.DataFrame({"image": ["1", "6"], "rle_mask": "1 5"}))
    assert list(labels) == ["1", "6"]
    assert not labels["6"].error


# Run lengths.


@pytest.mark.parametrize("cell", ["-1", "nan", "NaN", "None", "null", "[]", "", " ", "NULL", "N/A"])
@pytest.mark.parametrize("name", ["rle_mask", "EncodedPixels"])
@pytest.mark.parametrize("what", [None, "nerve", "[]", "['nerve']", ""])
def test_an_empty_mask_is_one_however_it_is_written(
    folder: Path, cell: str, name: str, what: str | None
) -> None:
    expected = {**NERVE, "002": np.zeros(SHAPE, np.uint8)}
    runs = {**RUNS, "002": cell}
    more = {} if what is None else {"class_id": ["nerve", what, *["nerve"] * 4]}
    assert same(read(folder, table_of(**{name: runs.values()}, **more)), expected)


@pytest.mark.parametrize("cell", ["-1", "[]", "nan", ""])
def test_an_empty_mask_of_the_competitions_table_is_one_too(folder: Path, cell: str) -> None:
    runs = [cell, "1 5 9 2", "[1, 5, 9, 2]"]
    table = pd.DataFrame({"subject": 1, "img": range(3), "pixels": runs})
    table.to_csv(folder / "train.csv", index=False)
    found = [label.runs["nerve"] for label in labels_in(folder).by_image.values()]
    assert found[0] in ([], [""])
    assert found[1:] == [["1 5 9 2"]] * 2


def test_no_list_of_run_lengths_is_an_empty_mask_of_every_class(folder: Path) -> None:
    names = ["['a', 'b']"] * 6
    labels = read(folder, table_of(class_id=names, rle_mask=["['1 5', '9 5']"] * 5 + ["[]"]))
    assert labels["006"].runs == {"a": [""], "b": [""]}
    assert not labels["006"].error


def test_a_word_for_nothing_is_no_class(folder: Path) -> None:
    runs = {**RUNS, "002": "nan"}
    table = table_of(class_id=["nerve", "nan", *["nerve"] * 4], rle_mask=runs.values())
    assert same(read(folder, table), {**NERVE, "002": np.zeros(SHAPE, np.uint8)})
    assert labels_in(folder).classes == ["nerve"]


@pytest.mark.parametrize("with_class", [False, True])
@pytest.mark.parametrize("write", [str, json.dumps])
@pytest.mark.parametrize("form", ["flat", "pairs"])
def test_lists_of_numbers_are_run_lengths(
    folder: Path, with_class: bool, write: Callable[[Any], str], form: str
) -> None:
    numbers = [list(map(int, text.split())) for text in RUNS.values()]
    if form == "pairs":
        numbers = [[n[k : k + 2] for k in range(0, len(n), 2)] for n in numbers]  # type: ignore
    more = {"class_id": "nerve"} if with_class else {}
    assert same(read(folder, table_of(rle_mask=map(write, numbers), **more)), NERVE)


def test_lists_of_numbers_in_a_parquet_file_are_run_lengths(folder: Path) -> None:
    numbers = [list(map(int, text.split())) for text in RUNS.values()]
    table_of(rle_mask=numbers).to_parquet(folder / "train.pq")
    labels = labels_in(folder, "train.pq").by_image
    assert same({name[:3]: label for name, label in labels.items()}, NERVE)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "5", "9", "2"], ["1 5 9 2"]),
        (["[1, 5]", "['9', '2']"], ["1 5 9 2"]),
        (["1 5", "9 2"], ["1 5", "9 2"]),
        (["15"], ["15"]),
        (["[10, 10, 20, 20]"], ["[10, 10, 20, 20]"]),
        ([], []),
    ],
)
def test_a_list_is_joined_where_it_holds_numbers(values: list[str], expected: list[str]) -> None:
    assert joined(values) == expected


def test_polygons_in_a_cell_are_refused(folder: Path) -> None:
    labels = read(folder, table_of(rle_mask="[[10, 10, 30, 10, 30, 30]]"))
    assert "are no list of whole numbers" in labels["001"].error


def compressed(mask: np.ndarray) -> dict[str, Any]:
    counts = coco.encode(np.asfortranarray(mask))["counts"]
    return {"size": list(mask.shape), "counts": counts}


def test_compressed_counts_are_refused_by_that_word_with_the_remedy(folder: Path) -> None:
    for write in (lambda counts: counts.decode(), str):
        cells = [write(compressed(mask)["counts"]) for mask in NERVE.values()]
        for label in read(folder, table_of(rle_mask=cells)).values():
            assert "compressed, as pycocotools writes counts" in label.error
            assert '{"size": [height, width], "counts": "..."}' in label.error


@pytest.mark.parametrize("order", ["columns", "rows"])
@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("form", ["json", "python", "uncompressed"])
def test_a_dictionary_of_coco_in_a_cell_is_decoded_whatever_the_settings(
    folder: Path, order: str, start: int, form: str
) -> None:
    def cell(mask: np.ndarray) -> str:
        runs = compressed(mask)
        if form == "python":
            return str(runs)
        if form == "uncompressed":
            flat = np.concatenate([[0], mask.T.ravel(), [2]])
            return json.dumps(
                {
                    "size": runs["size"],
                    "counts": np.diff(np.flatnonzero(np.diff(flat)), prepend=0).tolist(),
                }
            )
        return json.dumps({**runs, "counts": runs["counts"].decode()})

    table = table_of(rle_mask=[cell(mask) for mask in NERVE.values()])
    labels = read(folder, table, rle_order=order, rle_start=start)
    for name, label in labels.items():
        assert (label.error, label.size) == ("", SHAPE)
        found = rle.decode_as(label.runs["nerve"][0], SHAPE, order, start)
        assert np.array_equal(found, NERVE[name])


@pytest.mark.parametrize(
    "cell",
    [
        "{",
        "{}",
        '{"size": [60, 80]}',
        '{"size": [60], "counts": "1"}',
        '{"size": [60, 80], "counts": [3]}',
        '{"size": [1000000, 1000000], "counts": [1000000000000]}',
        '{"size": 3, "counts": []}',
    ],
)
def test_a_dictionary_that_is_none_of_coco_is_an_error_of_its_image(
    folder: Path, cell: str
) -> None:
    labels = read(folder, table_of(rle_mask=[cell, *["1 5"] * 5]))
    assert "is no run lengths of COCO" in labels["001"].error
    assert not labels["002"].error


def test_a_size_that_would_fill_the_memory_is_refused(folder: Path) -> None:
    cell = '{"size": [1000000, 1000000], "counts": [1000000000000]}'
    assert "a size of 1000000x1000000" in read(folder, table_of(rle_mask=cell))["001"].error


def test_two_sizes_of_one_image_are_an_error(folder: Path) -> None:
    cells = ['{"size": [2, 2], "counts": [4]}', '{"size": [2, 3], "counts": [6]}']
    table = pd.DataFrame({"image": "001", "rle_mask": cells})
    assert "two sizes, (2, 2) and (2, 3)" in read(folder, table)["001"].error


def test_a_number_of_thousands_of_digits_is_left_to_those_who_decode(folder: Path) -> None:
    cell = f"{'1' * 5000} 5 9 5"
    assert read(folder, table_of(rle_mask=cell))["001"].runs == {"nerve": [cell]}


def relative(text: str) -> str:
    numbers, end = list(map(int, text.split())), 0
    for place in range(0, len(numbers), 2):
        start, length = numbers[place : place + 2]
        numbers[place] -= end
        end = start + length
    return " ".join(map(str, numbers))


def test_relative_starts_count_from_the_end_of_the_run_before() -> None:
    assert cumulated("387620 23 996 33 5 1") == "387620 23 388639 33 388677 1"
    for text in RUNS.values():
        assert cumulated(relative(text)) == text


def test_relative_run_lengths_are_read_as_such_and_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = [relative(text) for text in RUNS.values()]
    expected = {**NERVE, "006": np.zeros(SHAPE, np.uint8)}
    assert same(read(folder, table_of(rle_mask=[*cells[:5], "-1"])), expected)
    assert "relative run lengths, as in SIIM-ACR" in capsys.readouterr().out


def test_a_table_of_both_kinds_of_starts_is_refused(folder: Path) -> None:
    cells = [relative(text) for text in RUNS.values()]
    with pytest.raises(InputError) as caught:
        read(folder, table_of(rle_mask=[*cells[:5], RUNS["006"]]))
    assert "starts count from the end of the run before: relative run lengths" in str(caught.value)
    assert "such as that of 006.png" in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda cells: [" ".join(reversed_pairs(text)) for text in cells],  # leaves the picture
        lambda cells: [relative(cells[0]), *cells[1:]],  # a slip
        lambda cells: [relative(cells[0])] * 6,  # one slip six times
    ],
)
def test_starts_that_descend_for_another_reason_are_left_as_they_are(
    folder: Path, change: Callable[[list[str]], list[str]]
) -> None:
    cells = change(list(RUNS.values()))
    labels = read(folder, table_of(rle_mask=cells))
    assert [label.runs["nerve"] for label in labels.values()] == [[cell] for cell in cells]


def test_some_relative_run_lengths_among_many_others_are_left_as_they_are(folder: Path) -> None:
    texts = list(RUNS.values())
    cells = [*map(relative, texts[:3]), *[f"{k} 2 {k + 60} 2" for k in range(1, 8)]]
    table = pd.DataFrame({"image": [f"x{k}" for k in range(10)], "rle_mask": cells})
    labels = read(folder, table).values()
    assert [label.runs["nerve"] for label in labels] == [[cell] for cell in cells]


def reversed_pairs(text: str) -> list[str]:
    words = text.split()
    return [word for k in range(len(words) - 2, -1, -2) for word in words[k : k + 2]]


@pytest.mark.parametrize("tail", ["", " "])
def test_a_cell_as_long_as_a_spreadsheet_allows_was_cut(folder: Path, tail: str) -> None:
    text = " ".join(f"{2 * k} 1" for k in range(1, 9000))[: CELL_LIMIT - len(tail)] + tail
    shorter = text[:32_001].rsplit(" ", 2)[0]
    labels = read(folder, table_of(rle_mask=[text, shorter, *["1 5"] * 4]))
    assert "32,767 characters, the most that a spreadsheet keeps: it was cut" in labels["001"].error
    assert not labels["002"].error


# Several rows of one image.


def rows_of(*parts: dict[str, np.ndarray], **columns: list[str]) -> pd.DataFrame:
    """One row a part of each image; the columns tell of the parts."""
    return pd.DataFrame(
        {
            "image": name,
            "rle_mask": rle.encode(part[name]),
            **{column: values[k] for column, values in columns.items()},
        }
        for name in NAMES
        for k, part in enumerate(parts)
    )


@pytest.mark.parametrize("column", ["reader", "Annotator", "rater_id", "expert", "user name"])
def test_two_readers_of_one_mask_are_an_error_that_names_both(folder: Path, column: str) -> None:
    labels = read(folder, rows_of(NERVE, BESIDE, **{column: ["ann", "bob"]}))
    for label in labels.values():
        assert label.error.startswith("two readers marked it, ann and bob (by the column ")
        assert column in label.error and label.error.endswith("keep the rows of one")


def test_a_reader_who_sees_nothing_contradicts_too(folder: Path) -> None:
    nothing = dict.fromkeys(NAMES, np.zeros(SHAPE, np.uint8))
    table = rows_of(NERVE, nothing, reader=["ann", "bob"])
    assert "two readers" in read(folder, table)["001"].error


def test_a_reader_who_names_no_class_contradicts_those_of_every_class(folder: Path) -> None:
    nothing = dict.fromkeys(NAMES, np.zeros(SHAPE, np.uint8))
    more = {"reader": ["ann", "ann", "bob"], "class_id": ["nerve", "vessel", ""]}
    assert "two readers" in read(folder, rows_of(NERVE, BESIDE, nothing, **more))["001"].error


def test_rows_count_for_nothing_where_a_folder_of_masks_counts_alone(folder: Path) -> None:
    table = rows_of(NERVE, NERVE, reader=["ann", "bob"])
    settings = {"mask_folder": str(folder / "truth"), "rle_mask_column": "None"}
    label = read(folder, table, **settings)["001"]
    assert (label.error, label.runs) == ("", {"nerve": []})


def test_one_reader_of_several_pieces_or_of_each_class_is_fine(folder: Path) -> None:
    assert not read(folder, rows_of(NERVE, BESIDE, reader=["ann", "ann"]))["001"].error
    table = rows_of(NERVE, BESIDE, reader=["ann", "bob"], class_id=["nerve", "vessel"])
    assert not read(folder, table)["001"].error


def shifted(mask: np.ndarray, by: int) -> np.ndarray:
    return np.roll(mask, by, axis=1)


def test_rows_that_overlap_by_more_than_half_are_an_error(folder: Path) -> None:
    near = {name: shifted(mask, 2) for name, mask in NERVE.items()}
    for label in read(folder, rows_of(NERVE, near)).values():
        assert label.error.startswith("has two rows whose masks of nerve overlap: two readers?")


def test_pieces_of_one_mask_are_joined_and_told_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = {name: NERVE[name] | BESIDE[name] for name in NAMES}
    assert same(read(folder, rows_of(NERVE, BESIDE)), both)
    out = capsys.readouterr().out
    assert out.count("6 images have several rows: their masks are joined") == 1


def test_rows_of_several_classes_are_not_told_as_joined(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read(folder, rows_of(NERVE, NERVE, class_id=["nerve", "vessel"]))
    assert "joined" not in capsys.readouterr().out


@pytest.mark.parametrize("seed", range(20))
def test_the_overlap_of_run_lengths_is_that_of_the_masks(seed: int) -> None:
    random = np.random.default_rng(seed)
    parts = [(random.random((9, 11)) < random.random()).astype(np.uint8) for _ in range(4)]
    areas = [int(part.sum()) for part in parts]
    expected = {
        (i, k)
        for k in range(4)
        for i in range(k)
        if int((parts[i] & parts[k]).sum()) > min(areas[i], areas[k]) / 2
    }
    found = two_that_overlap([rle.encode(part) for part in parts])
    assert found in expected if expected else found is None


def test_half_of_the_smaller_mask_is_not_more_than_half() -> None:
    assert two_that_overlap(["1 4", "3 4"]) is None
    assert two_that_overlap(["1 4", "9 1", "2 40"]) == (0, 2)
    assert two_that_overlap(["", "1 4", ""]) is None


def test_the_masks_of_the_tests_do_not_overlap_and_have_several_runs() -> None:
    for name in NAMES:
        starts = list(map(int, RUNS[name].split()))[::2]
        assert all(a < b for a, b in pairwise(starts)) and len(starts) > 5
        assert not (NERVE[name] & BESIDE[name]).any()
