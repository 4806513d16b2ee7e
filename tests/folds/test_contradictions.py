from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib import rle
from lib.data.pictures.arrays import ImageFile, read_image
from lib.data.pictures.thumbnails import texture
from lib.folds.contradictions import agreement, contradictions, label_noise_ceiling, weights
from lib.folds.contradictions_sheet import PAIRS_DRAWN, sheet
from lib.folds.duplicates import near_duplicates
from tests.data.pictures.test_arrays import save
from tools.phantom.dataset import generate

# Masks of a 10 x 10 image: rows 0-3, rows 0-3, rows 2-5 (Dice .5 with them), rows 6-9, none, none.
ROWS = {"a": (0, 4), "b": (0, 4), "c": (2, 6), "d": (6, 10), "e": (0, 0), "f": (0, 0)}


def mask(first: int, last: int) -> np.ndarray:
    drawn = np.zeros((10, 10), dtype=np.uint8)
    drawn[first:last] = 1
    return drawn


def table(column: str = "rle_mask") -> pd.DataFrame:
    runs = [rle.encode(mask(*rows)) for rows in ROWS.values()]
    subjects = ["1", "1", "1", "2", "2", "2"]
    return pd.DataFrame(
        {"image": list(ROWS), column: runs, "height": 10, "width": 10, "subject": subjects}
    )


def pairs(*names: str) -> pd.DataFrame:
    """`ab` is the pair of images a and b; the first is the most similar."""
    order = list(ROWS)
    rows = [(order.index(name[0]), order.index(name[1])) for name in names]
    similarity = np.linspace(1, 0.9, len(names))
    return pd.DataFrame(rows, columns=["a", "b"], dtype=int).assign(similarity=similarity)


@pytest.mark.parametrize(
    ("names", "dice", "iou"),
    [("ab", 1, 1), ("ac", 0.5, 1 / 3), ("ad", 0, 0), ("ae", 0, 0), ("ef", 1, 1)],
)
def test_labels_agree_as_the_competition_counts(names: str, dice: float, iou: float) -> None:
    row = agreement(table(), pairs(names)).iloc[0]
    assert (row["dice"], row["iou"]) == (pytest.approx(dice), pytest.approx(iou))


def test_a_contradiction_is_of_the_class_that_agrees_least_a_score_of_all() -> None:
    images = table("rle_mask_nerve").assign(rle_mask_vessel=["1 5", "", "", "", "", ""])
    found = agreement(images, pairs("ab"))
    assert (found["worst"].tolist(), found["dice"].tolist()) == ([0], [0.5])
    assert contradictions(images, found)["twin_empty"].tolist() == [True]
    # It has a nerve, if no vessel: it is not left out.
    assert weights(images, contradictions(images, found), "drop_empty_twin").all()
    assert label_noise_ceiling(images, found)["all"]["iou"] == 0.5


@pytest.mark.parametrize("seed", range(20))
def test_runs_are_compared_as_drawn_masks_are(seed: int) -> None:
    random = np.random.default_rng(seed)
    masks = (random.random((2, 10, 10)) < random.random((2, 1, 1))).astype(np.uint8)
    images = table().assign(rle_mask=[*map(rle.encode, masks), "", "", "", ""])
    both, total = (masks[0] & masks[1]).sum(), masks.sum()
    assert agreement(images, pairs("ab"))["dice"].iloc[0] == pytest.approx(2 * both / total)


def test_masks_of_two_sizes_are_compared_at_one() -> None:
    images = table()
    images.loc[1, ["rle_mask", "height", "width"]] = [
        rle.encode(np.kron(mask(0, 4), np.ones((2, 2)))),
        20,
        20,
    ]
    assert agreement(images, pairs("ab"))["dice"].tolist() == [1]


def test_contradictions_are_the_pairs_that_overlap_less_than_half_the_worst_first() -> None:
    images = table()
    found = contradictions(images, agreement(images, pairs("ab", "ac", "ad", "ef", "ce")))
    assert list(zip(found["image"], found["twin"], strict=True)) == [("a", "d"), ("c", "e")]
    assert found["twin_empty"].tolist() == [False, True]
    assert (found["dice"] == 0).all()


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("keep", [1, 1, 1, 1, 1, 1]),
        ("drop_empty_twin", [1, 1, 1, 1, 0, 1]),
        ("downweight", [0.5, 1, 0.5, 0.5, 0.5, 1]),
    ],
)
def test_each_policy_weighs_the_images_that_contradict_each_other(
    policy: str, expected: list[float]
) -> None:
    images = table()
    found = contradictions(images, agreement(images, pairs("ab", "ad", "ce", "ef")))
    assert weights(images, found, policy).tolist() == expected


def test_the_ceiling_is_the_score_of_copying_the_nearest_twin() -> None:
    images = table()
    # a copies b (1), b copies a (1), c copies a (.5), e copies c (0), c's twin a is nearer than e.
    ceiling = label_noise_ceiling(images, agreement(images, pairs("ab", "ac", "ce")))
    assert ceiling["all"]["images"] == 4
    assert ceiling["all"]["dice"] == pytest.approx((1 + 1 + 0.5 + 0) / 4)
    assert ceiling["with_mask"]["iou"] == pytest.approx((1 + 1 + 1 / 3) / 3)


def test_without_twins_there_is_no_ceiling_and_no_contradiction() -> None:
    images = table()
    none = agreement(images, pairs())
    assert label_noise_ceiling(images, none)["all"] == {"images": 0, "iou": None, "dice": None}
    assert contradictions(images, none).empty


def test_the_sheet_shows_both_frames_with_the_outline_of_their_masks(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("images")
    images = table()
    grey = np.full((10, 10), 100, dtype=np.uint8)
    images["file"] = pd.Series([save(folder / f"{n}.png", grey) for n in ROWS], dtype=object)
    assert all(isinstance(file, ImageFile) for file in images["file"])
    found = contradictions(images, agreement(images, pairs("ad", "ae", "ce")))
    picture = np.asarray(sheet(images, found))
    outlines = (picture == (255, 210, 0)).all(axis=2)
    left, right = outlines[:, : picture.shape[1] // 4], outlines[:, picture.shape[1] // 4 :]
    assert left.sum() > 500
    assert right.sum() > 500
    assert ((picture == 100).all(axis=2)).mean() > 0.4
    many = pd.concat([found] * PAIRS_DRAWN)
    assert sheet(images, many).height == sheet(images, found).height * PAIRS_DRAWN / 2 / 2


def test_planted_contradictions_are_found_all_and_no_other(tmp_path: Path) -> None:
    """Copies of frames of ten people, moved and re-graded: under the same label, or none."""
    generate(tmp_path, 10, 1, 1, 1, workers=1)
    names = sorted(path.stem for path in (tmp_path / "train").glob("*_1.tif"))
    images = [read_image(ImageFile(tmp_path / "train" / f"{name}.tif")) for name in names]
    drawn = np.zeros((420, 580), dtype=np.uint8)
    drawn[100:200, 200:300] = 1
    copies = [np.clip(np.roll(image, (3, -4), (0, 1)) * 0.8 + 25, 0, 255) for image in images]
    labels = [drawn] * 10 + [drawn if k % 2 else drawn * 0 for k in range(10)]
    pictures = [*images, *(copy.astype(np.uint8) for copy in copies)]
    table = pd.DataFrame({"image": [*names, *(f"{name}copy" for name in names)], "subject": ""})
    table["rle_mask"] = [rle.encode(label) for label in labels]
    table = table.assign(height=420, width=580)
    pairs = near_duplicates(np.stack([texture(picture) for picture in pictures]))
    assert list(zip(pairs["a"], pairs["b"], strict=True)) == [(k, k + 10) for k in range(10)]
    found = contradictions(table, agreement(table, pairs))
    assert sorted(found["image"]) == names[::2]
    assert found["twin_empty"].all()
