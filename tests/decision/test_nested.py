"""Rules chosen without the images they are scored on, and 04 on probabilities that are made up."""

import importlib
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from lib import rle
from lib.artifacts.audit import save_audit, save_quarantine
from lib.artifacts.caveats import training_caveats
from lib.artifacts.folds import FOLD_COLUMNS, load_folds, save_folds
from lib.artifacts.probabilities import ProbabilityWriter, provenance_of
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.config.read import DEFAULT_FILE
from lib.data.images_of_test import read_test_table
from lib.data.layouts import load_settings
from lib.data.table import with_sha
from lib.decision.nested import parts_of
from lib.decision.rule import Rule, decide
from lib.metric import iou, overlap
from lib.runtime import threads
from lib.runtime.errors import InputError
from lib.runtime.files import sha_of, written_whole
from tests.conftest import STEPS
from tests.decision.test_search import made_up

TWINS = {"images": 3, "iou": 0.5, "dice": 0.6}


def config_of(tmp_path: Path, *settings: str) -> Config:
    given = [f"runs_folder={tmp_path / 'runs'}", "n_folds=3", "folds=[0, 1, 2]", *settings]
    return load_settings(DEFAULT_FILE, given)


def write_run(
    config: Config,
    maps: Sequence[np.ndarray],
    truths: Sequence[np.ndarray],
    presence: np.ndarray | None = None,
    subjects: int = 12,
) -> None:
    """What 01 to 03 leave: three images in a row are of one subject, the next of the next."""
    rows = []
    for k, truth in enumerate(truths):
        subject = str(k // 3 % subjects)
        rows.append((f"i{k}", rle.encode(truth), *truth.shape, subject, subject, 0, 1.0, f"sha{k}"))
    table = pd.DataFrame(rows, columns=["image", "rle_mask", *FOLD_COLUMNS[1:]])
    save_folds(config, table.assign(fold=table["subject"].astype(int) % 3))
    save_quarantine(config, {}, {})
    audit = {"leaks": [], "quarantine": {"train": 0, "test": 0}, "test_set": ["None", "None"]}
    save_audit(config, audit | {"label_noise_ceiling": {"all": TWINS, "with_mask": TWINS}})
    folds = load_folds(config)
    names = dict(zip(table["image"], range(len(table)), strict=True))
    for fold in range(3):
        Run.of(config).fold(fold).mkdir(exist_ok=True)
        Run.of(config).model(fold).write_bytes(b"model")
        rows_of_fold = folds.table[folds.table["fold"] == fold]
        provenance = provenance_of({str(fold): sha_of(b"model")}, rows_of_fold, folds) | {
            "caveats": training_caveats(config)
        }
        if presence is not None:
            provenance["presence_head"] = True
        write_maps(
            Run.of(config).oof(fold), provenance, rows_of_fold["image"], names, maps, presence
        )


def write_maps(
    path: Path,
    provenance: dict[str, object],
    images: Sequence[str],
    names: dict[str, int],
    maps: Sequence[np.ndarray],
    presence: np.ndarray | None,
) -> None:
    with written_whole(path) as file, ProbabilityWriter(file, provenance) as writer:
        for image in images:
            k = names[image]
            there = maps[k].max() / 255 if presence is None else presence[k]
            writer.add(image, maps[k][None], np.array([there], dtype=np.float32))


def last_step(config: Config) -> Path:
    importlib.import_module(STEPS[3]).main(config)
    return Run.of(config).folder


def test_each_image_is_scored_by_the_mask_of_the_rule_chosen_without_its_fold(
    tmp_path: Path,
) -> None:
    maps, truths, presence = made_up(48)
    presence = presence.astype(np.float32).astype(float)
    config = config_of(tmp_path)
    write_run(config, maps, truths, presence)
    folder = last_step(config)
    decision = json.loads((folder / "decision.json").read_text())
    rules = [Rule(**rule) for rule in decision["nested_rules"]["nerve"]]
    scores = pd.read_csv(folder / "oof_iou.csv").set_index("image")
    tuned = []
    for k, (probability, truth) in enumerate(zip(maps, truths, strict=True)):
        row = scores.loc[f"i{k}"]
        counts = overlap(truth, decide(probability, float(presence[k]), rules[int(row["fold"])]))
        assert (row["area"], row["true_area"]) == (counts.prediction, counts.truth)
        assert row["iou"] == pytest.approx(iou(counts), abs=1e-5)
        mask = decide(probability, float(presence[k]), Rule(**decision["rules"]["nerve"]))
        tuned.append(iou(overlap(truth, mask)))
    assert decision["scores"]["all"]["iou"] == pytest.approx(scores["iou"].mean(), abs=1e-5)
    assert decision["other_scores"]["tuned"]["all"]["iou"] == pytest.approx(np.mean(tuned))
    fixed = [iou(overlap(t, p > 127)) for t, p in zip(truths, maps, strict=True)]
    assert decision["other_scores"]["fixed"]["all"]["iou"] == pytest.approx(np.mean(fixed))
    assert decision["presence_head"] is True


def test_the_labels_of_a_fold_say_nothing_in_its_own_rule(tmp_path: Path) -> None:
    maps, truths, _ = made_up(48)
    rules = []
    for name, invert in (("as_they_are", False), ("inverted", True)):
        config = config_of(tmp_path / name)
        for k in range(48) if invert else []:
            if k // 3 % 3 == 0:  # of fold 0
                truths[k] = 1 - truths[k]
        write_run(config, maps, truths)
        rules.append(
            json.loads((last_step(config) / "decision.json").read_text())["nested_rules"]["nerve"]
        )
    assert rules[0][0] == rules[1][0]
    assert rules[0][1:] != rules[1][1:]


def test_the_same_files_come_out_of_any_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps, truths, _ = made_up(24)
    config = config_of(tmp_path)
    write_run(config, maps, truths)
    contents = []
    for readers in (1, 7):
        monkeypatch.setattr(threads, "READERS", readers)
        folder = last_step(config)
        contents.append([(folder / name).read_bytes() for name in ("oof_iou.csv", "decision.json")])
    assert contents[0] == contents[1]


def folds_table(folds: Sequence[int], groups: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({"fold": folds, "group": groups})


def test_three_folds_are_the_parts() -> None:
    table = folds_table([4, 1, 0, 4], ["a", "b", "c", "d"])
    assert parts_of(table, Config()).tolist() == [2, 1, 0, 2]


def test_fewer_folds_are_parted_by_group() -> None:
    groups = [name for name in "abcdefg" for _ in range(3)]
    table = folds_table([0] * 12 + [1] * 9, groups).sample(frac=1, random_state=0)
    part = parts_of(table, Config())
    assert sorted(set(part.tolist())) == [0, 1, 2, 3, 4]
    assert table.groupby("group")["fold"].size().eq(3).all()
    assert (pd.Series(part).groupby(table["group"].to_numpy()).nunique() == 1).all()


@pytest.mark.parametrize(
    ("groups", "settings"),
    [(["a", "a", "a"], Config()), (list("abc"), Config(tune_decision=False))],
)
def test_one_group_or_the_setting_leave_one_part(groups: list[str], settings: Config) -> None:
    assert parts_of(folds_table([0, 0, 0], groups), settings).tolist() == [0, 0, 0]


def test_images_of_one_group_get_the_fixed_rule_and_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, truths, _ = made_up(12)
    config = config_of(tmp_path, "folds=[0]", "probability_threshold=.4")
    write_run(config, maps, truths, subjects=3)
    folder = last_step(config)
    decision = json.loads((folder / "decision.json").read_text())
    assert Rule(**decision["rules"]["nerve"]) == Rule(threshold=0.4)
    assert decision["chosen_on_these_images"] is False
    out = capsys.readouterr().out
    assert "NOTHING CHOSEN: all images are one group" in out
    assert "flatters" not in out


def test_the_expected_score_is_that_at_the_share_of_nerves_asked_for(tmp_path: Path) -> None:
    maps, truths, _ = made_up(24)
    config = config_of(tmp_path, "test_positive_share=0.25")
    write_run(config, maps, truths)
    folder = last_step(config)
    rows = pd.read_csv(folder / "oof_iou.csv")
    nerve = rows["true_area"] > 0
    expected = 0.25 * rows["iou"][nerve].mean() + 0.75 * rows["iou"][~nerve].mean()
    scores = json.loads((folder / "decision.json").read_text())["scores"]
    assert scores["expected"]["iou"] == pytest.approx(expected, abs=1e-5)


def specked(truths: Sequence[np.ndarray], shape: tuple[int, int] = (40, 60)) -> list[np.ndarray]:
    """Sure maps of the true masks at another size, each with a hole, and a speck in a corner."""
    maps = []
    for truth in truths:
        large = cv2.resize(truth, shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        probability = np.where(large > 0, 240, 3).astype(np.uint8)
        if large.any():
            rows, columns = np.nonzero(large)
            probability[int(rows.mean()), int(columns.mean())] = 3
            probability[1:4, 1:4] = 240
        maps.append(probability)
    return maps


def large(truths: Sequence[np.ndarray], shape: tuple[int, int] = (40, 60)) -> list[np.ndarray]:
    return [cv2.resize(t, shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT) for t in truths]


def test_specks_and_holes_are_cleaned_where_that_scores_better(tmp_path: Path) -> None:
    _, truths, _ = made_up(24)
    config = config_of(tmp_path)
    write_run(config, specked(truths), large(truths))
    decision = json.loads((last_step(config) / "decision.json").read_text())
    for rule in [decision["rules"]["nerve"], *decision["nested_rules"]["nerve"]]:
        assert (rule["components"], rule["fill_holes"]) == (1, True)
    assert decision["scores"]["all"]["iou"] == pytest.approx(1)


def with_test_images(tmp_path: Path, maps: Sequence[np.ndarray], *settings: str) -> Config:
    """Settings of a run with test images t0, t1, ..."""
    images = [f"t{k}" for k in range(len(maps))]
    (tmp_path / "test").mkdir()
    for image, probability in zip(images, maps, strict=True):
        cv2.imwrite(str(tmp_path / "test" / f"{image}.png"), probability)
    pd.DataFrame({"image": images}).to_csv(tmp_path / "test.csv", index=False)
    more = [f"data_folder_test={tmp_path / 'test'}", f"test_dataframe={tmp_path / 'test.csv'}"]
    return config_of(tmp_path, *more, *settings)


def write_test_maps(config: Config, maps: Sequence[np.ndarray]) -> None:
    test = read_test_table(config)
    assert test is not None
    models = dict.fromkeys("012", sha_of(b"model"))
    provenance = provenance_of(models, with_sha(test), load_folds(config))
    names = dict(zip(test["image"], range(len(test)), strict=True))
    write_maps(Run.of(config).test, provenance, test["image"].tolist(), names, maps, None)


def test_a_presence_that_only_the_training_images_have_is_refused(tmp_path: Path) -> None:
    maps, truths, _ = made_up(24)
    config = with_test_images(tmp_path, maps[:3])
    told = np.array([float(truth.any()) for truth in truths])  # worth going by
    write_run(config, maps, truths, told)
    write_test_maps(config, maps[:3])
    with pytest.raises(
        InputError, match=r"test.npz was predicted otherwise .* presence_head: False, True"
    ):
        last_step(config)


def test_folds_of_networks_with_and_without_a_presence_are_refused(tmp_path: Path) -> None:
    maps, truths, presence = made_up(24)
    config = config_of(tmp_path)
    write_run(config, maps, truths, presence)
    of_fold = Run.of(config).oof(2).read_bytes()
    write_run(config, maps, truths)
    Run.of(config).oof(2).write_bytes(of_fold)
    with pytest.raises(InputError, match="the folds differ in presence_head"):
        last_step(config)
