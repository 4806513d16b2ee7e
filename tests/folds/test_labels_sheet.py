"""labels.png: which images stand on it, and their outlines."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from lib import rle
from lib.data.pictures.arrays import ImageFile
from lib.folds.labels_sheet import A_ROW, DRAWN, WIDTH, chosen, sheet
from lib.folds.outlined import COLOURS, PANEL, outlined
from lib.runtime.errors import InputError

SHAPE = (42, 58)


def table_of(folder: Path, areas: list[int]) -> pd.DataFrame:
    """An image for each width of a mask ten rows high, of three people in turn."""
    rows = []
    for number, width in enumerate(areas):
        mask = np.zeros(SHAPE, dtype=np.uint8)
        mask[10:20, 5 : 5 + width] = 1
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), np.full(SHAPE, 90, dtype=np.uint8))
        rows.append((f"{number}", ImageFile(path), rle.encode(mask), *SHAPE, f"p{number % 3}"))
    columns = ["image", "file", "rle_mask", "height", "width", "group"]
    return pd.DataFrame(rows, columns=columns)


def test_the_smallest_the_largest_empty_ones_and_all_people_are_chosen(tmp_path: Path) -> None:
    table = table_of(tmp_path, [0] * 10 + list(range(1, 41)))
    found = chosen(table)
    assert len(found) == DRAWN
    assert (found["area"] == 0).sum() == 4
    assert {"10", "49"} <= set(found["image"])
    assert set(found["group"]) == {"p0", "p1", "p2"}
    assert found["image"].tolist() == chosen(table.sample(frac=1, random_state=3))["image"].tolist()


def test_a_small_set_is_shown_whole(tmp_path: Path) -> None:
    assert len(chosen(table_of(tmp_path, [0, 3, 9]))) == 3
    assert len(chosen(table_of(tmp_path, [0] * 3))) == 3
    assert len(chosen(table_of(tmp_path, list(range(1, 12))))) == 11


def test_the_outline_stands_where_the_mask_is_and_the_frame_keeps_its_aspect(
    tmp_path: Path,
) -> None:
    row = table_of(tmp_path, [20]).iloc[0]
    row["height"], row["width"] = SHAPE
    panel = outlined(row)
    assert panel.shape == (PANEL[1], PANEL[0], 3)
    ys, xs = np.nonzero((panel == COLOURS[0]).all(axis=2))
    scale = PANEL[1] / SHAPE[0]
    assert abs(ys.min() - 10 * scale) <= 2
    assert abs(xs.max() - 25 * scale) <= 3


def test_the_sheet_has_a_row_for_four_images(tmp_path: Path) -> None:
    one, two = (sheet(table_of(tmp_path, [5] * count)) for count in (A_ROW, A_ROW + 1))
    assert one.width == two.width
    assert two.height - one.height > PANEL[1]
    assert (np.asarray(one) == COLOURS[0]).all(axis=2).any()


def test_a_long_name_is_cut_at_its_start_and_no_mask_is_told_behind_it(tmp_path: Path) -> None:
    """Above a panel there is room for the end of the name: the same sheet with another start."""
    table = table_of(tmp_path, [0])
    one, other = (
        np.asarray(sheet(table.assign(image=start + "b" * WIDTH))) for start in ("a" * 30, "")
    )
    assert (one == other).all()


def test_a_picture_that_was_damaged_since_it_was_read_is_named(tmp_path: Path) -> None:
    table = table_of(tmp_path, [1])
    file = table["file"].iloc[0]
    file.path.write_bytes(file.path.read_bytes()[:40])
    with pytest.raises(InputError, match=f"{file.path.name}: not an image of a known format"):
        outlined(table.iloc[0])
