"""What a tracker holds is read back with the tracker's own reader."""

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lib.config.fields import Config
from lib.config.read import DEFAULT_FILE
from lib.data.layouts import load_settings
from lib.runtime.errors import InputError
from tests.conftest import REPOSITORY
from tools.watch.tracking import tracked

Values = dict[str, list[tuple[int, float]]]
BOTH = pytest.mark.parametrize("logger", ["TensorBoard", "MLflow"])


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's, without a run: making its many tables takes longer than all else."""
    folder = tmp_path_factory.mktemp("mlflow")
    client(configured(folder, "MLflow")).search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def tmp_path(tmp_path: Path, database: Path) -> Path:
    shutil.copy(database, tmp_path)
    return tmp_path


def configured(tmp_path: Path, logger: str) -> Config:
    return replace(Config(), runs_folder=str(tmp_path), logger=logger, experiment_name="one")


def events(config: Config, fold: int) -> EventAccumulator:
    folder = Path(config.runs_folder) / config.experiment_name / f"fold{fold}"
    return EventAccumulator(str(folder)).Reload()


def client(config: Config) -> MlflowClient:
    return MlflowClient(f"sqlite:///{config.runs_folder}/mlflow.db")


def runs_of(config: Config, fold: int) -> list[Run]:
    experiment = client(config).get_experiment_by_name(config.experiment_name)
    assert experiment is not None
    found = client(config).search_runs([experiment.experiment_id])
    return [run for run in found if run.info.run_name == f"fold{fold}"]


def values(config: Config, fold: int = 0) -> Values:
    """(step, value) of each name that the tracker holds for the fold."""
    if config.logger == "TensorBoard":
        board = events(config, fold)
        return {
            name: [(event.step, event.value) for event in board.Scalars(name)]
            for name in board.Tags()["scalars"]
        }
    (run,) = runs_of(config, fold)
    history = client(config).get_metric_history
    return {
        name: [(metric.step, metric.value) for metric in history(run.info.run_id, name)]
        for name in run.data.metrics
    }


def train(config: Config, done: int, steps: Iterator[int] | range, fold: int = 0) -> None:
    with tracked(config, fold, done) as tracker:
        for step in steps:
            tracker.log({"loss": step / 4}, step)


def cut_off(config: Config, done: int, steps: range) -> None:
    def until_stopped() -> Iterator[int]:
        yield from steps
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, done, until_stopped())


@BOTH
def test_a_row_comes_back_by_name_and_step(tmp_path: Path, logger: str) -> None:
    config = configured(tmp_path, logger)
    with tracked(config, 0, 0) as tracker:
        tracker.log({"loss": 0.5, "iou": 0.25}, 118)
        tracker.log({"loss": 0.125}, 236)
    assert values(config) == {"loss": [(118, 0.5), (236, 0.125)], "iou": [(118, 0.25)]}


@BOTH
def test_a_score_that_is_not_a_number_stays_so(tmp_path: Path, logger: str) -> None:
    config = configured(tmp_path, logger)
    with tracked(config, 0, 0) as tracker:
        tracker.log({"iou": math.nan}, 1)
    ((step, value),) = values(config)["iou"]
    assert step == 1 and math.isnan(value)


@BOTH
@pytest.mark.parametrize("done", [1, 2, 3])
def test_a_training_that_goes_on_has_every_step_once(
    tmp_path: Path, logger: str, done: int
) -> None:
    """Killed after update 3, its last state of update `done`: what follows comes again."""
    config = configured(tmp_path, logger)
    cut_off(config, 0, range(1, 4))
    train(config, done, range(done + 1, 6))
    assert values(config) == {"loss": [(step, step / 4) for step in range(1, 6)]}


@BOTH
def test_a_training_that_begins_anew_leaves_nothing_of_the_one_before(
    tmp_path: Path, logger: str
) -> None:
    config = configured(tmp_path, logger)
    cut_off(config, 0, range(1, 9))
    train(config, 0, range(1, 3))
    assert values(config) == {"loss": [(1, 0.25), (2, 0.5)]}


@BOTH
def test_each_fold_is_a_run_of_its_own(tmp_path: Path, logger: str) -> None:
    config = configured(tmp_path, logger)
    train(config, 0, range(1, 2), fold=0)
    train(config, 0, range(2, 3), fold=1)
    train(config, 1, range(3, 4), fold=0)
    assert values(config, 0) == {"loss": [(1, 0.25), (3, 0.75)]}
    assert values(config, 1) == {"loss": [(2, 0.5)]}


@pytest.mark.parametrize("name", ["Neptune", "tensorboard", "WandB"])
def test_another_logger_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(InputError, match="allowed: None, TensorBoard, MLflow"):
        load_settings(DEFAULT_FILE, [f"logger={name}"])


def test_none_writes_nothing(tmp_path: Path) -> None:
    train(configured(tmp_path / "none", "None"), 0, range(3))
    assert not (tmp_path / "none").exists()


def test_tensorboard_holds_the_settings(tmp_path: Path) -> None:
    config = configured(tmp_path, "TensorBoard")
    train(config, 0, range(1, 2))
    train(config, 1, range(2, 3))
    content = events(config, 0).PluginTagToContent("hparams")["_hparams_/session_start_info"]
    for text in (b"learning_rate", b"resnet34", b"['0', '1', '2', '3', '4']"):
        assert text in content


def test_mlflow_holds_the_settings_and_how_the_run_ended(tmp_path: Path) -> None:
    config = configured(tmp_path, "MLflow")
    cut_off(config, 0, range(1, 2))
    (before,) = runs_of(config, 0)
    assert before.info.status == "KILLED"
    assert before.data.params["learning_rate"] == "0.001"
    assert before.data.params["neptune_project"] == ""
    train(replace(config, number_of_workers=1), 1, range(2, 3))
    (after,) = runs_of(config, 0)
    assert (after.info.run_id, after.info.status) == (before.info.run_id, "FINISHED")


def drawn_in_tensorboard(config: Config) -> np.ndarray:
    (image,) = events(config, 0).Images("first_batch")
    assert image.step == 7
    path = Path(config.runs_folder) / "copy.png"
    path.write_bytes(image.encoded_image_string)
    return np.asarray(Image.open(path))


def drawn_in_mlflow(config: Config) -> np.ndarray:
    (path,) = (Path(config.runs_folder) / "one" / "mlflow").rglob("first_batch.png")
    return np.asarray(Image.open(path))


@pytest.mark.parametrize(
    ("logger", "drawn"), [("TensorBoard", drawn_in_tensorboard), ("MLflow", drawn_in_mlflow)]
)
def test_a_picture_is_copied(
    tmp_path: Path, logger: str, drawn: Callable[[Config], np.ndarray]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "first_batch.png")
    config = configured(tmp_path, logger)
    with tracked(config, 0, 0) as tracker:
        tracker.picture(tmp_path / "first_batch.png", 7)
    assert np.array_equal(drawn(config), pixels)


def test_a_folder_of_any_name_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "a b%20é#1?x=y"
    folder.mkdir()
    database = Path(shutil.copy(tmp_path / "mlflow.db", folder))
    before = database.read_bytes()
    train(configured(folder, "MLflow"), 0, range(1, 2))
    assert database.read_bytes() != before


def test_a_database_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("nothing of the kind, but long enough to be looked at")
    with pytest.raises(InputError, match=r"mlflow\.db: MLflow cannot use it .*logger=None"):
        train(configured(tmp_path, "MLflow"), 0, range(1))


@pytest.mark.parametrize(
    ("logger", "missing", "line"),
    [
        ("TensorBoard", "torch.utils.tensorboard", "pip install tensorboard;"),
        ("MLflow", "mlflow.tracking", "pip install mlflow-skinny sqlalchemy alembic;"),
        ("MLflow", "alembic", "pip install mlflow-skinny sqlalchemy alembic;"),
    ],
)
def test_a_missing_package_is_named_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logger: str, missing: str, line: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)  # an import of it fails
    with pytest.raises(InputError, match=line):
        train(configured(tmp_path, logger), 0, range(1))


# Prints every name that is looked up and every connection that is opened.
WATCHED = """
import sys, threading
watched = ("socket.connect", "socket.getaddrinfo")
sys.addaudithook(lambda event, about: event in watched and print(event, about, flush=True))
from lib.config.read import Config
from tools.watch.tracking import tracked
config = Config(runs_folder=sys.argv[1], logger="MLflow")
with tracked(config, int(sys.argv[2]), 0) as tracker:
    tracker.log({"loss": 1.0}, 1)
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join(timeout=2)
"""


def test_folds_that_begin_together_share_mlflow_and_call_nobody(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").unlink()
    outside = {"CI", "GITHUB_ACTIONS", "PYTEST_CURRENT_TEST", "PYTEST_VERSION", "DO_NOT_TRACK"}
    environment: dict[str, Any] = {k: v for k, v in os.environ.items() if k not in outside}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WATCHED, str(tmp_path), str(fold)],
            cwd=REPOSITORY,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for fold in range(2)
    ]
    for process in processes:
        out, errors = process.communicate(timeout=120)
        assert (process.returncode, out) == (0, ""), errors
    config = replace(configured(tmp_path, "MLflow"), experiment_name="nerve")
    assert [values(config, fold) for fold in range(2)] == [{"loss": [(1, 1.0)]}] * 2
