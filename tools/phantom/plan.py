"""Who is scanned: settings -> a job for each subject."""

from dataclasses import dataclass

import numpy as np

from lib.runtime.errors import InputError
from tools.phantom.canvas import Random
from tools.phantom.formats import CLASSES, FORMATS

VERSION = 2

NERVE_SHARE_SD, TRAIN_SHARE, TEST_SHARE, TWIN_SHARE = 0.23, 0.41, 0.47, 0.02


@dataclass(frozen=True)
class Settings:
    subjects: int = 15
    frames: int = 20
    test_subjects: int = 4
    test_frames: int = 12
    seed: int = 0
    vessel: bool = False
    format: str = "kaggle"
    second_reader: bool = False
    version: int = VERSION

    def __post_init__(self) -> None:
        smallest = min(self.subjects, self.frames, self.test_subjects, self.test_frames)
        if smallest < 1 or self.seed < 0:
            raise InputError(f"{self}: at least 1 subject and 1 frame of each, and a seed >= 0")
        if self.format not in FORMATS:
            raise InputError(f"format={self.format}: choose one of {', '.join(FORMATS)}")
        if not set(self.classes) <= set(FORMATS[self.format].classes):
            raise InputError(
                f"format={self.format} has no place for a vessel's class: choose one of "
                + ", ".join(name for name, kind in FORMATS.items() if "vessel" in kind.classes)
            )

    @property
    def classes(self) -> tuple[str, ...]:
        return CLASSES if self.vessel else CLASSES[:1]


@dataclass(frozen=True)
class Job:
    """All that one process needs to make one subject; `names[t]` is the image of video frame t."""

    subject: int
    test: bool
    seed: tuple[int, int, int]
    names: tuple[str, ...]
    share: float
    twins: int
    vessel: bool
    format: str
    second_reader: bool


def plan(settings: Settings) -> list[Job]:
    rng = np.random.default_rng([settings.seed, 2, 0])
    train = shares(rng, settings.subjects, TRAIN_SHARE)
    test = shares(rng, settings.test_subjects, TEST_SHARE)
    twins = _twin_counts(rng, settings)
    numbers = rng.permutation(settings.test_subjects * settings.test_frames) + 1
    jobs = []
    for i in range(settings.subjects):
        names = tuple(f"{i + 1}_{n}" for n in rng.permutation(settings.frames) + 1)
        jobs.append(_job(settings, i + 1, (settings.seed, 0, i), names, train[i], twins[i]))
    for i, chunk in enumerate(numbers.reshape(settings.test_subjects, -1)):
        names, subject = tuple(map(str, chunk)), settings.subjects + i + 1
        jobs.append(_job(settings, subject, (settings.seed, 1, i), names, test[i], 0))
    return jobs


def _job(
    settings: Settings,
    subject: int,
    seed: tuple[int, int, int],
    names: tuple[str, ...],
    share: float,
    twins: int,
) -> Job:
    if FORMATS[settings.format].video:
        names = tuple(f"{subject}_{t + 1}" for t in range(len(names)))
    test = subject > settings.subjects
    second = settings.second_reader and not test
    return Job(subject, test, seed, names, share, twins, settings.vessel, settings.format, second)


def shares(rng: Random, subjects: int, mean: float) -> list[float]:
    """Share of frames with a nerve per subject: quantiles of a Beta, so that few subjects do."""
    size = mean * (1 - mean) / NERVE_SHARE_SD**2 - 1
    population = rng.beta(mean * size, (1 - mean) * size, 4000)
    quantiles = (rng.permutation(subjects) + rng.random(subjects)) / subjects
    return [float(share) for share in np.quantile(population, quantiles)]


def _twin_counts(rng: Random, settings: Settings) -> list[int]:
    pairs = max(1, round(TWIN_SHARE * settings.subjects * settings.frames))
    order = rng.permutation(settings.subjects)
    counts = np.bincount(order[np.arange(pairs) % settings.subjects], minlength=settings.subjects)
    return [int(count) for count in counts]
