"""A tiny data set in the competition's layout, and settings that train on it in a second."""

import importlib
import shutil
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import settings as hypothesis_settings

from lib import rle
from lib.config.fields import Config
from lib.data.layouts import load_settings

if TYPE_CHECKING:
    from lib.training.loop import Trainer

REPOSITORY = Path(__file__).parent.parent
STEPS = ["01_prepare_folds", "02_train", "03_infer", "04_make_submission"]
SHAPE = (60, 80)
# A machine that does much else is slow: that is no failure.
hypothesis_settings.register_profile("patient", deadline=None)
hypothesis_settings.load_profile("patient")

# Files that take long: they begin first, so that no core waits for them at the end.
LONG = {
    "test_long_runs.py",
    "test_notebook.py",
    "test_patient_data.py",
    "test_processes.py",
    "test_resume.py",
    "test_scripts.py",
    "test_slices.py",
    "test_training_settings.py",
    "test_whole_runs.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONG)


def step(number: int) -> ModuleType:
    return importlib.import_module(STEPS[number - 1])


def tiny_image(seed: int, nerve: bool) -> tuple[np.ndarray, np.ndarray]:
    """Noise with, where there is a nerve, a bright ellipse; its mask 0/1."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 100, SHAPE, dtype=np.uint8)
    mask = np.zeros(SHAPE, dtype=np.uint8)
    if nerve:
        centre = tuple(int(value) for value in random.integers(20, 40, 2))
        cv2.ellipse(mask, centre, (14, 8), 30, 0, 360, 1, -1)
        image[mask > 0] += 120
    return image, mask


def write_competition(
    folder: Path, subjects: int = 6, frames: int = 4, test_images: int = 3
) -> Path:
    """The competition's layout: every third frame is empty."""
    for subset in ("train", "test"):
        (folder / subset).mkdir(parents=True)
    rows = []
    for subject in range(1, subjects + 1):
        for number in range(1, frames + 1):
            image, mask = tiny_image(100 * subject + number, nerve=number % 3 != 0)
            stem = folder / "train" / f"{subject}_{number}"
            cv2.imwrite(f"{stem}.tif", image)
            cv2.imwrite(f"{stem}_mask.tif", mask * 255)
            rows.append({"subject": subject, "img": number, "pixels": rle.encode(mask)})
    pd.DataFrame(rows).to_csv(folder / "train_masks.csv", index=False)
    order = list(range(test_images, 0, -1))
    for number in order:
        cv2.imwrite(str(folder / "test" / f"{number}.tif"), tiny_image(number, nerve=True)[0])
    submission = pd.DataFrame({"img": order, "pixels": "1 1"})
    submission.to_csv(folder / "sample_submission.csv", index=False)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_competition(tmp_path / "data")


@pytest.fixture
def settings(tmp_path: Path, data: Path) -> list[str]:
    return settings_in(tmp_path)


def settings_in(folder: Path) -> list[str]:
    """Settings of a run that takes seconds, on the data in the folder."""
    return [
        f"data={folder / 'data'}",
        f"runs_folder={folder / 'runs'}",
        "backbone=tu-test_efficientnet",
        "pretrained=false",
        "image_height=32",
        "image_width=64",
        "batch_size=4",
        "epochs=2",
        "number_of_workers=0",
        "n_folds=2",
        "folds=[0, 1]",
    ]


@pytest.fixture
def config(settings: list[str]) -> Config:
    return configured(settings)


def configured(settings: list[str], *more: str) -> Config:
    return load_settings(REPOSITORY / "config.yaml", [*settings, *more])


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/ and runs/nerve, which all four steps have made. To be read only."""
    folder = tmp_path_factory.mktemp("finished")
    write_competition(folder / "data")
    chain(configured(settings_in(folder)))
    return folder


@pytest.fixture
def finished(finished_once: Path, tmp_path: Path) -> list[str]:
    """The settings of a finished run of the test's own, a copy, which it may change."""
    shutil.copytree(finished_once, tmp_path, dirs_exist_ok=True)
    return settings_in(tmp_path)


def chain(config: Config) -> Path:
    """Runs the four steps; returns the run's folder."""
    for number in range(1, 5):
        step(number).main(config)
    return Path(config.runs_folder) / config.experiment_name


def trainer(config: Config) -> "Trainer":
    """Of fold 0; 01 has run."""
    from lib.artifacts.folds import load_folds  # slow to load, with the training
    from lib.data.table import with_files
    from lib.training.loop import Trainer

    folds = load_folds(config)
    return Trainer(folds, with_files(folds.table, config), 0, config)
