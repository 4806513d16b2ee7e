"""benchmarks/same_folds.py: a peer's answers become a run that 04 scores."""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from benchmarks import same_folds
from lib.artifacts.run import Run
from lib.config.read import DEFAULT_FILE
from lib.data.layouts import load_settings
from tests.conftest import step

SIZE, FOLDS = (96, 128), [0, 1]


def in_this_process(number: int, settings: list[str]) -> None:
    step(number).main(load_settings(DEFAULT_FILE, settings))


def pixels(path: Path) -> np.ndarray:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))


def knows_all(python: str, module: str, peer: str, task: Path, **_: object) -> dict[str, float]:
    """A peer that reads the masks of the unseen images, but "blind" sees nothing."""
    settings = json.loads((task / "task.json").read_text())
    assert settings == {"epochs": 3, "batch_size": 16, "seed": 7}
    images = pd.read_csv(task / "images.csv")
    assert set(images["unseen"]) == {0, 1}
    told: dict[str, Any] = {}
    for image in images["image"]:
        grey, mask = (pixels(task / kind / f"{image}.png") for kind in ("images", "masks"))
        assert grey.shape == mask.shape == SIZE
        told[image] = mask * (0 if peer == "blind" else 255)
    np.savez(task / "probabilities.npz", **told)
    return {"training": 2.0, "predicting": 0.1, "gib": 1.5}


def test_a_peer_is_scored_as_ours_is(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(data / "test")
    (data / "sample_submission.csv").unlink()
    runs = str(tmp_path / "runs")
    given = argparse.Namespace(data=data, names=["blind"], folds=FOLDS, seed=7, seeds=[7])
    vars(given).update(epochs=3, runs=runs, peers="python")
    monkeypatch.setattr(same_folds, "script", in_this_process)
    monkeypatch.setattr(same_folds, "answer_of", knows_all)
    monkeypatch.setattr(same_folds, "PACKAGES", {"blind": "numpy"})

    def ours(_: str, seed: int, given: argparse.Namespace) -> None:
        """In place of a training: a run of the peer that knows all."""
        settings = same_folds.settings_of("base", given)
        in_this_process(1, settings)
        for fold in FOLDS:
            same_folds.train(same_folds.Job("base", fold), given)
            columns = {"training_seconds": [60], "validation_seconds": [6], "peak_memory_gib": [2]}
            path = Run.of(load_settings(DEFAULT_FILE, settings)).speed(fold)
            table = pd.DataFrame({"epoch": [1], "device": "x", "torch": "y", **columns})
            table.to_csv(path, index=False)
        in_this_process(4, settings)

    monkeypatch.setattr(same_folds, "run_variant", ours)
    monkeypatch.setattr(same_folds, "missing", lambda *_: "")
    same_folds.main(given)
    header, _, best, blind = capsys.readouterr().out.splitlines()[-4:]
    assert header.startswith("| who | IoU |")
    name, iou, *_, minutes, gib = cells(best)
    assert (name, minutes, gib) == ("ours", "1.1", "2.0")
    assert float(iou) == 1
    name, _, _, fixed, less, between, minutes, gib = cells(blind)
    assert (name, minutes, gib) == ("blind", "2.0", "1.5")
    assert float(fixed) == 0.25  # of the images show no nerve
    assert float(less) > 0.3
    assert "to" in between


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
