"""What is told of masks besides IoU and Dice: columns, means, empty masks, millimetres, strata."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib.artifacts.folds import load_folds
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.decision.boundary import apart
from lib.decision.measures import (
    IN_MILLIMETRES,
    IN_PIXELS,
    measures_of,
    spacing_of,
    summarised,
)
from lib.decision.rule import Rule, decide
from lib.decision.strata import THIRDS, strata_of, thirds
from lib.decision.text import measures_table
from lib.metric import bootstrap_interval, mean_score, mean_scores
from tests.decision.test_boundary import NOTHING, PAIRS, THEIRS, square
from tests.decision.test_nested import config_of, last_step, write_run
from tests.decision.test_search import made_up

DIAGONAL = 20.0  # of test_boundary's masks
HD95 = 5**0.5 + 0.45 * (8**0.5 - 5**0.5)
# Truth, mask, and precision, sensitivity, specificity, hd95, assd, nsd, centroids apart, area error
CASES = [
    (NOTHING, NOTHING, [1, 1, 1, 0, 0, 1, 0, 0]),
    (square(1, 1), NOTHING, [0, 0, None, DIAGONAL, DIAGONAL, 0, DIAGONAL, -9]),
    (NOTHING, square(1, 1), [0, 0, 0, DIAGONAL, DIAGONAL, 0, DIAGONAL, 9]),
    (square(1, 1), square(1, 1), [1, 1, None, 0, 0, 1, 0, 0]),
    (square(1, 1), square(1, 3), [1 / 3, 1 / 3, None, 2, 1, 5 / 8, 2, 0]),
    # 95 % of the way through twelve distances: .45 of the way from the eleventh to the last.
    (square(1, 1, 2), square(1, 1, 4), [1 / 4, 1, None, HD95, None, None, 2**0.5, 12]),
]


@pytest.mark.parametrize(("truth", "mask", "expected"), CASES)
def test_measures_are_those_worked_by_hand(
    truth: np.ndarray, mask: np.ndarray, expected: list[float | None]
) -> None:
    found = measures_of(truth, mask, None, Config(nsd_tolerance=1))
    assert list(found) == list(IN_PIXELS)
    for (name, value), wanted in zip(found.items(), expected, strict=True):
        if wanted is not None:
            assert value == pytest.approx(wanted), name
    assert np.isnan(found["presence_specificity"]) == truth.any()


def test_precision_and_sensitivity_are_monais() -> None:
    for k, pair in enumerate(PAIRS):
        found = measures_of(pair.truth, pair.prediction, None, Config())
        for name in ("precision", "sensitivity"):
            assert found[name] == pytest.approx(THEIRS[name][k], abs=1e-6)


def test_millimetres_are_pixels_of_their_size_and_have_a_tolerance_of_their_own() -> None:
    config = Config(nsd_tolerance=2, nsd_tolerance_mm=0.3)
    truth, mask = square(1, 1), square(2, 4)
    found = measures_of(truth, mask, (0.2, 0.1), config)
    assert list(found) == [*IN_PIXELS, *IN_MILLIMETRES]
    expected = apart(truth, mask, 0.3, (0.2, 0.1))
    assert [found[f"{name}_mm"] for name in expected._fields] == list(expected)
    assert found["centroid_distance_mm"] == pytest.approx(np.hypot(0.2, 0.3))
    assert found["nsd_mm"] != found["nsd"]
    larger = measures_of(truth, square(1, 1, 4), (0.2, 0.1), config)
    assert larger["area_error_mm2"] == pytest.approx(7 * 0.2 * 0.1)
    missed = measures_of(truth, NOTHING, (0.2, 0.1), config)
    assert missed["hd95_mm"] == pytest.approx(np.hypot(12 * 0.2, 16 * 0.1))


@pytest.mark.parametrize(
    ("told", "setting", "expected"),
    [
        ("", [], None),
        ("0.2 0.1", [], (0.2, 0.1)),
        ("", [0.3], (0.3, 0.3)),
        ("0.2 0.1", [0.4, 0.5], (0.4, 0.5)),
        (None, [], None),  # a folds.csv from before there was such a column
    ],
)
def test_the_spacing_is_the_settings_else_the_files(
    told: str | None, setting: list[float], expected: tuple[float, float] | None
) -> None:
    row = {} if told is None else {"spacing": told}
    assert spacing_of(row, Config(pixel_spacing_mm=setting)) == expected


# Five masks of three people: found, half found, missed, false alarm, rightly empty.
ROWS = pd.DataFrame(
    {
        "image": list("abcde"),
        "subject": ["x", "x", "y", "y", "z"],
        "iou": [1, 0.5, 0, 0, 1],
        "dice": [1, 0.6, 0, 0, 1],
        "area": [4, 4, 0, 3, 0],
        "true_area": [4, 6, 8, 0, 0],
        "presence_specificity": [np.nan, np.nan, np.nan, 0, 1],
        "hd95": [0.0, 3, 20, 20, 0],
        "nsd": [1, 0.5, 0, 0, 1],
        "hd95_mm": [0, 0.3, np.nan, np.nan, np.nan],
    }
)


def test_empty_masks_are_counted_and_stand_apart_from_the_others() -> None:
    found = summarised(ROWS)
    assert [found[key] for key in ("masks", "both_empty", "missed", "false_alarms")] == [5, 1, 1, 1]
    every, both = found["every_mask"]["hd95"], found["neither_empty"]["hd95"]
    assert (every["mean"], every["median"], every["masks"]) == (pytest.approx(43 / 5), 3, 5)
    assert (both["mean"], both["median"], both["masks"]) == (1.5, 1.5, 2)
    assert both["interval"] is None  # of one person
    assert found["with_nerve"]["hd95"]["mean"] == pytest.approx(23 / 3)
    subjects = ROWS["subject"].to_numpy(dtype=str)
    assert every["interval"] == bootstrap_interval(ROWS["hd95"].to_numpy(), subjects)


def test_a_measure_is_told_of_those_masks_that_have_it() -> None:
    found = summarised(ROWS)
    specificity = found["every_mask"]["presence_specificity"]
    assert (specificity["mean"], specificity["masks"]) == (0.5, 2)
    nothing = {"mean": None, "interval": None, "median": None, "masks": 0}
    assert found["neither_empty"]["presence_specificity"] == nothing
    assert found["every_mask"]["hd95_mm"]["masks"] == 2


def test_means_of_several_columns_are_those_of_each() -> None:
    scores = np.random.default_rng(0).random((30, 3))
    subjects = np.array([str(k % 7) for k in range(30)])
    for score, column in zip(mean_scores(scores, subjects), scores.T, strict=True):
        assert score == pytest.approx(mean_score(column, subjects))
    assert mean_scores(scores[:0], subjects[:0])[0].mean is None


def test_the_printed_table_is_in_pixels_until_every_spacing_is_known() -> None:
    rows = ROWS.assign(**{key: 0.5 for key in IN_PIXELS if key not in ROWS})
    text = measures_table(summarised(rows), Config(), several=False)
    assert "HD95, px" in text
    assert "mm" not in text
    assert "all 5 images" in text.splitlines()[0]
    assert "both masks empty: 1 images, counted as perfect; missed: 1, false alarms: 1," in text
    rows = rows.assign(**dict.fromkeys(IN_MILLIMETRES, 0.25))
    text = measures_table(summarised(rows), Config(), several=True)
    assert "HD95, mm" in text
    assert "NSD at 1 mm" in text
    assert "px" not in text
    assert all(len(line) <= 130 for line in text.splitlines())


def test_nerves_are_parted_into_thirds_class_by_class() -> None:
    rows = pd.DataFrame({"true_area": [0, 10, 20, 30, 0, 300, 100, 200]})
    rows["class_id"] = ["a"] * 4 + ["b"] * 4
    small, middle, large = THIRDS
    expected = [None, small, middle, large, None, large, small, middle]
    assert [None if pd.isna(name) else name for name in thirds(rows)] == expected


def test_strata_are_of_the_tables_of_01(tmp_path: Path) -> None:
    config = Config(runs_folder=str(tmp_path))
    assert list(strata_of(ROWS, config)) == ["size"]
    Run.of(config).folder.mkdir(parents=True)
    pairs = [("a", "b", "train"), ("c", "9", "test")]
    table = pd.DataFrame(pairs, columns=["image", "twin", "twin_part"])
    table.to_csv(Run.of(config).duplicates, index=False)
    pd.DataFrame([("a", "d")], columns=["image", "twin"]).to_csv(
        Run.of(config).contradictions, index=False
    )
    found = strata_of(ROWS, config)
    assert found["near_duplicates"]["with"]["images"] == 2
    assert found["near_duplicates"]["without"]["images"] == 3
    doubtful = found["contradictory_labels"]["with"]
    assert (doubtful["images"], doubtful["false_alarms"], doubtful["hd95_median"]) == (2, 1, 0)
    assert [part["images"] for part in found["size"].values()] == [1, 1, 1]
    assert found["size"]["largest third"]["missed"] == 1


def test_04_keeps_the_masks_that_it_scores_and_writes_the_same_bytes_again(tmp_path: Path) -> None:
    maps, truths, presence = made_up(48)
    presence = presence.astype(np.float32).astype(float)
    config = config_of(tmp_path, "pixel_spacing_mm=0.1", "nsd_tolerance=1", "nsd_tolerance_mm=0.3")
    write_run(config, maps, truths, presence)
    folder = last_step(config)
    decision = json.loads((folder / "decision.json").read_text())
    rules = [Rule(**rule) for rule in decision["nested_rules"]["nerve"]]
    rows = pd.read_csv(folder / "oof_iou.csv").set_index("image")
    with np.load(folder / "oof_masks.npz") as masks:
        assert sorted(masks.files) == sorted(load_folds(config).table["image"])
        for k, (probability, truth) in enumerate(zip(maps, truths, strict=True)):
            row, mask = rows.loc[f"i{k}"], masks[f"i{k}"]
            drawn = decide(probability, float(presence[k]), rules[int(row["fold"])])
            np.testing.assert_array_equal(mask, drawn)
            assert mask.dtype == np.uint8
            expected = measures_of(truth, mask, (0.1, 0.1), config)
            assert row[list(expected)].to_dict() == pytest.approx(expected, rel=1e-5, nan_ok=True)
    told = decision["measures"]["all"]["every_mask"]
    for name in ("hd95", "nsd_mm", "precision"):
        assert told[name]["mean"] == pytest.approx(rows[name].mean(), rel=1e-5)
    sums = json.loads((folder / "checksums.json").read_text())
    assert "oof_masks.npz" in sums
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    last_step(config)
    assert {path: path.read_bytes() for path in before} == before
