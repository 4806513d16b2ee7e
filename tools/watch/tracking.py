"""What `logger` names: a training's rows, settings and pictures in TensorBoard or MLflow.

Both write local files only. Their packages are not in requirements.txt and are imported when they
are asked for.
"""

import importlib
import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from filelock import FileLock
from PIL import Image

from lib.artifacts.run import Run
from lib.config.fields import FIELDS, Config
from lib.runtime.errors import InputError


class Tracker:
    """The run of one fold; this one keeps nothing, as logger: None asks."""

    def __init__(self, config: Config, fold: int, done: int) -> None:
        """Of a training that goes on after `done` updates; 0: one that begins, or begins anew."""

    def log(self, row: dict[str, float], step: int) -> None:
        """Values by name after so many updates; on the disk when this returns."""

    def picture(self, path: Path, step: int) -> None:
        """A copy of a PNG file."""

    def close(self, finished: bool) -> None:
        """`finished` is False for a training that was cut off."""


class TensorBoard(Tracker):
    """Event files in fold{k}/, so that `tensorboard --logdir runs` shows <experiment_name>/fold{k}.

    The files of a training that began before this one did are deleted.
    """

    def __init__(self, config: Config, fold: int, done: int) -> None:
        board, summary = _modules(
            ["torch.utils.tensorboard", "torch.utils.tensorboard.summary"], "tensorboard"
        )
        folder = Run.of(config).fold(fold)
        if not done:
            for old in folder.glob("events.out.tfevents.*"):
                old.unlink()
        # TensorBoard hides what a run that was killed wrote of the steps that now come again.
        self._writer = board.SummaryWriter(str(folder), purge_step=done + 1)
        if not done:
            headline = {f"validation_{config.metric.lower()}": math.nan}
            experiment, start, _ = summary.hparams(_settings(config), headline)
            for summary in (experiment, start):
                self._writer.file_writer.add_summary(summary)
            self._writer.flush()

    def log(self, row: dict[str, float], step: int) -> None:
        for name, value in row.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def picture(self, path: Path, step: int) -> None:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        self._writer.add_image(path.stem, pixels, step, dataformats="HWC")
        self._writer.flush()

    def close(self, finished: bool) -> None:
        self._writer.close()


class MLflow(Tracker):
    """A run of the experiment <experiment_name> in runs_folder/mlflow.db (SQLite).

    A training that goes on keeps its run and the steps that are there already, which an exact
    resume would only repeat. Of one that begins anew the earlier run goes to MLflow's bin. Its
    store of plain files would need fewer packages, but MLflow 3.17 refuses it.
    """

    def __init__(self, config: Config, fold: int, done: int) -> None:
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when MLflow is imported
        packages = "mlflow-skinny sqlalchemy alembic"
        names = ["mlflow.tracking", "mlflow.entities", "mlflow.exceptions", *packages.split()[1:]]
        tracking, self._entities, exceptions, sqlalchemy, _ = _modules(names, packages)
        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of each table it makes
        file = Path(config.runs_folder).resolve() / "mlflow.db"
        unusable = (exceptions.MlflowException, sqlalchemy.exc.SQLAlchemyError)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            # Folds that begin together would all make the database's tables.
            with FileLock(file.with_name(f".{file.name}.lock")):
                self._client = tracking.MlflowClient(tracking_uri=f"sqlite:///{quote(str(file))}")
                experiment = _experiment(self._client, config, file.parent)
                self._run = self._run_of(experiment, fold, config, done)
            self._logged = self._steps()
        except unusable as error:
            reason = str(error).partition("\n")[0]
            raise InputError(
                f"{file}: MLflow cannot use it ({reason}): mend it, move it away or set logger=None"
            ) from error

    def log(self, row: dict[str, float], step: int) -> None:
        now = int(1000 * time.time())
        metrics = [
            self._entities.Metric(name, float(value), now, step)
            for name, value in row.items()
            if (name, step) not in self._logged
        ]
        self._client.log_batch(self._run, metrics)

    def picture(self, path: Path, step: int) -> None:
        self._client.log_artifact(self._run, str(path))

    def close(self, finished: bool) -> None:
        self._client.set_terminated(self._run, "FINISHED" if finished else "KILLED")

    def _run_of(self, experiment: str, fold: int, config: Config, done: int) -> str:
        """The id of the fold's run: the one before where the training goes on, else a new one."""
        found = self._client.search_runs([experiment], f"tags.fold = '{fold}'")
        if found and done:
            run = found[0].info.run_id
            self._client.update_run(run, status="RUNNING")
            return str(run)
        for old in found:
            self._client.delete_run(old.info.run_id)
        new = self._client.create_run(experiment, tags={"fold": str(fold)}, run_name=f"fold{fold}")
        params = [self._entities.Param(*item) for item in _settings(config).items()]
        for start in range(0, len(params), 100):  # MLflow takes no more at a time
            self._client.log_batch(new.info.run_id, params=params[start : start + 100])
        return str(new.info.run_id)

    def _steps(self) -> set[tuple[str, int]]:
        """Name and step of all values that the run holds."""
        names = self._client.get_run(self._run).data.metrics
        history = self._client.get_metric_history
        return {(name, metric.step) for name in names for metric in history(self._run, name)}


TRACKERS: dict[str, type[Tracker]] = {
    "None": Tracker,
    "TensorBoard": TensorBoard,
    "MLflow": MLflow,
}


@contextmanager
def tracked(config: Config, fold: int, done: int) -> Iterator[Tracker]:
    """The run of a fold whose training goes on after `done` updates, closed at the end.

    InputError where the logger's packages are missing.
    """
    tracker, finished = TRACKERS[config.logger](config, fold, done), False
    try:
        yield tracker
        finished = True
    finally:
        tracker.close(finished)


def _experiment(client: Any, config: Config, runs: Path) -> str:
    """The id of MLflow's experiment; `runs` is the absolute runs_folder."""
    name = config.experiment_name
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        folder = runs / name / "mlflow"  # for copies of pictures
        return str(client.create_experiment(name, artifact_location=folder.as_uri()))
    return str(experiment.experiment_id)


def _settings(config: Config) -> dict[str, str]:
    return {name: str(getattr(config, name)) for name in FIELDS}


def _modules(names: list[str], packages: str) -> list[Any]:
    """The modules; InputError with the packages to install where one is missing."""
    try:
        return [importlib.import_module(name) for name in names]
    except ModuleNotFoundError as error:
        raise InputError(
            f"logger needs packages that are not there ({error.name}): .venv/bin/python -m pip "
            f"install {packages}; or set logger=None"
        ) from None
