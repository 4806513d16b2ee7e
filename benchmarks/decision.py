"""04_make_submission.py on a run as large as the competition's: seconds, memory, scores.

    python -m benchmarks.decision [FOLDER] [--frames 120] [setting=value ...]

Writes into FOLDER (a temporary one where none is given; it needs 2 GB) what 01 to 03 would have
left of 47 training subjects and as many test images: folds, stand-ins of models, probability maps
of 420x580, and test images that are read for their hash only. Then 04 is run on them, as a process
of its own. A folder that is whole is used again.

The maps are made up: an ellipse, misplaced and misshapen against the true one, its probability
falling off smoothly, on smooth noise; how sure the map is of a nerve, and the presence beside it,
are drawn round a mean of the subject. True masks have the competition's sizes and places, and its
share of frames with a nerve (41 %; its spread over subjects .23); 47 % of the test images have one.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from tqdm import tqdm

from benchmarks.timing import REPOSITORY, Usage, used_by
from lib import rle
from lib.artifacts.audit import save_audit, save_quarantine
from lib.artifacts.folds import FOLD_COLUMNS, Folds, load_folds, save_folds, unseen_part
from lib.artifacts.model import model_path
from lib.artifacts.probabilities import (
    Probability,
    ProbabilityWriter,
    oof_path,
    provenance_of,
    test_path,
)
from lib.config.fields import Config
from lib.config.read import DEFAULT_FILE
from lib.data.layouts import load_settings
from lib.data.table import read_test_table, with_sha
from lib.folds.assign import assign_folds
from lib.runtime.files import sha_of, written_whole

SHAPE, SUBJECTS = (420, 580), 47
SHARE, SPREAD, TEST_SHARE = 0.41, 0.23, 0.47  # of the frames with a nerve
SURENESS, OF_SUBJECTS, OF_FRAMES = 1.8, 0.9, 1.6  # logits: mean with and less without a nerve; SDs
STEEPNESS, NOISE = 7.0, 0.8  # of the ellipse's edge, and of the smooth noise: logits
MISPLACED, MISSHAPEN = 8.0, 0.15  # pixels, and share of the axes: SDs

Random = np.random.Generator
ROWS, COLUMNS = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)


class Ellipse(NamedTuple):
    """Centre, half axes (pixels) and angle (radians)."""

    row: float
    column: float
    major: float
    minor: float
    angle: float

    def radius(self) -> npt.NDArray[np.float32]:
        """(height, width): of each pixel, 1 on the edge."""
        along, across = COLUMNS - self.column, ROWS - self.row
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        major = (along * cos + across * sin) / self.major
        minor = (across * cos - along * sin) / self.minor
        return np.asarray(np.hypot(major, minor), dtype=np.float32)

    def moved(self, random: Random, pixels: float, share: float) -> "Ellipse":
        row, column = random.normal((self.row, self.column), pixels)
        major, minor = np.array([self.major, self.minor]) * np.exp(random.normal(0, share, 2))
        return Ellipse(row, column, major, minor, self.angle + random.normal(0, share))


class Subject(NamedTuple):
    share: float  # of the frames with a nerve
    sureness: float  # logits added to those of all frames
    nerve: Ellipse


def main(folder: Path, frames: int, settings: list[str]) -> None:
    used = scored(folder, frames, settings)
    print(f"04_make_submission.py: {used.seconds:.1f} s, {used}")


def scored(folder: Path, frames: int, settings: list[str]) -> Usage:
    """04 on the run in the folder, which is made where it is not there."""
    prepare(folder, frames, settings)
    script = REPOSITORY / "04_make_submission.py"
    return used_by([sys.executable, script, *settings, *settings_of(folder)])


def prepare(folder: Path, frames: int, settings: list[str]) -> None:
    if not (folder / "whole").exists():
        make_run(folder, frames, load_settings(DEFAULT_FILE, [*settings, *settings_of(folder)]))


def settings_of(folder: Path) -> list[str]:
    return [
        f"runs_folder={folder / 'runs'}",
        f"data_folder_test={folder / 'test'}",
        f"test_dataframe={folder / 'sample_submission.csv'}",
    ]


def make_run(folder: Path, frames: int, config: Config) -> None:
    """Everything that 04 reads."""
    random = np.random.default_rng(0)
    subjects = [draw_subject(random) for _ in range(SUBJECTS)]
    (folder / "test").mkdir(parents=True, exist_ok=True)
    table, presences = make_training(random, subjects, frames, config)
    write_tests(random, folder, len(table))
    save_quarantine(config, {}, {})
    folds = load_folds(config)
    for fold in config.fold_numbers:
        rows = unseen_part(folds.table, fold, config)
        write_maps(oof_path(config, fold), rows, [fold], random, presences, folds, config)
    test = read_test_table(config)
    assert test is not None
    nerve = random.random(len(test)) < TEST_SHARE
    places = random.integers(SUBJECTS, size=len(test)).tolist()
    unknown = {
        image: Frame(subjects[place], there, subjects[place].nerve.moved(random, 15, 0.1))
        for image, place, there in zip(test["image"], places, nerve.tolist(), strict=True)
    }
    path, numbers = test_path(config), config.fold_numbers
    write_maps(path, with_sha(test), numbers, random, unknown, folds, config)
    (folder / "whole").touch()


class Frame(NamedTuple):
    subject: Subject
    there: bool
    nerve: Ellipse


def draw_subject(random: Random) -> Subject:
    both = SHARE * (1 - SHARE) / SPREAD**2 - 1  # of the Beta of this mean and spread
    share = random.beta(SHARE * both, (1 - SHARE) * both)
    row, column = random.normal((138, 333), (25, 35))
    nerve = Ellipse(row, column, random.normal(65, 6), random.normal(34, 3), -0.96)
    return Subject(share, random.normal(0, OF_SUBJECTS), nerve)


def make_training(
    random: Random, subjects: list[Subject], frames: int, config: Config
) -> tuple[pd.DataFrame, dict[str, Frame]]:
    """folds.csv, the audit and stand-ins of the models."""
    drawn, rows = {}, []
    for number, subject in enumerate(subjects, start=1):
        for k in range(1, frames + 1):
            frame = Frame(
                subject, random.random() < subject.share, subject.nerve.moved(random, 15, 0.1)
            )
            image = f"{number}_{k}"
            mask = rle.encode(frame.nerve.radius() < 1) if frame.there else ""
            drawn[image] = frame
            rows.append((image, mask, *SHAPE, str(number), str(number), 0, 1.0, image))
    columns = ["image", "rle_mask", *FOLD_COLUMNS[1:]]
    table = pd.DataFrame(rows, columns=columns)
    save_folds(config, table.assign(fold=assign_folds(table, config)))
    no_twins = {"images": 0, "iou": None, "dice": None}
    audit = {"leaks": [], "quarantine": {"train": 0, "test": 0}, "test_set": ["", ""]}
    save_audit(config, audit | {"label_noise_ceiling": {"all": no_twins, "with_mask": no_twins}})
    for fold in config.fold_numbers:
        with written_whole(model_path(config, fold)) as file:
            file.write(f"stand-in of the model of fold {fold}".encode())
    return table, drawn


def write_tests(random: Random, folder: Path, images: int) -> None:
    """As many files of a usual size, alike but for their last bytes."""
    _, picture = cv2.imencode(".tif", random.integers(0, 256, SHAPE, dtype=np.uint8))
    for number in range(1, images + 1):
        (folder / "test" / f"{number}.tif").write_bytes(picture.tobytes() + str(number).encode())
    table = pd.DataFrame({"img": range(1, images + 1), "pixels": "1 1"})
    table.to_csv(folder / "sample_submission.csv", index=False)


def write_maps(
    path: Path,
    table: pd.DataFrame,
    fold_numbers: list[int],
    random: Random,
    frames: dict[str, Frame],
    folds: Folds,
    config: Config,
) -> None:
    models = {str(fold): sha_of(model_path(config, fold).read_bytes()) for fold in fold_numbers}
    provenance: dict[str, Any] = provenance_of(models, table, folds) | {
        "presence_head": True,
        "caveats": [],
    }
    with written_whole(path) as file, ProbabilityWriter(file, provenance) as writer:
        for image in tqdm(table["image"], path.stem, disable=None):
            frame = frames[image]
            probability = probability_map(random, frame)
            presence = 1 / (1 + np.exp(-sureness(random, frame)))
            writer.add(image, probability[None], np.array([presence], dtype=np.float32))


def probability_map(random: Random, frame: Frame) -> Probability:
    """What a network might say of the frame: of an empty one, of a place it takes for a nerve."""
    seen = frame.nerve.moved(random, MISPLACED if frame.there else 3 * MISPLACED, MISSHAPEN)
    coarse = random.normal(0, NOISE, (14, 19)).astype(np.float32)
    noise = cv2.resize(coarse, SHAPE[::-1], interpolation=cv2.INTER_CUBIC)
    top = sureness(random, frame)
    logits = np.minimum(top, STEEPNESS * (1 - seen.radius())).clip(-20) + noise
    return np.rint(255 / (1 + np.exp(-logits))).astype(np.uint8)


def sureness(random: Random, frame: Frame) -> float:
    mean = SURENESS if frame.there else -SURENESS
    return float(mean + frame.subject.sureness + random.normal(0, OF_FRAMES))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--frames", type=int, default=120, help="of each subject")
    options, others = parser.parse_known_args()
    if options.folder and "=" in str(options.folder):
        others, options.folder = [str(options.folder), *others], None
    with tempfile.TemporaryDirectory() as scratch:
        main(options.folder or Path(scratch), options.frames, others)
