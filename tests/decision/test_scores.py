from typing import Any

import numpy as np
import pandas as pd
import pytest

from lib.artifacts.folds import Folds
from lib.artifacts.inference_settings import InferenceSettings
from lib.config.fields import Config
from lib.decision.evidence import Unseen
from lib.decision.nested import Areas, Decided
from lib.decision.rule import NEVER, Rule
from lib.decision.scores import (
    grouped,
    image_rows,
    presence_scores,
    score_content,
    score_in,
    summarise,
)
from lib.decision.search import Evidence
from lib.decision.text import comparison, presence_text, rule_text, subjects_text
from lib.metric import Metric

PIXELS = 10


def levels(*lit: int) -> np.ndarray:
    """Counts of images of ten pixels, of which so many have probability 1, the others 0."""
    counts = np.zeros((len(lit), 256), dtype=np.int64)
    counts[:, 255] = lit
    counts[:, 0] = PIXELS - np.array(lit)
    return counts


def true_levels(*lit: int) -> np.ndarray:
    """Of the nerve's pixels, all of probability 1."""
    counts = np.zeros((len(lit), 256), dtype=np.int64)
    counts[:, 255] = lit
    return counts


def areas(*pairs: tuple[int, int]) -> Areas:
    area, both = np.array(pairs).T
    return Areas(area, both)


# Five images: found, half found, missed, false alarm, rightly empty.
TRUTH = [4, 4, 4, 0, 0]
NESTED = areas((4, 4), (4, 2), (0, 0), (3, 0), (0, 0))
TUNED = areas((4, 4), (4, 4), (0, 0), (3, 0), (0, 0))
FIXED = areas((4, 4), (4, 2), (4, 1), (3, 0), (3, 0))
IOU = [1, 1 / 3, 0, 0, 1]
DICE = [1, 1 / 2, 0, 0, 1]
SETTINGS = InferenceSettings.of_networks(Config(), presence_head=True)


def case(rule: Rule | None = None) -> tuple[Unseen, Decided, Folds]:
    rule = rule or Rule(gate=0.5, head_weight=1.0)
    table = pd.DataFrame(
        {
            "image": list("abcde"),
            "fold": [0, 0, 1, 1, 1],
            "subject": ["x", "x", "y", "y", "z"],
            "rle_mask": ["1 4", "1 4", "1 4", "", ""],
            "height": 2,
            "width": 5,
        }
    )
    presence = np.array([0.9, 0.8, 0.3, 0.6, 0.1])
    evidence = Evidence(levels(4, 4, 0, 3, 0), true_levels(*TRUTH), presence, True)
    decided = Decided(rule, [rule, rule], NESTED, presence, TUNED, FIXED)
    unseen = Unseen(table, [evidence], [np.arange(5.0)], [], SETTINGS, np.full(5, np.nan))
    return unseen, decided, Folds(table, "sha")


def test_rows_of_images_are_those_of_the_nested_rule() -> None:
    unseen, decided, folds = case()
    rows = image_rows(unseen, [decided], folds)
    assert rows["iou"].tolist() == pytest.approx(IOU)
    assert rows["dice"].tolist() == pytest.approx(DICE)
    assert rows["area"].tolist() == [4, 4, 0, 3, 0]
    assert rows["true_area"].tolist() == TRUTH
    assert rows["loss"].tolist() == [0, 1, 2, 3, 4]
    assert "class_id" not in rows
    fixed = image_rows(unseen, [decided], folds, [FIXED])
    assert fixed["iou"].tolist() == pytest.approx([1, 1 / 3, 1 / 7, 0, 0])


def test_several_classes_stand_below_each_other_image_by_image() -> None:
    unseen, decided, folds = case()
    table = folds.table.rename(columns={"rle_mask": "rle_mask_nerve"}).assign(rle_mask_vessel="")
    two = unseen._replace(evidence=unseen.evidence * 2, losses=unseen.losses * 2)
    rows = image_rows(two, [decided, decided], Folds(table, "sha"))
    assert rows["class_id"].tolist() == ["nerve", "vessel"] * 5
    assert rows["image"].tolist() == list("aabbccddee")


def test_the_summary_is_a_mean_over_images_beside_that_of_empty_masks() -> None:
    unseen, decided, folds = case()
    found = summarise(image_rows(unseen, [decided], folds))
    assert found["all"]["iou"] == pytest.approx(np.mean(IOU))
    assert found["all"]["all_empty"] == pytest.approx(2 / 5)
    assert found["with_nerve"]["dice"] == pytest.approx(0.5)
    assert (found["with_nerve"]["images"], found["with_nerve"]["subjects"]) == (3, 2)
    assert "expected" not in found


def test_the_score_expected_of_another_share_weighs_images_with_and_without_a_nerve() -> None:
    unseen, decided, folds = case()
    rows = image_rows(unseen, [decided], folds)
    expected = summarise(rows, 0.2)["expected"]
    assert expected["iou"] == pytest.approx(0.2 * np.mean(IOU[:3]) + 0.8 * np.mean(IOU[3:]))
    assert expected["all_empty"] == pytest.approx(0.8)
    low, high = expected["iou_interval"]
    assert low <= expected["iou"] <= high
    assert summarise(rows, 0.6)["expected"]["iou"] == pytest.approx(np.mean(IOU))


@pytest.mark.parametrize("there", [True, False])
def test_of_images_of_one_kind_nothing_is_expected_at_another_share(there: bool) -> None:
    unseen, decided, folds = case()
    rows = image_rows(unseen, [decided], folds)
    assert "expected" not in summarise(rows[(rows["true_area"] > 0) == there], 0.2)


def test_scores_of_no_image_are_none() -> None:
    unseen, decided, folds = case()
    rows = image_rows(unseen, [decided], folds)
    found = summarise(rows[rows["true_area"] == 0])["with_nerve"]
    assert (found["images"], found["iou"], found["iou_interval"]) == (0, None, None)


def test_a_score_is_read_back_as_it_was_told() -> None:
    unseen, decided, folds = case()
    found = summarise(image_rows(unseen, [decided], folds))["all"]
    for metric in Metric:
        score = score_in(found, metric)
        assert score.n == 3
        assert score.mean == found[metric.column]
        assert (score.low, score.high) == found[f"{metric.column}_interval"]
        assert score_content(score, metric).items() <= found.items()


def test_where_a_subject_is_unknown_images_are_the_sample_and_it_says_so() -> None:
    unseen, decided, folds = case()
    rows = image_rows(unseen, [decided], folds).assign(subject=["x", "x", "", "y", "y"])
    found = summarise(rows)
    assert found["subjects_known"] is False
    assert found["all"]["subjects"] == 5


def test_hits_and_alarms_are_those_of_nested_masks() -> None:
    unseen, decided, _ = case()
    found = presence_scores(unseen.evidence[0], decided, Config())
    counts = [
        found[f"{kind}_{sign}s"] for kind in ("true", "false") for sign in ("positive", "negative")
    ]
    assert counts == [2, 1, 1, 1]
    assert found["auc"] == found["auc_head"] == pytest.approx(5 / 6)
    assert found["auc_map"] == pytest.approx(3.5 / 6)  # of the largest pixel: d as a, c as e
    assert "on 2 of 3 images with it, on 1 of 2 without" in presence_text("", found, "IoU")
    assert "map 0.000" in presence_text("", found | {"auc_map": 0.0}, "IoU")


def test_the_gate_that_pays_follows_from_the_masks_of_nerves_that_get_one() -> None:
    unseen, decided, _ = case()
    found = presence_scores(unseen.evidence[0], decided, Config(metric="Dice"))
    assert found["break_even"] == pytest.approx(1 / 2)  # the tuned masks of a and b are exact
    assert found["nerves_near_gate"] == 0.0  # d alone, of presence .6
    assert "of the images next to it 0.00 show one; a mask pays above 1/(1+Dice) = 0.50" in (
        presence_text("", found, "Dice")
    )


@pytest.mark.parametrize("gate", [0.0, NEVER])
def test_a_gate_that_parts_nothing_is_not_checked(gate: float) -> None:
    unseen, decided, _ = case(Rule(gate=gate))
    found = presence_scores(unseen.evidence[0], decided, Config())
    assert found["nerves_near_gate"] is None
    assert "gate" not in presence_text("", found, "IoU")


def test_scores_by_subject_name_the_worst_and_the_best() -> None:
    unseen, decided, folds = case()
    rows = image_rows(unseen, [decided], folds).assign(hd95=[0, 2, 9, 9, 0], nsd=[1, 0.5, 0, 0, 1])
    found = grouped(rows, "subject")
    counts = {"images": 2, "with_nerve": 2, "missed": 0, "false_alarms": 0}
    scores = {"iou": 2 / 3, "dice": 0.75, "nsd": 0.75, "hd95_median": 1}
    alone = {"iou_interval": None, "dice_interval": None}
    assert found["x"] == pytest.approx({**counts, **scores, **alone})
    assert (found["y"]["missed"], found["y"]["false_alarms"], found["y"]["hd95_median"]) == (
        *(1, 1),
        None,
    )
    decision = {"metric": "IoU", "by_subject": found, "scores": {"subjects_known": True}}
    assert subjects_text(decision) == "by subject: IoU from 0.000 (y) to 1.000 (z), median 0.667"


RULES = [
    (Rule(), "the rule: pixels above 0.5"),
    (Rule(gate=NEVER), "the rule: no masks at all, as none scored better"),
    (
        Rule(gate=0.6, threshold=0.4, least_area=0.01, components=1, fill_holes=True),
        "the rule: where presence reaches 0.6, pixels above 0.4, at least 1 % of the image, "
        "the 1 largest piece, holes filled",
    ),
]


@pytest.mark.parametrize(("rule", "expected"), RULES)
def test_rules_in_words(rule: Rule, expected: str) -> None:
    assert rule_text("", rule) == expected


def part(iou: float | None) -> dict[str, Any]:
    interval = None if iou is None else (iou - 0.1, iou + 0.1)
    return {"iou": iou, "iou_interval": interval, "all_empty": 0.6, "subjects": 9}


def test_the_table_of_ways_to_decide_marks_what_flatters_and_leaves_out_what_was_not_done() -> None:
    ways = ("tuned", "fixed")
    twins = {"images": 7, "iou": 0.82}
    decision: dict[str, Any] = {
        "metric": "IoU",
        "chosen_on_these_images": True,
        "scores": {"all": part(0.7), "with_nerve": part(0.5)},
        "other_scores": {name: {"all": part(0.75), "with_nerve": part(None)} for name in ways},
        "label_noise_ceiling": {"all": twins, "with_mask": twins},
    }
    lines = comparison(decision, Config()).splitlines()
    assert lines[1].split("  ")[0] == "rule chosen without the images scored"
    assert "0.700  0.600 to 0.800" in lines[1]
    assert lines[2].startswith("rule chosen on these images: flatters")
    assert lines[3].startswith("pixels above 0.5, nothing chosen")
    assert lines[-1].split()[-6:] == ["0.820", "of", "7", "0.820", "of", "7"]
    lines = comparison(decision | {"chosen_on_these_images": False}, Config()).splitlines()
    assert lines[1].startswith("pixels above 0.5, nothing chosen")
    assert not any("flatters" in line for line in lines)
