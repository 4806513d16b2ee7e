"""A table of run lengths and a folder of masks of the same images must agree."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib import rle
from lib.data.layouts import load_settings
from lib.data.table import read_training_images
from lib.runtime.errors import InputError
from tests.conftest import REPOSITORY
from tests.data.test_layouts import IMAGES, NAMES, Masks, folders, read, save, second

Write = Callable[[np.ndarray], str]


def from_zero(text: str) -> str:
    numbers = list(map(int, text.split()))
    return " ".join(str(n - (place % 2 == 0)) for place, n in enumerate(numbers))


READINGS: dict[tuple[str, int], Write] = {
    ("columns", 1): rle.encode,
    ("columns", 0): lambda mask: from_zero(rle.encode(mask)),
    ("rows", 1): lambda mask: rle.encode(mask.T),
    ("rows", 0): lambda mask: from_zero(rle.encode(mask.T)),
}


def both(folder: Path, write: Write = rle.encode, wrong: tuple[str, ...] = ()) -> Masks:
    """pictures/ and truth/, and a table, which tells the `wrong` ones mirrored; the truth."""
    truth = folders("pictures/{}.png", "truth/{}.png")(folder)
    rows = [(n, write(m[::-1] if n in wrong else m)) for n, (m,) in truth.items()]
    table = pd.DataFrame(rows, columns=["image", "rle_mask"])
    table.to_csv(folder / "train.csv", index=False)
    return truth


def same(found: Masks, truth: Masks) -> list[str]:
    return [n for n, masks in truth.items() if (found[n][0] == masks[0]).all()]


@pytest.mark.parametrize("reading", READINGS)
def test_masks_tell_how_run_lengths_are_read(
    tmp_path: Path, reading: tuple[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    truth = both(tmp_path, READINGS[reading])
    assert same(read(tmp_path), truth) == NAMES
    told = capsys.readouterr().out
    assert "agree, pixel by pixel, in the 12 images that have both" in told
    words = f"rle_order={reading[0]} and rle_start={reading[1]}"
    assert (words in told) == (reading != ("columns", 1))
    config = load_settings(REPOSITORY / "config.yaml", [f"data={tmp_path}"])
    settled: dict[str, object] = {"rle_order": reading[0], "rle_start": reading[1]}
    settled = {} if reading == ("columns", 1) else settled
    assert read_training_images(config).settled == settled


def test_those_that_differ_are_named_with_the_settings_that_choose(tmp_path: Path) -> None:
    truth = both(tmp_path, wrong=("11", "23"))
    with pytest.raises(InputError, match=r"2 images .*\n.*11: table and 11.png differ in \d+ pix"):
        read(tmp_path)
    assert set(NAMES) - set(same(read(tmp_path, "mask_folder=None"), truth)) == {"11", "23"}
    for choice in ("rle_mask_column=None", "train_dataframe=None"):
        assert same(read(tmp_path, choice), truth) == NAMES


def test_images_without_a_mask_file_have_the_table(tmp_path: Path) -> None:
    truth = both(tmp_path)
    (tmp_path / "truth" / "11.png").unlink()
    assert same(read(tmp_path), truth) == NAMES


def test_classes_of_other_names_are_compared_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table tells one class, the masks two."""
    truth = both(tmp_path, lambda mask: rle.encode(mask | second(mask)))
    with pytest.raises(InputError, match="12 images"):
        read(tmp_path)
    for name, (mask,) in truth.items():
        save(tmp_path / "truth" / f"{name}.png", mask + 2 * second(mask))
    found = read(tmp_path)
    assert same(found, {n: [m | second(m)] for n, (m,) in truth.items()}) == NAMES
    assert "classes        nerve, from" in capsys.readouterr().out


def test_two_folders_of_masks_beside_a_table_are_an_error_with_its_way_out(tmp_path: Path) -> None:
    truth = both(tmp_path)
    folders("pictures/{}.png", "more/{}.png")(tmp_path)
    with pytest.raises(InputError, match=r"or mask_folder=None for the labels of .*train.csv"):
        read(tmp_path)
    assert same(read(tmp_path, f"mask_folder={tmp_path / 'more'}"), truth) == NAMES


def test_masks_beside_a_tool_s_file_are_told(tmp_path: Path) -> None:
    folders()(tmp_path)
    shape = next(iter(IMAGES.values()))[0].shape
    images = [
        {"id": k, "file_name": f"{n}.png", "height": shape[0], "width": shape[1]}
        for k, n in enumerate(NAMES)
    ]
    coco = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "nerve"}]}
    pd.Series(coco).to_json(tmp_path / "labels.json")
    told: list[str] = []
    load_settings(REPOSITORY / "config.yaml", [f"data={tmp_path}"], told.append)
    assert "masks: not used, for" in told[0]
