"""Run: where the files of a run lie, and what it says of them."""

import shutil
from pathlib import Path

import pytest

from lib.artifacts.run import Run
from lib.runtime.errors import InputError
from tests.conftest import configured, settings_in


def test_every_file_of_a_finished_run_is_where_the_run_says(finished_once: Path) -> None:
    run = Run.of(configured(settings_in(finished_once)))
    for path in (run.settings, run.folds, run.audit, run.quarantine, run.duplicates):
        assert path.is_file(), path
    for path in (run.test, run.scores, run.decision, run.submission, run.report):
        assert path.is_file(), path
    for fold in (0, 1):
        files = (run.model(fold), run.log(fold), run.state(fold), run.speed(fold))
        assert all(path.is_file() for path in (*files, run.first_batch(fold), run.oof(fold)))
    assert run.trained([0, 1, 2]) == run.predicted([0, 1, 2]) == [0, 1]


def test_the_settings_of_a_run_that_was_moved_name_its_new_place(
    finished_once: Path, tmp_path: Path
) -> None:
    was = Run.of(configured(settings_in(finished_once)))
    run = Run(Path(shutil.copytree(was.folder, tmp_path / "elsewhere" / "other")))
    config = run.config(["tune_decision=false"])
    assert Run.of(config).folder == run.folder
    assert (config.n_folds, config.tune_decision) == (2, False)


def test_a_folder_that_is_no_run_is_named_with_the_first_step(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config.yaml is missing: run 01_prepare_folds.py first"):
        Run(tmp_path).config()
