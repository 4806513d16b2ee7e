"""What benchmarks/limits.py takes away of a mask's error, on masks worked by hand."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from benchmarks import limits
from lib import rle
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.decision.search import Evidence

SIZE = (96, 128)


def disc(row: int, column: int, radius: int) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    cv2.circle(mask, (column, row), radius, 1, -1)
    return mask


def test_a_mask_is_moved_to_the_true_centre_and_scaled_to_the_true_area() -> None:
    truth, elsewhere, small = disc(40, 60, 12), disc(60, 30, 12), disc(60, 30, 6)
    assert not (truth & elsewhere).any()
    np.testing.assert_array_equal(limits.placed(elsewhere, truth, 1.0), truth)
    scale = limits.same_area(small, truth)
    assert scale == pytest.approx(np.sqrt(truth.sum() / small.sum()))
    assert limits.between(truth, limits.placed(small, truth, scale)) > 0.9
    nothing = np.zeros(SIZE, np.uint8)
    np.testing.assert_array_equal(limits.placed(nothing, truth, 1.0), nothing)
    assert limits.same_area(nothing, truth) == 1


def test_a_mask_seen_at_its_own_size_is_itself_and_loses_at_a_smaller_one() -> None:
    truth = disc(40, 60, 12)
    np.testing.assert_array_equal(limits.through(truth, SIZE), truth)
    coarse, coarser = (limits.between(truth, limits.through(truth, s)) for s in ((24, 32), (6, 8)))
    assert 1 > coarse > coarser > 0


def test_each_error_is_taken_away_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two people: one mask is the true one, one as large elsewhere, one small, one missing."""
    truth = disc(40, 60, 12)
    masks = {"a_1": truth, "a_2": disc(40, 30, 12), "b_1": disc(40, 60, 6), "b_2": truth * 0}
    folds = pd.DataFrame({"image": [*masks], "rle_mask": rle.encode(truth)})
    folds.loc[1, "rle_mask"] = rle.encode(disc(40, 62, 12))  # the twin of a_1
    # Probabilities that are right but for their level: 51 on the nerve, 0 elsewhere.
    on_nerve = np.zeros((4, 256), np.int64)
    on_nerve[:, 51] = truth.sum()
    pixels = on_nerve.copy()
    pixels[:, 0] = truth.size - truth.sum()
    evidence = Evidence(pixels, on_nerve, np.zeros(4), head=False)
    results: Any = SimpleNamespace(
        folds=SimpleNamespace(masks=["rle_mask"], table=folds),
        unseen=SimpleNamespace(evidence=[evidence]),
    )

    def rows(*_: object) -> list[tuple[dict[str, Any], np.ndarray]]:
        about = {"rle_mask": rle.encode(truth), "height": SIZE[0], "width": SIZE[1]}
        places = enumerate(masks)
        return [({"image": i, "subject": i[0], "place": k, **about}, masks[i]) for k, i in places]

    monkeypatch.setattr(limits, "masks_out_of_fold", rows)
    monkeypatch.setattr(limits, "nearest_twins", lambda _: {"a_1": "a_2"})
    config = Config(image_height=96, image_width=128)
    found = limits.measured(results, config).set_index("image")
    assert found["iou"].tolist()[::3] == [1, 0]
    assert found.loc["a_2", "iou"] == 0
    assert found.loc["a_2", "moved"] == 1
    assert found.loc["b_1", "moved"] == found.loc["b_1", "iou"] < found.loc["b_1", "scaled"]
    assert found.loc["b_2", ["iou", "moved", "scaled"]].tolist() == [0, 0, 0]
    assert found["shown"].tolist() == found["best"].tolist() == [1] * 4
    twin = limits.between(truth, disc(40, 62, 12))
    assert found["twin"].dropna().to_dict() == {"a_1": pytest.approx(twin)}
    text = "\n".join(limits.limits(found.reset_index(), config))
    assert "4 images with a nerve, of 2 people" in text
    assert "50.0% of the masks have an IoU below 0.1" in text
    worst = limits.by_person(found.reset_index())
    assert worst.index.tolist() == ["b", "a"]
    assert worst["missed"].tolist() == [0.5, 0.5]


def test_the_nearest_twin_is_a_training_image_either_way(tmp_path: Path) -> None:
    config = Config(runs_folder=str(tmp_path))
    Run.of(config).folder.mkdir(parents=True)
    rows = [
        ("1", "2", "train", 0.91),
        ("1", "3", "train", 0.97),
        ("1", "9", "test", 0.99),
    ]
    table = pd.DataFrame(rows, columns=["image", "twin", "twin_part", "similarity"])
    table.to_csv(Run.of(config).duplicates, index=False)
    assert limits.nearest_twins(config) == {"1": "3", "3": "1", "2": "1"}
