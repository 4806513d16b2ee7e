"""Several runs -> a row each, and how far each one is from the first."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from lib.artifacts.caveats import marks
from lib.config.fields import FIELDS, Config
from lib.metric import Floats, Metric, Score, bootstrap_means, mean_score, spread_of
from lib.runtime.errors import InputError
from lib.runtime.files import existing
from tools.compare.comparison import paired_runs
from tools.compare.files import KEYS, NAMES, caveats, settings_of

GROUPS = ("all", "with a nerve")
LEVEL = 0.95


class Standing(NamedTuple):
    """What a run has reached, and at what cost."""

    name: str
    marks: list[str]  # what flatters its scores, such as LEAK
    scores: dict[str, Score]  # of GROUPS, over the images that all runs have scored
    settings: dict[str, str]  # those that are not the same in all runs
    seconds: float | None  # of training and validation, all folds; None where a fold tells none
    gib: float | None  # the most memory that the training process had
    device: str  # "" where no fold tells it
    log: pd.DataFrame  # epoch, score: the mean validation score of the folds


class Difference(NamedTuple):
    """A run less the first one, over some of the images."""

    name: str
    of: str  # one of GROUPS
    change: float  # mean over images
    interval: tuple[float, float] | None  # 95 % for all runs together; None for one subject
    p: float | None  # that chance alone makes the largest of so many differences as large


@dataclass(frozen=True)
class SideBySide:
    """Several runs on the same images; the first is what the others are held against."""

    metric: Metric
    standings: list[Standing]
    differences: list[Difference]
    images: int
    subjects: int
    warnings: list[str]

    @property
    def by_score(self) -> list[Standing]:
        """The best first."""
        return sorted(self.standings, key=lambda row: -(row.scores[GROUPS[0]].mean or 0))


def side_by_side(runs: Sequence[Path]) -> SideBySide:
    """The runs in two or more folders, on the images that all of them have scored.

    Scored by the metric of the first one. InputError where a file is missing, a run is named twice,
    or no image is in all of them.
    """
    if len({run.resolve() for run in runs}) < len(runs):
        raise InputError(f"a run is named twice: {', '.join(map(str, runs))}")
    warnings: list[str] = []
    configs = {run: _settings(run, warnings) for run in runs}
    config = configs[runs[0]]
    metric = Metric(config.metric) if config else Metric.IOU
    masks = _of_all(runs, metric, warnings)
    subjects = masks["subject"].to_numpy(dtype=str)
    groups = dict(zip(GROUPS, (masks["true_area"] >= 0, masks["true_area"] > 0), strict=True))
    settings = _that_differ(configs)
    standings = []
    for run in runs:
        scores = {
            name: mean_score(masks.loc[rows, str(run)].to_numpy(), subjects[rows])
            for name, rows in groups.items()
        }
        flatters = marks(caveats(run))
        standings.append(
            Standing(run.name, flatters, scores, settings[run], *_cost(run), _log(run, metric))
        )
    if len(devices := {row.device for row in standings if row.device}) > 1:
        warnings.append(f"trained on {' and '.join(sorted(devices))}: seconds do not compare")
    differences = [
        difference
        for name, rows in groups.items()
        if rows.any()
        for difference in _differences(masks[rows], name, runs)
    ]
    images, people = masks["image"].nunique(), len(set(subjects))
    return SideBySide(metric, standings, differences, images, people, _told(warnings, runs))


def together(
    changes: Sequence[Floats], subjects: npt.NDArray[np.str_]
) -> list[tuple[tuple[float, float], float]] | None:
    """95 % intervals of mean changes that hold together, and the p of each, corrected alike.

    By the largest of the standardised differences in each draw of a bootstrap over subjects
    (max-t: Westfall and Young 1993, section 2.6; Hothorn, Bretz and Westfall 2008, Biometrical
    Journal 50). `changes` are one value an image, of the same images in each. They are as much
    wider as lib.metric.interval_of makes those of one run. None for fewer than two subjects.
    """
    drawn = bootstrap_means(np.stack(changes, axis=1), subjects)
    if drawn is None:
        return None
    means = np.mean(changes, axis=1)
    off = drawn - means
    errors = off.std(axis=0)
    errors[errors < 1e-12] = 0  # the same change on each image, but for rounding
    with np.errstate(invalid="ignore", divide="ignore"):
        largest = np.where(errors > 0, np.abs(off) / errors, 0).max(axis=1)
    largest *= spread_of(len(set(subjects)))
    reach = float(np.quantile(largest, LEVEL))
    found = []
    for mean, error in zip(means.tolist(), errors.tolist(), strict=True):
        as_large = (largest >= abs(mean) / error).mean() if error else float(mean == 0)
        p = (as_large * len(largest) + 1) / (len(largest) + 1)  # a bootstrap cannot tell 0
        found.append(((mean - reach * error, mean + reach * error), p))
    return found


def _told(warnings: list[str], runs: Sequence[Path]) -> list[str]:
    """Each once, with the names of runs in place of their folders."""
    for run in sorted(runs, key=lambda run: -len(str(run))):
        warnings = [warning.replace(str(run), run.name) for warning in warnings]
    return list(dict.fromkeys(warnings))


def _of_all(runs: Sequence[Path], metric: Metric, warnings: list[str]) -> pd.DataFrame:
    """image, class_id where there are several, subject, true_area, and a column of scores a run."""
    first, found = runs[0], pd.DataFrame()
    for run in runs[1:]:
        masks, told, _ = paired_runs(first, run)
        warnings += told
        keys = [key for key in KEYS if key in masks]
        scores = masks.rename(columns={f"{metric.column}_b": str(run)})[[*keys, str(run)]]
        if found.empty:
            found = masks.rename(columns={f"{metric.column}_a": str(first)})
            found = found[[*keys, "subject", "true_area", str(first)]]
        found = found.merge(scores, on=keys)
    if found.empty:
        raise InputError(f"no image is scored in all of {', '.join(map(str, runs))}")
    return found


def _differences(masks: pd.DataFrame, of: str, runs: Sequence[Path]) -> list[Difference]:
    first, others = masks[str(runs[0])], runs[1:]
    changes = [(masks[str(run)] - first).to_numpy() for run in others]
    found = together(changes, masks["subject"].to_numpy(dtype=str))
    pairs: Sequence[tuple[tuple[float, float] | None, float | None]]
    pairs = found or [(None, None)] * len(others)
    return [
        Difference(run.name, of, float(change.mean()), interval, p)
        for run, change, (interval, p) in zip(others, changes, pairs, strict=True)
    ]


def _settings(run: Path, warnings: list[str]) -> Config | None:
    try:
        return settings_of(run)
    except InputError as error:
        warnings.append(f"the settings of {run} are not compared: {error}")
        return None


def _that_differ(configs: dict[Path, Config | None]) -> dict[Path, dict[str, str]]:
    """Of each run the settings that are not the same in all whose settings are known."""
    known = [config for config in configs.values() if config]
    names = [
        name
        for name in FIELDS
        if name not in NAMES and len({str(getattr(config, name)) for config in known}) > 1
    ]
    return {
        run: {name: str(getattr(config, name)) for name in names} if config else {}
        for run, config in configs.items()
    }


def _cost(run: Path) -> tuple[float | None, float | None, str]:
    """Seconds and GiB of the training, and where it ran."""
    models = sorted(run.glob("fold*/model.pt"))
    files = [model.with_name("speed.csv") for model in models]
    if not files or not all(file.is_file() for file in files):
        return None, None, ""
    from tools.watch.speed import load_speed  # loads torch, which takes seconds

    table = pd.concat(map(load_speed, files))
    seconds = float(table[["training_seconds", "validation_seconds"]].sum().sum())
    devices = " and ".join(sorted(set(table["device"])))
    return seconds, float(table["peak_memory_gib"].max()), devices


def _log(run: Path, metric: Metric) -> pd.DataFrame:
    """By the fold's fixed threshold, so not the score that the run is told by."""
    files = sorted(run.glob("fold*/log.csv"))
    logs = [pd.read_csv(existing(file, "02_train.py")) for file in files]
    if not logs:
        return pd.DataFrame({"epoch": [], "score": []})
    column = f"validation_{metric.column}"
    return pd.concat(logs).groupby("epoch")[column].mean().rename("score").reset_index()
