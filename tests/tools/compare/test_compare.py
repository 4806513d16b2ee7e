import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.artifacts.folds import Folds, save_folds
from lib.artifacts.model import save_model
from lib.artifacts.run import save_config
from lib.config.fields import Config
from lib.metric import bootstrap_interval
from lib.runtime.errors import InputError
from lib.runtime.files import save_table
from tests.conftest import REPOSITORY
from tools.compare.comparison import Change, Comparison, change_of, compared_runs
from tools.compare.text import report

# Three people; 1_1 and 2_1 have no nerve.
IMAGES = ["1_1", "1_2", "2_1", "2_2", "2_3", "3_1"]
DICE_A = [1.0, 0.5, 0.0, 0.6, 0.7, 0.8]
DICE_B = [1.0, 0.7, 1.0, 0.6, 0.6, 0.8]
CHANGE = [0, 0.2, 1, 0, -0.1, 0]
RLE_OF = {"1_1": "", "2_1": ""}


def write_run(
    folder: Path, scores: pd.DataFrame, folds: pd.DataFrame | None = None, **changed: Any
) -> Path:
    """oof_iou.csv, folds.csv and config.yaml of a run, as the steps write them."""
    config = replace(
        Config(), runs_folder=str(folder.parent), experiment_name=folder.name, **changed
    )
    save_folds(config, folds_of(scores) if folds is None else folds)
    save_config(config)
    save_table(folder / "oof_iou.csv", scores)
    return folder


def table(dice: list[float], images: list[str] = IMAGES, **columns: Any) -> pd.DataFrame:
    """Rows of oof_iou.csv; the subject is what stands before the _, the fold its number % 2."""
    scores = pd.DataFrame({"image": images, "dice": dice})
    scores["iou"] = scores["dice"] / (2 - scores["dice"])
    scores["subject"] = scores["image"].str.partition("_")[0]
    scores["fold"] = scores["subject"].astype(int) % 2
    scores["area"] = 5
    scores["true_area"] = [len(RLE_OF.get(image, "nerve")) for image in images]
    return scores.assign(**columns)


def folds_of(scores: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    folds = scores[["image", "subject", "fold"]].drop_duplicates()
    masks = [RLE_OF.get(image, "3 5") for image in folds["image"]]
    folds = folds.assign(rle_mask=masks, group=folds["subject"], height=4, width=5, weight=1.0)
    return folds.assign(sha="0", **columns)


def compared(folder: Path, a: pd.DataFrame, b: pd.DataFrame) -> Comparison:
    return compared_runs(write_run(folder / "a", a), write_run(folder / "b", b))


def change(comparison: Comparison, of: str = "all", metric: str = "dice") -> Change:
    (found,) = (c for c in comparison.changes if (c.of, c.metric) == (of, metric))
    return found


def test_hand_worked_differences(tmp_path: Path) -> None:
    comparison = compared(tmp_path, table(DICE_A), table(DICE_B))
    assert comparison.masks["dice_change"].tolist() == pytest.approx(CHANGE)
    everything, nerve = change(comparison), change(comparison, "with a nerve")
    assert everything[2:6] == pytest.approx((6, 3.6 / 6, 4.7 / 6, 1.1 / 6))
    assert nerve[2:6] == pytest.approx((4, 2.6 / 4, 2.7 / 4, 0.1 / 4))
    iou = [0, 0.7 / 1.3 - 0.5 / 1.5, 1, 0, 0.6 / 1.4 - 0.7 / 1.3, 0]
    assert change(comparison, metric="iou").change == pytest.approx(sum(iou) / 6, abs=1e-6)
    # By subject: the mean of its images, the worst first.
    assert comparison.subjects["subject"].tolist() == ["3", "1", "2"]
    assert comparison.subjects["dice_change"].tolist() == pytest.approx([0, 0.1, 0.3])
    assert comparison.subjects["masks"].tolist() == [1, 2, 3]
    assert comparison.warnings == []
    assert comparison.settings == []


def test_the_hand_worked_share_of_draws_in_which_b_is_better(tmp_path: Path) -> None:
    """Two people of one image each, +.2 and -.1: the mean of a draw is .2, .05 or -.1 in 1, 2 and
    1 of four cases; with +.1 and -.1 it is 0 in two of four, which count half."""
    for dice_b, expected in (([0.7, 0.4], 0.75), ([0.6, 0.4], 0.5), ([0.6, 0.5], 0.875)):
        a = table([0.5, 0.5], ["4_1", "5_1"])
        found = change(compared(tmp_path, a, table(dice_b, ["4_1", "5_1"])))
        assert found.better == pytest.approx(expected, abs=0.02)


def test_identical_runs_differ_by_nothing(tmp_path: Path) -> None:
    comparison = compared(tmp_path, table(DICE_A), table(DICE_A))
    for found in comparison.changes:
        assert (found.change, found.interval, found.better) == (0, (0, 0), 0.5)
    assert (comparison.warnings, comparison.settings) == ([], [])
    assert "images by Dice: 0 worse in b, 0 better, of 6" in report(comparison, "a", "b")


def many(random: np.random.Generator, subjects: int = 12) -> tuple[list[str], np.ndarray]:
    """Images of people who are easy or hard, 3 to 12 each, and their Dice."""
    sizes = random.integers(3, 13, subjects)
    images = [f"{s}_{n}" for s, size in enumerate(sizes) for n in range(size)]
    dice = np.repeat(random.uniform(0.3, 0.7, subjects), sizes) + random.normal(0, 0.1, sizes.sum())
    return images, dice.clip(0.1, 0.9)


@pytest.mark.parametrize("gain", [-0.1, -0.001, 0.001, 0.1])
def test_a_constant_gain_is_found_with_its_sign_however_unlike_the_images(
    tmp_path: Path, gain: float
) -> None:
    images, dice = many(np.random.default_rng(0))
    b = table((dice + gain).tolist(), images).sample(frac=1, random_state=0)
    found = change(compared(tmp_path, table(dice.tolist(), images), b))
    assert found.change == pytest.approx(gain, abs=2e-6)  # files hold six digits
    assert found.interval == pytest.approx((gain, gain), abs=2e-6)
    assert found.better == (gain > 0)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_the_two_runs_exchanged_give_the_opposite(seed: int) -> None:
    random = np.random.default_rng(seed)
    images, dice = many(random, 4)
    pairs = table(dice.tolist(), images)
    pairs = pairs.assign(dice_a=dice, dice_b=random.permutation(dice))
    there = change_of("", "dice", pairs.assign(dice_change=pairs["dice_b"] - pairs["dice_a"]))
    pairs = pairs.rename(columns={"dice_a": "dice_b", "dice_b": "dice_a"})
    back = change_of("", "dice", pairs.assign(dice_change=pairs["dice_b"] - pairs["dice_a"]))
    assert (there.a, there.b, there.change) == pytest.approx((back.b, back.a, -back.change))
    assert there.interval and back.interval and there.better is not None and back.better is not None
    assert there.interval == pytest.approx((-back.interval[1], -back.interval[0]))
    assert there.better == pytest.approx(1 - back.better)


def test_runs_that_differ_by_luck_alone_are_seldom_called_different(tmp_path: Path) -> None:
    """60 pairs of runs whose difference is noise, of its own for each person: 0 should be outside
    of three intervals; with 20 people it is of somewhat more, and over images of most."""
    random, outside = np.random.default_rng(5), 0
    sizes = random.integers(5, 30, 20)
    subjects = np.repeat(np.arange(20), sizes).astype(str)
    for _ in range(60):
        noise = np.repeat(random.normal(0, 0.03, 20), sizes) + random.normal(0, 0.01, sizes.sum())
        interval = bootstrap_interval(noise, subjects)
        assert interval
        outside += not interval[0] <= 0 <= interval[1]
    assert 0 < outside < 12


def test_images_that_one_run_has_alone_are_named_and_left_out(tmp_path: Path) -> None:
    a, b = table(DICE_A), table(DICE_B)
    comparison = compared(tmp_path, a[a["image"] != "1_1"], b[b["image"] != "2_1"])
    assert comparison.masks["image"].tolist() == ["1_2", "2_2", "2_3", "3_1"]
    assert change(comparison).change == pytest.approx(0.1 / 4)
    assert f"left out: 1 images that only {tmp_path / 'a'} has scored: 2_1" in comparison.warnings
    assert f"left out: 1 images that only {tmp_path / 'b'} has scored: 1_1" in comparison.warnings


def test_runs_without_a_common_image_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="have no image to compare:\nleft out: 6 images that only"):
        compared(tmp_path, table(DICE_A), table([0.5], ["7_1"]))


def test_other_folds_are_said_and_compared(tmp_path: Path) -> None:
    b = table(DICE_B, fold=[0, 0, 0, 0, 0, 1])
    comparison = compared(tmp_path, table(DICE_A), b)
    assert change(comparison).change == pytest.approx(1.1 / 6)
    assert comparison.warnings == [
        "other folds: 2 of 6 images are not in the same fold, so the networks compared on an image "
        "were trained on other people: the difference is not paired by model, and holds the luck "
        "of two splits"
    ]


def test_folds_of_images_that_are_not_scored_count_too(tmp_path: Path) -> None:
    """Only fold 1 was run in either; who else was in training still differs."""
    a, b = table(DICE_A), table(DICE_B)
    folds_b = folds_of(b).assign(fold=[1, 1, 2, 2, 2, 1])
    run_a = write_run(tmp_path / "a", a[a["fold"] == 1], folds_of(a))
    run_b = write_run(tmp_path / "b", b[b["fold"] == 1], folds_b)
    (warning,) = compared_runs(run_a, run_b).warnings
    assert warning.startswith("other folds: 3 of 6 images")


OTHER_TRUTH = [
    ({"rle_mask": ["", "3 5", "", "3 5", "4 5", "3 5"]}, {}),  # of the same area
    ({"height": [4, 4, 4, 4, 8, 4]}, {}),
    ({}, {"true_area": [0, 5, 0, 5, 6, 5]}),
]


@pytest.mark.parametrize(("folds", "scores"), OTHER_TRUTH)
def test_images_with_another_true_mask_are_named_and_left_out(
    tmp_path: Path, folds: dict[str, Any], scores: dict[str, Any]
) -> None:
    a, b = table(DICE_A), table(DICE_B, **scores)
    run_b = write_run(tmp_path / "b", b, folds_of(b).assign(**folds))
    comparison = compared_runs(write_run(tmp_path / "a", a), run_b)
    assert comparison.warnings == [
        "left out: 1 images that have another size or true mask in b: 2_3"
    ]
    assert change(comparison).change == pytest.approx(1.2 / 5)


def test_runs_of_which_every_true_mask_differs_are_refused(tmp_path: Path) -> None:
    a, b = table(DICE_A), table(DICE_B)
    run_b = write_run(tmp_path / "b", b, folds_of(b, width=6))
    with pytest.raises(InputError, match="have another size or true mask in b: 1_1, 1_2, 2_1"):
        compared_runs(write_run(tmp_path / "a", a), run_b)


def test_images_with_other_pixels_under_the_same_name_are_named(tmp_path: Path) -> None:
    a, b = table(DICE_A), table(DICE_B)
    run_b = write_run(tmp_path / "b", b, folds_of(b).assign(sha=list("000010")))
    (warning,) = compared_runs(write_run(tmp_path / "a", a), run_b).warnings
    assert warning == "1 images have other pixels in b under the same name, such as 2_3"


def test_subjects_that_one_run_does_not_know_are_those_of_the_other(tmp_path: Path) -> None:
    comparison = compared(tmp_path, table(DICE_A, subject=""), table(DICE_B))
    assert comparison.subjects_known
    assert comparison.subjects["subject"].tolist() == ["3", "1", "2"]


def test_where_no_subject_is_known_it_says_that_the_interval_is_too_narrow(tmp_path: Path) -> None:
    comparison = compared(tmp_path, table(DICE_A, subject=""), table(DICE_B, subject=""))
    assert not comparison.subjects_known
    assert len(comparison.subjects) == 6
    (warning,) = comparison.warnings
    assert "every image counts as one, which is too narrow" in warning
    assert "6 images, 6 images, each as a subject" in report(comparison, "a", "b")


def test_other_subjects_are_said(tmp_path: Path) -> None:
    comparison = compared(tmp_path, table(DICE_A), table(DICE_B, subject=list("122223")))
    assert comparison.warnings == [
        "1 scores are of another subject in b: those of a are used",
    ]
    assert comparison.subjects["masks"].tolist() == [1, 2, 3]


def test_one_subject_has_neither_interval_nor_share(tmp_path: Path) -> None:
    found = compared(tmp_path, table([0.5, 0.6], ["1_2", "1_3"]), table([0.6, 0.6], ["1_2", "1_3"]))
    assert change(found)[5:] == pytest.approx((0.05, None, None))
    assert "one subject only         -" in report(found, "a", "b")


def test_what_flatters_one_of_the_runs_is_said(tmp_path: Path) -> None:
    a, b = (write_run(tmp_path / name, table(DICE_A)) for name in "ab")
    caveat = {"mark": "LEAK", "text": "2 subjects stand in several folds"}
    (b / "decision.json").write_text(json.dumps({"caveats": [caveat]}))
    assert compared_runs(a, b).warnings == [f"{b}: LEAK: 2 subjects stand in several folds"]
    (b / "decision.json").write_text("{")
    with pytest.raises(InputError, match=r"decision.json is damaged: run 04"):
        compared_runs(a, b)


def test_several_classes_are_paired_by_image_and_class(tmp_path: Path) -> None:
    a = pd.concat([table(DICE_A, class_id="nerve"), table(DICE_A, class_id="vessel")])
    b = pd.concat([table(DICE_A, class_id="vessel"), table(DICE_B, class_id="nerve")])
    comparison = compared(tmp_path, a, b)
    assert change(comparison, "nerve").change == pytest.approx(1.1 / 6)
    assert change(comparison, "vessel").change == 0
    assert change(comparison).change == pytest.approx(1.1 / 12)
    assert change(comparison, "with a mask").change == pytest.approx(0.1 / 8)
    assert "+1.0000  2_1 nerve (0.0000, 1.0000)" in report(comparison, "a", "b")


def test_runs_of_one_and_of_several_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="only one of the runs has several classes"):
        compared(tmp_path, table(DICE_A), table(DICE_B, class_id="nerve"))


def test_settings_that_differ_are_listed_but_not_the_names_of_the_runs(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", table(DICE_A), batch_size=4)
    b = write_run(tmp_path / "b", table(DICE_B), batch_size=8, seed=7)
    found = compared_runs(a, b).settings
    assert found == [f"batch_size: {4!r}, {8!r}", f"seed: {Config().seed!r}, {7!r}"]


def with_model(run: Path, **changed: Any) -> None:
    config = replace(Config(), runs_folder=str(run.parent), experiment_name=run.name, **changed)
    save_model(config, 3, Folds(folds_of(table(DICE_A)), "sha"), {}, [])


def test_settings_that_only_the_training_was_told_are_listed(tmp_path: Path) -> None:
    a, b = write_run(tmp_path / "a", table(DICE_A)), write_run(tmp_path / "b", table(DICE_B))
    with_model(a)
    assert compared_runs(a, b).settings == []  # without a model of b there is nothing to compare
    with_model(b, epochs=9)
    assert compared_runs(a, b).settings == [f"epochs: {Config().epochs}, 9"]


def test_a_model_that_cannot_be_read_is_said_and_the_scores_compared(tmp_path: Path) -> None:
    a, b = write_run(tmp_path / "a", table(DICE_A)), write_run(tmp_path / "b", table(DICE_B))
    with_model(a)
    with_model(b)
    (b / "fold3" / "model.pt").write_bytes(b"no model")
    comparison = compared_runs(a, b)
    assert len(comparison.warnings) == 1
    assert "the settings of the models are not compared" in comparison.warnings[0]
    assert change(comparison).masks == 6


def test_settings_of_another_version_are_said_and_the_scores_compared(tmp_path: Path) -> None:
    a, b = write_run(tmp_path / "a", table(DICE_A)), write_run(tmp_path / "b", table(DICE_B))
    (b / "config.yaml").write_text("a_setting_of_old: 1\n")
    comparison = compared_runs(a, b)
    assert "the settings are not compared" in comparison.warnings[0]
    assert "a_setting_of_old" in comparison.warnings[0]
    assert change(comparison).masks == 6


@pytest.mark.parametrize(
    ("name", "step_to_run"), [("oof_iou.csv", "04_make"), ("folds.csv", "01_prepare")]
)
def test_a_missing_file_names_the_step_to_run(tmp_path: Path, name: str, step_to_run: str) -> None:
    a, b = write_run(tmp_path / "a", table(DICE_A)), write_run(tmp_path / "b", table(DICE_B))
    (b / name).unlink()
    with pytest.raises(InputError, match=f"{b / name} is missing: run {step_to_run}"):
        compared_runs(a, b)


BAD_SCORES = [
    (table([*DICE_A, 0.5], [*IMAGES, "3_1"]), "3_1 stands there twice"),
    (table(DICE_A).drop(columns="dice"), r"lacks the columns \['dice'\]: run 04"),
    (table(DICE_A).assign(dice=[0.1, 0.2, "", 0.4, 0.5, 0.6]), "the dice of 2_1 is no number"),
    (table(DICE_A).assign(dice=[0.1, 0.2, 0.3, "nan", 0.5, 0.6]), "the dice of 2_2 is no number"),
]


@pytest.mark.parametrize(("scores", "message"), BAD_SCORES)
def test_scores_that_cannot_be_used_are_refused_by_name(
    tmp_path: Path, scores: pd.DataFrame, message: str
) -> None:
    a = write_run(tmp_path / "a", table(DICE_A))
    b = write_run(tmp_path / "b", scores, folds_of(table(DICE_A)))
    with pytest.raises(InputError, match=message):
        compared_runs(a, b)


def test_folds_that_were_made_anew_after_the_scores_are_refused(tmp_path: Path) -> None:
    a, scores = write_run(tmp_path / "a", table(DICE_A)), table(DICE_B)
    b = write_run(tmp_path / "b", scores, folds_of(scores).assign(fold=[1, 1, 1, 0, 0, 1]))
    with pytest.raises(InputError, match=f"{b}/oof_iou.csv is of another folds.csv"):
        compared_runs(a, b)


def command(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.compare", *map(str, words)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_prints_a_table_and_what_changed_most(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", table(DICE_A))
    b = write_run(tmp_path / "b", table(DICE_B), epochs=7)
    result = command(a, b)
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"a = {a}, b = {b}: 6 images, 3 subjects"
    assert any(
        line.split()[:6] == ["all", "Dice", "6", "0.6000", "0.7833", "+0.1833"] for line in lines
    )
    assert "b better: share of the bootstrap draws of subjects, ties halved" in lines
    at = lines.index("images by Dice: 1 worse in b, 2 better, of 6")
    assert lines[at + 1 :] == [
        "  -0.1000  2_3 (0.7000, 0.6000)",
        "  +0.2000  1_2 (0.5000, 0.7000)",
        "  +1.0000  2_1 (0.0000, 1.0000)",
        "settings that differ (a, b):",
        f"  epochs: {Config().epochs}, 7",
        str(tmp_path / "compare.html"),
    ]


def test_a_wrong_folder_ends_the_command_with_one_message(tmp_path: Path) -> None:
    result = command(tmp_path, tmp_path / "b")
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "folds.csv is missing: run 01_prepare_folds.py first" in result.stderr


def test_a_run_of_the_pipeline_differs_from_its_copy_by_nothing(
    finished_once: Path, tmp_path: Path
) -> None:
    run = finished_once / "runs" / "nerve"
    comparison = compared_runs(run, shutil.copytree(run, tmp_path / "copy"))
    assert (comparison.warnings, comparison.settings) == ([], [])
    assert len(comparison.masks) == 24
    assert change(comparison).interval == (0, 0)
