"""The chain of the four steps on a tiny generated set."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib import rle
from lib.artifacts.folds import load_folds
from lib.artifacts.run import Run
from lib.config.fields import FIELDS, Config
from lib.data.images_of_test import read_test_table
from lib.decision.rule import Rule, decide
from lib.inference.predict import predict, trained_network
from lib.runtime.device import device_of
from lib.runtime.errors import InputError
from tests.conftest import REPOSITORY, STEPS, chain, configured, settings_in, step

PLOTS = [
    "expected_score",
    "iou_histogram",
    "mask_places",
    "presence_reliability",
    "scores",
    "subjects",
    "training_validation_iou_nerve",
]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


PLACES = ("", "fold0/", "fold1/")  # that have locks and hashes


def test_the_four_steps_leave_every_artifact(finished_once: Path) -> None:
    folder = finished_once / "runs" / "nerve"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {
        "report.html",
        *(f"plots/{name}.png" for name in PLOTS),
        *(f"{place}{name}" for place in PLACES for name in (".lock", "checksums.json")),
        "config.yaml",
        "folds.csv",
        "folds_audit.json",
        "labels.png",
        "duplicates.csv",
        "contradictions.csv",
        "quarantine.csv",
        "fold0/model.pt",
        "fold0/log.csv",
        "fold0/state.pt",
        "fold0/first_batch.png",
        "fold0/speed.csv",
        "fold1/model.pt",
        "fold1/log.csv",
        "fold1/state.pt",
        "fold1/first_batch.png",
        "fold1/speed.csv",
        "oof_fold0.npz",
        "oof_fold1.npz",
        "test.npz",
        "oof_iou.csv",
        "oof_masks.npz",
        "test_quality.csv",
        "test_masks.npz",
        "decision.json",
        "submission.csv",
    }


def test_every_training_image_is_scored_once_at_its_own_size(finished_once: Path) -> None:
    folder = finished_once / "runs" / "nerve"
    folds = pd.read_csv(folder / "folds.csv", dtype=str, keep_default_na=False)
    scores = pd.read_csv(folder / "oof_iou.csv", dtype={"image": str})
    assert sorted(scores["image"]) == sorted(folds["image"])
    for fold in (0, 1):
        with np.load(folder / f"oof_fold{fold}.npz") as arrays:
            held_out = folds.loc[folds["fold"] == str(fold), "image"]
            assert set(arrays.files) == {*held_out, "_presence", "_looks", "_provenance"}
            assert all(arrays[image].shape == (60, 80) for image in held_out)
            assert all(arrays[image].dtype == np.uint8 for image in held_out)


def test_the_scores_are_those_of_the_masks_and_of_the_last_epoch(settings: list[str]) -> None:
    folder = chain(configured(settings, "tune_decision=false"))
    scores = pd.read_csv(folder / "oof_iou.csv", dtype={"image": str})
    folds = pd.read_csv(folder / "folds.csv", dtype=str, keep_default_na=False)
    truths = dict(zip(folds["image"], folds["rle_mask"], strict=True))
    for fold, rows in scores.groupby("fold"):
        with np.load(folder / f"oof_fold{fold}.npz") as arrays:
            for image, iou in zip(rows["image"], rows["iou"], strict=True):
                mask, truth = arrays[image] > 127, rle.decode(truths[image], (60, 80)) > 0
                union = (mask | truth).sum()
                assert iou == pytest.approx((mask & truth).sum() / union if union else 1, abs=1e-5)
        log = pd.read_csv(folder / f"fold{fold}" / "log.csv")
        assert log["validation_iou"].iloc[-1] == pytest.approx(rows["iou"].mean(), abs=1e-4)


def test_the_last_step_follows_its_settings(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["metric=Dice", "probability_threshold=0.4"]
    folder = chain(configured(settings, *more, "folds=[0]", "tune_decision=false"))
    out = capsys.readouterr().out
    scores = pd.read_csv(folder / "oof_iou.csv", dtype={"image": str})
    with np.load(folder / "oof_fold0.npz") as arrays:
        areas = [int((arrays[image] > 102).sum()) for image in scores["image"]]
        halves = [int((arrays[image] > 127).sum()) for image in scores["image"]]
    assert scores["area"].tolist() == areas != halves
    log = pd.read_csv(folder / "fold0" / "log.csv")
    assert log["validation_dice"].iloc[-1] == pytest.approx(scores["dice"].mean(), abs=1e-4)
    assert f"out-of-fold Dice over all images: {scores['dice'].mean():.3f}" in out
    (rule,) = json.loads((folder / "decision.json").read_text())["rules"].values()
    assert rule["threshold"] == 0.4


def test_the_summary_is_the_mean_over_images_not_over_folds(finished_once: Path) -> None:
    folder = finished_once / "runs" / "nerve"
    scores = pd.read_csv(folder / "oof_iou.csv")
    summary = json.loads((folder / "decision.json").read_text())["scores"]
    nerve = scores[scores["true_area"] > 0]
    assert summary["all"]["iou"] == pytest.approx(scores["iou"].mean(), abs=1e-5)
    assert summary["with_nerve"]["dice"] == pytest.approx(nerve["dice"].mean(), abs=1e-5)
    assert summary["all"]["all_empty"] == pytest.approx(6 / 24)
    low, high = summary["all"]["iou_interval"]
    assert low <= summary["all"]["iou"] <= high


def test_the_submission_has_the_ids_and_order_of_the_sample_and_the_masks_of_the_rule(
    finished_once: Path,
) -> None:
    folder = finished_once / "runs" / "nerve"
    rule = Rule(**json.loads((folder / "decision.json").read_text())["rules"]["nerve"])
    submission = pd.read_csv(folder / "submission.csv", dtype=str, keep_default_na=False)
    sample = pd.read_csv(finished_once / "data/sample_submission.csv", dtype=str)
    assert submission.columns.tolist() == ["img", "pixels"]
    assert submission["img"].tolist() == sample["img"].tolist()
    with np.load(folder / "test.npz") as arrays, np.load(folder / "test_masks.npz") as masks:
        presence = dict(zip(arrays.files, arrays["_presence"].tolist(), strict=False))
        assert masks.files == sample["img"].tolist()
        for image, pixels in zip(submission["img"], submission["pixels"], strict=True):
            mask = decide(arrays[image], presence[image], rule)
            assert np.array_equal(rle.decode(pixels, (60, 80)), mask)
            assert np.array_equal(masks[image], mask)


def test_a_test_image_gets_the_mean_over_the_folds(finished_once: Path) -> None:
    folder = finished_once / "runs" / "nerve"
    config = configured(settings_in(finished_once))
    test = read_test_table(config)
    assert test is not None
    device, sha = device_of(config.gpus), load_folds(config).sha
    networks = [trained_network(config, fold, sha, device).network for fold in (0, 1)]
    alone = [
        [
            answer.finished().probability[0].astype(float)
            for answer in predict([network], test, config, device)
        ]
        for network in networks
    ]
    with np.load(folder / "test.npz") as arrays:
        for row, image in enumerate(test["image"]):
            assert np.abs(arrays[image] - (alone[0][row] + alone[1][row]) / 2).max() <= 1


def test_the_table_shows_each_score_beside_that_of_empty_masks(
    finished: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    step(4).main(configured(finished))
    out = capsys.readouterr().out
    last = next(line for line in out.splitlines() if line.startswith("all "))
    assert last.split()[1] == "24"
    assert "0.2500" in last
    assert "95 % interval" in out


def test_a_chain_run_again_changes_no_byte_and_trains_nothing(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(chain(config))
    kept = [path for path in before if path.endswith((".pt", "npz")) and "_masks" not in path]
    times = {path: Path(path).stat().st_mtime_ns for path in kept}
    capsys.readouterr()
    assert snapshot(chain(config)) == before
    assert {path: Path(path).stat().st_mtime_ns for path in times} == times
    out = capsys.readouterr().out
    assert out.count("is trained already") == 2
    assert "has changed since" not in out
    assert out.count("is predicted already") == 3
    assert "(unchanged)" in out


def test_a_model_that_other_code_trained_is_kept_and_told(
    finished: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(finished)
    folder = Run.of(config).folder
    before = snapshot(folder)
    monkeypatch.setattr("02_train.code_version", lambda _: "another")
    step(2).main(config)
    assert capsys.readouterr().out.count("the code that trains has changed since") == 2
    assert snapshot(folder) == before


def test_a_deleted_artifact_is_made_again_to_the_same_bytes(finished: list[str]) -> None:
    config = configured(finished)
    folder = chain(config)  # whose config.yaml names the place of the copy
    before = snapshot(folder)
    for name in ("fold1/model.pt", "oof_fold1.npz", "test.npz", "submission.csv", "folds.csv"):
        (folder / name).unlink()
    assert snapshot(chain(config)) == before


@pytest.mark.parametrize("number", [2, 3, 4])
def test_a_step_run_too_early_names_the_step_to_run_first(config: Config, number: int) -> None:
    for earlier in range(1, number - 1):
        step(earlier).main(config)
    with pytest.raises(InputError, match=f"is missing: run {STEPS[number - 2]}.py first"):
        step(number).main(config)


def test_a_model_of_other_folds_is_refused(finished: list[str], tmp_path: Path) -> None:
    config = configured(finished)
    table = pd.read_csv(tmp_path / "data/train_masks.csv").iloc[:-1]
    table.to_csv(tmp_path / "data/train_masks.csv", index=False)
    step(1).main(config)
    with pytest.raises(InputError, match=r"trained on another folds.csv.*run 02_train.py again"):
        step(3).main(config)
    with pytest.raises(
        InputError, match=r"was made from other (images|folds.csv) than the present"
    ):
        step(4).main(config)


def test_a_model_of_another_fold_is_refused(finished: list[str]) -> None:
    config = configured(finished)
    folder = Run.of(config).folder
    (folder / "fold0/model.pt").write_bytes((folder / "fold1/model.pt").read_bytes())
    (folder / "fold0/checksums.json").unlink()
    with pytest.raises(InputError, match="is the model of fold 1"):
        step(3).main(config)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [("image_width=96", "image_width: 96, 64"), ("image_bits=12", "image_bits: 12, 16")],
)
def test_a_model_of_other_settings_is_refused_with_what_differs(
    finished: list[str], change: str, complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        step(3).main(configured(finished, change))


def test_other_training_settings_train_anew_and_say_why(
    finished: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    step(2).main(configured(finished, "epochs=1", "folds=[1]"))
    out = capsys.readouterr().out
    assert "epochs: 1, 2" in out
    assert "fold 1  epoch 1/1" in out


def test_probabilities_of_another_model_are_refused(finished: list[str]) -> None:
    changed = configured(finished, "epochs=1")
    step(2).main(changed)
    with pytest.raises(InputError, match=r"oof_fold0.npz was made from other model.pt"):
        step(4).main(changed)


@pytest.mark.parametrize("number", [2, 3])
def test_training_images_that_changed_since_the_first_step_are_named(
    finished: list[str], tmp_path: Path, number: int
) -> None:
    data = tmp_path / "data"
    (data / "train/2_1.tif").write_bytes((data / "train/2_2.tif").read_bytes())
    with pytest.raises(InputError, match=r"1 images .* have changed.*\n.*2_1: another file"):
        step(number).main(configured(finished))


def test_test_images_that_changed_since_they_were_predicted_are_told(
    finished: list[str], tmp_path: Path
) -> None:
    config, data = configured(finished), tmp_path / "data"
    (data / "test/1.tif").write_bytes((data / "test/2.tif").read_bytes())
    with pytest.raises(InputError, match=r"test.npz was made from other images"):
        step(4).main(config)
    step(3).main(config)
    step(4).main(config)


def test_the_log_of_a_training_that_was_cut_off_gives_way_to_that_of_the_model(
    finished: list[str],
) -> None:
    config = configured(finished)
    log = Run.of(config).log(0)
    before = log.read_bytes()
    log.write_text("of another training")
    step(2).main(config)
    assert log.read_bytes() == before


def test_folds_that_the_first_step_did_not_make_are_named(settings: list[str]) -> None:
    step(1).main(configured(settings))
    with pytest.raises(InputError, match=r"has the folds \['0', '1'\], not \['2'\]"):
        step(2).main(configured(settings, "n_folds=3", "folds=[2]"))


@pytest.mark.parametrize("name", ["duplicates.csv", "contradictions.csv", "quarantine.csv"])
@pytest.mark.parametrize("number", [2, 3, 4])
def test_a_damaged_table_that_a_person_reads_is_named(
    finished: list[str], name: str, number: int
) -> None:
    path = Run.of(configured(finished)).folder / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=rf"{name} is not as it was written.*run 01_prepare"):
        step(number).main(configured(finished))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_a_damaged_model_is_named(finished: list[str], content: bytes) -> None:
    config = configured(finished)
    folder = Run.of(config).folder
    (folder / "fold0/model.pt").write_bytes(content)
    words = r"fold0/model.pt is not as it was written.*run 02_train.py"
    with pytest.raises(InputError, match=words):
        step(3).main(config)


def test_one_fold_alone_is_trained_predicted_and_scored(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(settings, "folds=['1']")
    folder = chain(config)
    assert not (folder / "fold0").exists()
    scores = pd.read_csv(folder / "oof_iou.csv")
    assert set(scores["fold"]) == {1}
    assert "1 of 2 folds were not asked for" in capsys.readouterr().out


def test_without_a_test_set_it_says_so_and_stops_at_the_scores(
    settings: list[str], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "sample_submission.csv").unlink()
    for path in data.glob("test/*"):
        path.unlink()
    (data / "test").rmdir()
    folder = chain(configured(settings))
    assert "there is no test set" in capsys.readouterr().out
    assert (folder / "oof_iou.csv").exists()
    assert not (folder / "submission.csv").exists()


def test_kfold_is_run_as_asked_and_called_a_leak(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = chain(configured(settings, "validation_strategy=kfold"))
    out = capsys.readouterr().out
    assert out.count("LEAK: 6 subjects stand in several folds") == 3  # 01, 02, beside the scores
    epochs = [line for line in out.splitlines() if "validation loss" in line]
    assert len(epochs) == 4
    assert next(line for line in out.splitlines() if line.startswith("all ")).endswith("LEAK")
    assert all(line.endswith("  LEAK") for line in out.splitlines() if "95 % interval" in line)
    assert all(line.partition("  validated in")[0].endswith("LEAK") for line in epochs)
    # Whatever the last step is told.
    step(4).main(configured(settings))
    assert "LEAK: 6 subjects" in capsys.readouterr().out
    leak = json.loads((folder / "decision.json").read_text())["leaks"][0]
    assert (leak["mark"], leak["text"][:10]) == ("LEAK", "6 subjects")


def test_image_files_that_are_identical_stay_in_one_fold(settings: list[str], data: Path) -> None:
    for number in (1, 2, 4):  # subjects 1 and 6 share a frame
        for kind in ("", "_mask"):
            source = data / "train" / f"1_{number}{kind}.tif"
            (data / "train" / f"6_{number}{kind}.tif").write_bytes(source.read_bytes())
    (data / "train_masks.csv").unlink()
    config = configured(settings)
    step(1).main(config)
    folds = pd.read_csv(Run.of(config).folds, dtype=str)
    assert folds[folds["subject"].isin(["1", "6"])]["fold"].nunique() == 1
    assert set(folds["group"]) == {"1+6", "2", "3", "4", "5"}


@pytest.mark.parametrize("name", STEPS)
def test_importing_a_step_does_nothing(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    importlib.reload(importlib.import_module(name))
    assert capsys.readouterr().out == ""


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "01_prepare_folds.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_wrong_setting_ends_a_step_with_one_message_and_no_traceback() -> None:
    result = command("epoch=3")
    assert result.returncode == 1
    assert "did you mean epochs?" in result.stderr
    assert "Traceback" not in result.stderr


def test_help_names_every_setting() -> None:
    result = command("--help")
    assert result.returncode == 0
    assert all(f"\n  {name} (" in result.stdout for name in FIELDS)
