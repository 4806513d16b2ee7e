"""Caveats: their marks beside scores, and files of before they had marks."""

from pathlib import Path
from typing import Any

import pytest

from lib.artifacts.caveats import (
    Caveat,
    beside_scores,
    caveats,
    read_caveats,
    sentence,
    training_caveats,
    without_doubles,
)
from lib.config.fields import Config
from lib.runtime.errors import InputError

LEAK = Caveat(mark="LEAK", text="2 subjects stand in several folds")
NOTE = Caveat(mark="", text="half of the images were used")


def test_each_mark_stands_once_beside_a_score_and_a_caveat_without_one_nowhere() -> None:
    assert beside_scores([LEAK, NOTE, LEAK]) == "  LEAK"
    assert [sentence(caveat) for caveat in (LEAK, NOTE)] == [
        "LEAK: 2 subjects stand in several folds",
        "half of the images were used",
    ]


def test_a_caveat_of_several_networks_is_told_once() -> None:
    assert without_doubles([LEAK, NOTE, LEAK]) == [LEAK, NOTE]


def test_images_left_out_and_images_not_drawn_are_told_after_the_leaks() -> None:
    audit = {"leaks": [LEAK], "quarantine": {"train": 0, "test": 1}}
    found = caveats(audit, Config(data_sample=0.5))
    assert [caveat["mark"] for caveat in found] == ["LEAK", "QUARANTINE", ""]
    assert caveats({"leaks": [], "quarantine": {"train": 0, "test": 0}}, Config()) == []


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (Config(), []),
        (Config(train_validation_data=True), ["NOT OUT OF FOLD"]),
        (Config(early_stopping_epochs=3), ["EPOCH CHOSEN ON THESE IMAGES"]),
    ],
)
def test_a_training_that_saw_what_it_is_scored_on_is_marked(
    config: Config, expected: list[str]
) -> None:
    assert [caveat["mark"] for caveat in training_caveats(config)] == expected


@pytest.mark.parametrize("found", [None, ["LEAK: 2 subjects"], [LEAK, "LEAK: 2 subjects"]])
def test_a_file_without_marks_is_named_with_the_step_to_run(found: Any) -> None:
    with pytest.raises(InputError, match=r"folds_audit.json is of an older.*run 01_prepare"):
        read_caveats(found, Path("folds_audit.json"), "01_prepare_folds.py")
    assert read_caveats([LEAK], Path("folds_audit.json"), "01_prepare_folds.py") == [LEAK]
