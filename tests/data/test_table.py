from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lib import rle
from lib.config.fields import Config
from lib.data.images_of_test import read_test_images, read_test_table
from lib.data.layouts import load_settings
from lib.data.pictures.arrays import read_image
from lib.data.table import read_training_images
from lib.runtime.errors import InputError
from tests.conftest import REPOSITORY, SHAPE, configured, step, tiny_image, write_competition


def write_hydrogen_torch(folder: Path, suffix: str = "pq", with_test: bool = False) -> Path:
    """The layout of Hydrogen Torch: 6 subjects of 2 images with a nerve."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for number in range(12):
        image, mask = tiny_image(number, nerve=True)
        name = f"{number // 2:03d}_{number % 2}.png"
        cv2.imwrite(str(folder / "images" / name), image)
        rows.append({"image": name, "class_id": "nerve", "rle_mask": rle.encode(mask)})
    table = pd.DataFrame(rows).assign(subject=[number // 2 for number in range(12)])
    train = table.iloc[:10] if with_test else table
    for name, part in (("train", train), *([("test", table.iloc[10:])] if with_test else [])):
        if suffix == "csv":
            part.to_csv(folder / f"{name}.csv", index=False)
        else:
            part.to_parquet(folder / f"{name}.{suffix}")
    return folder


def read_training_table(config: Config) -> pd.DataFrame:
    return read_training_images(config).table


def edit_table(data: Path, change: Callable[[pd.DataFrame], pd.DataFrame | None]) -> None:
    """Changes train_masks.csv: in place, or into what `change` returns."""
    path = data / "train_masks.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    changed = change(table)
    (table if changed is None else changed).to_csv(path, index=False)


def test_the_competition_is_read_from_one_word(settings: list[str]) -> None:
    table = read_training_table(configured(settings))
    assert len(table) == 24
    assert set(table["subject"]) == set("123456")
    assert table["image"].is_monotonic_increasing
    assert (table["rle_mask"] == "").sum() == 6
    assert set(zip(table["height"], table["width"], strict=True)) == {SHAPE}
    row = table[table["image"] == "2_1"].iloc[0]
    assert np.array_equal(rle.decode(row["rle_mask"], SHAPE), tiny_image(201, nerve=True)[1])


def test_the_test_images_keep_the_order_of_the_submission(settings: list[str]) -> None:
    table = read_test_table(configured(settings))
    assert table is not None
    assert table["image"].tolist() == ["3", "2", "1"]


def test_masks_are_read_from_files_where_there_is_no_csv(data: Path, settings: list[str]) -> None:
    with_csv = read_training_table(configured(settings)).drop(columns="told_group")
    (data / "train_masks.csv").unlink()
    found = read_training_table(configured(settings)).drop(columns="told_group")
    assert found.equals(with_csv)


def test_masks_are_read_from_the_csv_where_there_are_no_files(
    data: Path, settings: list[str]
) -> None:
    with_files = read_training_table(configured(settings))
    for path in data.glob("train/*_mask.tif"):
        path.unlink()
    assert read_training_table(configured(settings)).equals(with_files)


@pytest.mark.parametrize("suffix", ["pq", "parquet", "csv"])
@pytest.mark.parametrize("with_test", [False, True])
def test_hydrogen_torchs_layout_is_read_from_one_word(
    tmp_path: Path, suffix: str, with_test: bool
) -> None:
    folder = write_hydrogen_torch(tmp_path / "ht", suffix, with_test)
    config = load_settings(REPOSITORY / "config.yaml", [f"data={folder}"])
    table = read_training_table(config)
    assert len(table) == (10 if with_test else 12)
    assert table["image"].iloc[0] == "000_0.png"
    test = read_test_table(config)
    assert (None if test is None else len(test)) == (2 if with_test else None)


def test_the_data_settings_can_be_given_one_by_one(data: Path, settings: list[str]) -> None:
    one_by_one = [
        f"train_dataframe={data / 'train_masks.csv'}",
        f"data_folder={data / 'train'}",
        f"test_dataframe={data / 'sample_submission.csv'}",
        f"data_folder_test={data / 'test'}",
    ]
    assert configured(settings[1:], *one_by_one) == configured(settings)


def test_the_test_images_are_those_of_the_table_and_the_folder_asked_for(
    data: Path, settings: list[str]
) -> None:
    (data / "test").rename(data / "others")
    pd.DataFrame({"image": ["3", "1"]}).to_csv(data / "some.csv", index=False)
    more = [f"data_folder_test={data / 'others'}", f"test_dataframe={data / 'some.csv'}"]
    table = read_test_table(configured(settings, *more))
    assert table is not None
    assert table["image"].tolist() == ["3", "1"]
    assert [file.path.parent.name for file in table["file"]] == ["others"] * 2


def test_images_are_scaled_from_the_bits_asked_for(data: Path, settings: list[str]) -> None:
    for path in data.glob("train/?_?.tif"):
        cv2.imwrite(str(path), np.full(SHAPE, 2**12 - 1, dtype=np.uint16))
    greys = []
    for bits in (12, 16):
        files = read_training_table(configured(settings, f"image_bits={bits}"))["file"]
        greys.append({int(read_image(file).max()) for file in files})
    assert greys == [{255}, {16}]


def test_test_images_need_no_table(data: Path, settings: list[str]) -> None:
    (data / "sample_submission.csv").unlink()
    cv2.imwrite(str(data / "test" / "10.tif"), tiny_image(10, nerve=True)[0])
    table = read_test_table(configured(settings))
    assert table is not None
    assert table["image"].tolist() == ["1", "2", "3", "10"]


def test_test_images_that_are_not_compared_keep_no_textures(settings: list[str]) -> None:
    config = configured(settings)
    compared, others = read_test_images(config), read_test_images(config, compared=False)
    assert compared and len(compared.textures) == len(compared.table) > 0
    assert others and others.textures == []
    assert others.table.equals(compared.table)


def test_image_names_of_digits_keep_their_zeros(tmp_path: Path) -> None:
    folder = write_hydrogen_torch(tmp_path / "ht", "csv")
    table = pd.read_csv(folder / "train.csv", dtype=str)
    table["image"] = table["image"].str.removesuffix(".png").str.replace("_", "")
    table.to_csv(folder / "train.csv", index=False)
    for path in list((folder / "images").iterdir()):
        path.rename(path.with_name(path.name.replace("_", "")))
    config = load_settings(REPOSITORY / "config.yaml", [f"data={folder}"])
    assert read_training_table(config)["image"].iloc[1] == "0001"


# What is done to the data, and what the error must say. 1_1 is an image with a nerve.


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write_image(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(path)


def half_transparent() -> np.ndarray:
    return np.dstack([np.zeros((*SHAPE, 3), np.uint8), np.full(SHAPE, 128, np.uint8)])


BAD_FILES: list[tuple[str, Callable[[Path], object], str]] = [
    ("1_1.tif", Path.unlink, "1_1: there is no such image"),
    ("1_1.tif", truncate, "1_1: not an image of a known format, or its end"),
    ("1_1.tif", lambda path: path.write_bytes(b""), "1_1: not an image"),
    ("1_1.tif", lambda path: path.write_text("<html>"), "1_1: not an image"),
    ("1_1.tif", lambda path: write_image(path, np.full(SHAPE, 300.5, np.float32)), "300.5"),
    ("1_1.tif", lambda path: write_image(path, half_transparent()), "1_1: has transparent"),
    ("1_1.tif", lambda path: write_image(path, np.zeros((60, 79), np.uint8)), "60x79"),
    ("1_1_mask.tif", truncate, "its mask 1_1_mask.tif: not an image"),
    (
        "1_1_mask.tif",
        lambda path: write_image(path, tiny_image(1, True)[0]),
        "a mask holds 0 and",
    ),
    ("1_1_mask.tif", lambda path: write_image(path, np.zeros(SHAPE, np.uint8)), "differ in"),
    (
        "1_1_mask.tif",
        lambda path: write_image(path, np.zeros((9, 9), np.uint8)),
        "1_1_mask.tif 9x9",
    ),
]


@pytest.mark.parametrize(("name", "damage", "complaint"), BAD_FILES)
def test_a_bad_file_is_an_error_that_names_it(
    data: Path,
    settings: list[str],
    name: str,
    damage: Callable[[Path], object],
    complaint: str,
) -> None:
    damage(data / "train" / name)
    with pytest.raises(InputError) as caught:
        read_training_table(configured(settings))
    assert complaint in str(caught.value)
    assert "1_1" in str(caught.value)


BAD_TABLES: list[tuple[Callable[[pd.DataFrame], pd.DataFrame | None], str]] = [
    (lambda table: table.head(0), "the table has no rows"),
    (lambda table: table.drop(columns="pixels"), "has no column 'rle_mask', only subject, img"),
    (lambda table: table.rename(columns={"img": "imgs"}), "has no column 'image'"),
    (lambda table: pd.concat([table, table.head(1)]), "1_1: stands in the table twice"),
    (lambda table: table.replace({"subject": {"1": "77"}}), "77_1: there is no such image"),
    (lambda table: table.assign(pixels="1 2 3"), "1_1: 3 numbers: run lengths come in pairs"),
    (lambda table: table.assign(pixels="4799 9"), "1_1: run `4799 9` ends outside the 4800"),
    (lambda table: table.assign(pixels="x y"), "1_1: `x` is not a whole number"),
]


@pytest.mark.parametrize(("change", "complaint"), BAD_TABLES)
def test_a_bad_table_is_an_error_that_names_the_row_or_column(
    data: Path,
    settings: list[str],
    change: Callable[[pd.DataFrame], pd.DataFrame | None],
    complaint: str,
) -> None:
    edit_table(data, change)
    with pytest.raises(InputError) as caught:
        read_training_table(configured(settings))
    assert complaint in str(caught.value)


def test_an_unknown_name_is_given_its_nearest(tmp_path: Path) -> None:
    folder = write_hydrogen_torch(tmp_path / "ht")
    path = folder / "images" / "000_0.png"
    path.rename(path.with_name("0000_0.png"))
    with pytest.raises(InputError, match=r"000_0.png: there is no such .* \(near: 0000_0.png\)"):
        read_training_table(load_settings(REPOSITORY / "config.yaml", [f"data={folder}"]))


def test_all_bad_images_are_listed_at_once_the_first_twenty_and_the_count(
    data: Path, settings: list[str]
) -> None:
    for path in data.glob("train/?_?.tif"):
        truncate(path)
    with pytest.raises(InputError) as caught:
        read_training_table(configured(settings))
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("24 images of")
    assert len(lines) == 22
    assert lines[-1].strip() == "... and 4 more"


def test_a_folder_without_an_image_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_hydrogen_torch(tmp_path / "ht")
    for path in (folder / "images").iterdir():
        path.rename(path.with_suffix(".dat"))
    words = [f"data_folder={folder / 'images'}", f"train_dataframe={folder / 'none.json'}"]
    (folder / "none.json").write_text('{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(InputError, match="tells of no image"):
        read_training_table(load_settings(REPOSITORY / "config.yaml", words))
    assert "are no images: " in capsys.readouterr().out


def test_none_on_the_command_line_wins_over_what_a_folder_holds(
    data: Path, settings: list[str]
) -> None:
    assert configured(settings).train_dataframe.endswith("train_masks.csv")
    config = configured(settings, "train_dataframe=None", "test_dataframe=None")
    assert (config.train_dataframe, config.test_dataframe) == ("None", "None")
    assert len(read_training_table(config)) == 24


def test_errors_of_different_kinds_are_listed_together(data: Path, settings: list[str]) -> None:
    (data / "train" / "1_1.tif").unlink()
    truncate(data / "train" / "1_2.tif")
    with pytest.raises(InputError) as caught:
        read_training_table(configured(settings))
    assert str(caught.value).startswith("2 images of")


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [(truncate, "3: not an image of a known format"), (Path.unlink, "no such image")],
)
def test_a_bad_test_image_stops_the_first_step(
    data: Path, settings: list[str], damage: Callable[[Path], object], complaint: str
) -> None:
    damage(data / "test" / "3.tif")
    with pytest.raises(InputError, match=complaint):
        step(1).main(configured(settings))


def test_a_folder_of_unknown_layout_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").touch()
    with pytest.raises(InputError, match=r"holds notes; it holds no picture of .*; known"):
        load_settings(REPOSITORY / "config.yaml", [f"data={tmp_path}"])


def test_no_data_says_how_to_give_it() -> None:
    with pytest.raises(InputError, match="data_folder is not set: give data=PATH"):
        read_training_table(load_settings(REPOSITORY / "config.yaml"))


def test_a_missing_folder_is_named(settings: list[str]) -> None:
    with pytest.raises(InputError, match="data_folder=/nowhere: there is no such folder"):
        read_training_table(configured(settings, "data_folder=/nowhere"))


def test_files_that_no_row_names_are_told(
    data: Path, settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    edit_table(data, lambda table: table.iloc[1:])
    assert len(read_training_table(configured(settings))) == 23
    assert "1 image files are not in" in capsys.readouterr().out


def test_folds_by_subject_need_to_know_the_subject(data: Path, settings: list[str]) -> None:
    with pytest.raises(InputError, match="group_fold_column=patient: nobody tells it"):
        step(1).main(configured(settings, "group_fold_column=patient"))


@pytest.mark.parametrize("suffix", ["pq", "csv"])
def test_a_table_whose_index_repeats_keeps_its_labels(tmp_path: Path, suffix: str) -> None:
    folder = write_hydrogen_torch(tmp_path / "ht", "csv")
    table = pd.read_csv(folder / "train.csv")
    expected = dict(zip(table["image"], table["rle_mask"], strict=True))
    repeated = pd.concat([table.iloc[6:].reset_index(drop=True), table.iloc[:6]])
    (folder / "train.csv").unlink()
    if suffix == "csv":
        repeated.to_csv(folder / "train.csv", index=False)
    else:
        repeated.to_parquet(folder / "train.pq")
    read = read_training_table(load_settings(REPOSITORY / "config.yaml", [f"data={folder}"]))
    assert dict(zip(read["image"], read["rle_mask"], strict=True)) == expected


def test_the_columns_asked_for_are_read_beside_columns_of_the_usual_names(tmp_path: Path) -> None:
    folder = write_hydrogen_torch(tmp_path / "ht", "csv")
    table = pd.read_csv(folder / "train.csv")
    expected = dict(zip(table["image"], table["rle_mask"], strict=True))
    table["file"], table["expert"], table["patient"] = table["image"], table["rle_mask"], "p"
    table["image"], table["rle_mask"] = "no such", "1 1"
    table["patient"] = [f"p{number // 4}" for number in range(12)]
    table.drop(columns="subject").to_csv(folder / "train.csv", index=False)
    names = ["image_column=file", "rle_mask_column=expert", "group_fold_column=patient"]
    config = load_settings(REPOSITORY / "config.yaml", [f"data={folder}", *names])
    read = read_training_table(config)
    assert dict(zip(read["image"], read["rle_mask"], strict=True)) == expected
    assert set(read["subject"]) == set(read["told_group"]) == {"p0", "p1", "p2"}


def test_one_file_under_two_names_is_an_error(data: Path, settings: list[str]) -> None:
    rows = pd.DataFrame({"image": ["1_1", "1_1.tif", "2_1"], "rle_mask": "", "subject": "1"})
    rows.to_csv(data / "table.csv", index=False)
    config = configured(settings, f"train_dataframe={data / 'table.csv'}")
    with pytest.raises(InputError, match=r"1_1.tif: 1_1 and 1_1.tif are the same file"):
        read_training_table(config)


def test_run_lengths_of_blanks_are_an_empty_mask(data: Path, settings: list[str]) -> None:
    for path in data.glob("train/*_mask.tif"):
        path.unlink()
    edit_table(data, lambda table: table.assign(pixels="  "))
    assert (read_training_table(configured(settings))["rle_mask"] == "").all()


def test_hidden_files_and_masks_are_no_test_images(data: Path, settings: list[str]) -> None:
    (data / "sample_submission.csv").unlink()
    for name in ("._1.tif", "1_mask.tif"):
        (data / "test" / name).write_bytes((data / "test" / "1.tif").read_bytes())
    table = read_test_table(configured(settings))
    assert table is not None
    assert table["image"].tolist() == ["1", "2", "3"]


def test_a_sample_submission_without_test_images_is_an_error(
    data: Path, settings: list[str]
) -> None:
    for path in data.glob("test/*"):
        path.unlink()
    (data / "test").rmdir()
    with pytest.raises(InputError, match=r"data_folder_test=.*test: there is no such folder"):
        read_test_table(configured(settings))


def test_a_data_set_without_a_test_set_is_fine(tmp_path: Path) -> None:
    folder = write_competition(tmp_path / "no_test")
    for path in folder.glob("test/*"):
        path.unlink()
    (folder / "test").rmdir()
    (folder / "sample_submission.csv").unlink()
    assert read_test_table(load_settings(REPOSITORY / "config.yaml", [f"data={folder}"])) is None
