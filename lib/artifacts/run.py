"""The folder of a run: where each step leaves its files, and the settings that 01 kept there."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from lib.config.fields import Config
from lib.config.read import load_config, to_yaml
from lib.runtime.files import existing, written_whole


@dataclass(frozen=True)
class Run:
    """The files of a run by what they hold, and which steps have left theirs."""

    folder: Path

    @classmethod
    def of(cls, config: Config) -> Self:
        """The run that the settings name: runs_folder/experiment_name."""
        return cls(Path(config.runs_folder) / config.experiment_name)

    def config(self, overrides: Iterable[str] = ()) -> Config:
        """The settings that 01 kept, with key=value settings on top; the run is this folder.

        InputError where 01 has not been run.
        """
        path, whole = existing(self.settings, "01_prepare_folds.py"), self.folder.resolve()
        place = [f"runs_folder={whole.parent}", f"experiment_name={whole.name}"]
        return load_config(path, [*overrides, *place])

    def trained(self, folds: Iterable[int]) -> list[int]:
        """Those of the folds whose model is there."""
        return [fold for fold in folds if self.model(fold).is_file()]

    def predicted(self, folds: Iterable[int]) -> list[int]:
        """Those of the folds whose images have probabilities."""
        return [fold for fold in folds if self.oof(fold).is_file()]

    # 01_prepare_folds.py

    @property
    def settings(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def folds(self) -> Path:
        return self.folder / "folds.csv"

    @property
    def audit(self) -> Path:
        return self.folder / "folds_audit.json"

    @property
    def quarantine(self) -> Path:
        return self.folder / "quarantine.csv"

    @property
    def duplicates(self) -> Path:
        return self.folder / "duplicates.csv"

    @property
    def contradictions(self) -> Path:
        return self.folder / "contradictions.csv"

    @property
    def test_labels(self) -> Path:
        return self.folder / "test_labels.csv"

    @property
    def second_reader(self) -> Path:
        return self.folder / "second_reader.csv"

    @property
    def labels_sheet(self) -> Path:
        return self.folder / "labels.png"

    @property
    def contradictions_sheet(self) -> Path:
        return self.folder / "contradictions.png"

    # 02_train.py, for each fold

    def fold(self, number: int) -> Path:
        """The folder of what training leaves of a fold."""
        return self.folder / f"fold{number}"

    def model(self, fold: int) -> Path:
        return self.fold(fold) / "model.pt"

    def log(self, fold: int) -> Path:
        return self.fold(fold) / "log.csv"

    def state(self, fold: int) -> Path:
        return self.fold(fold) / "state.pt"

    def speed(self, fold: int) -> Path:
        return self.fold(fold) / "speed.csv"

    def first_batch(self, fold: int) -> Path:
        return self.fold(fold) / "first_batch.png"

    # 03_infer.py

    def oof(self, fold: int) -> Path:
        return self.folder / f"oof_fold{fold}.npz"

    @property
    def test(self) -> Path:
        return self.folder / "test.npz"

    # 04_make_submission.py

    @property
    def oof_masks(self) -> Path:
        return self.folder / "oof_masks.npz"

    @property
    def test_masks(self) -> Path:
        return self.folder / "test_masks.npz"

    @property
    def test_quality(self) -> Path:
        return self.folder / "test_quality.csv"

    @property
    def test_scores(self) -> Path:
        return self.folder / "test_iou.csv"

    @property
    def readers(self) -> Path:
        return self.folder / "readers.csv"

    @property
    def scores(self) -> Path:
        return self.folder / "oof_iou.csv"

    @property
    def decision(self) -> Path:
        return self.folder / "decision.json"

    @property
    def submission(self) -> Path:
        return self.folder / "submission.csv"

    @property
    def plots(self) -> Path:
        return self.folder / "plots"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @property
    def scoring(self) -> Path:
        return self.folder / "scoring"


def save_config(config: Config) -> None:
    """config.yaml: every setting of the run."""
    with written_whole(Run.of(config).settings, summed=True) as file:
        file.write(to_yaml(config).encode())


def with_drawn_seed(config: Config) -> Config:
    """Where the seed is -1, that of the run's config.yaml, else one drawn now; prints it."""
    if config.seed != -1:
        return config
    path = Run.of(config).settings
    if path.is_file():
        seed, origin = load_config(existing(path, "01_prepare_folds.py")).seed, f"kept in {path}"
    else:
        seed, origin = random.SystemRandom().randrange(1_000_000), "drawn"
    print(f"seed: {seed} ({origin})")
    return replace(config, seed=seed)
