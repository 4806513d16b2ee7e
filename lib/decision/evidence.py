"""What the networks say of images that they never saw, counted image by image."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from lib.artifacts.caveats import Caveat, read_caveats, without_doubles
from lib.artifacts.folds import Folds, true_mask, unseen_rows
from lib.artifacts.inference_settings import InferenceSettings
from lib.artifacts.probabilities import Probabilities, Probability, open_current
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.decision.rule import Levels, Mask, levels_of
from lib.decision.search import Evidence
from lib.losses import loss_per_image
from lib.metric import Floats
from lib.quality.unlike import own_times_as_far
from lib.runtime.errors import InputError
from lib.runtime.threads import with_bar

LOSS_PIXELS = 100_000  # of a larger image the loss is that of every second row and column


class Counted(NamedTuple):
    """Of one class of an image."""

    pixels: Levels
    true: Levels
    presence: float
    loss: float


class Unseen(NamedTuple):
    """The images of the folds asked for."""

    table: pd.DataFrame  # rows of folds.csv
    evidence: list[Evidence]  # one a class
    losses: list[Floats]  # one a class, (images,)
    caveats: list[Caveat]  # what in the networks' training flatters their scores
    inference: InferenceSettings  # how they were predicted
    unlike: Floats  # (images,): lib.quality.unlike.own_times_as_far in each fold; NaN if not told


def read_unseen(folds: Folds, config: Config) -> Unseen:
    """Counts every image of the folds asked for."""
    table = unseen_table(folds, config)
    with open_all(table, folds, config) as files:

        def count(row: dict[str, Any]) -> list[Counted]:
            file = files[row["fold"]]
            planes, presence = file[row["image"]], file.presence[row["image"]]
            of_classes = zip(folds.masks, planes, presence.tolist(), strict=True)
            return [
                counted(true_mask(row, column), plane, there, config)
                for column, plane, there in of_classes
            ]

        rows = list(with_bar(count, table.to_dict("records"), "counting"))
        inference, unlike = _same_settings(files.values()), _unlike(files, table)
        caveats = [
            caveat
            for fold, file in files.items()
            for caveat in read_caveats(
                file.provenance.get("caveats"), Run.of(config).oof(fold), "03_infer.py"
            )
        ]
    by_class = [[row[k] for row in rows] for k in range(len(folds.classes))]
    losses = [np.array([cell.loss for cell in cells]) for cells in by_class]
    evidence = [_evidence(cells, inference.presence_head) for cells in by_class]
    return Unseen(table, evidence, losses, without_doubles(caveats), inference, unlike)


def _unlike(files: Mapping[int, Probabilities], table: pd.DataFrame) -> Floats:
    found = pd.Series(np.nan, table["image"])
    group = table.set_index("image")["group"]
    for file in files.values():
        if file.looks is not None:
            images = list(file.presence)
            found[images] = own_times_as_far(file.looks, group[images].to_numpy(dtype=str))
    return found.to_numpy()


def _same_settings(files: Iterable[Probabilities]) -> InferenceSettings:
    """How the files were predicted; InputError where they differ."""
    first, *others = [InferenceSettings.read(file.provenance) for file in files]
    for other in others:
        if changed := first.differences(other):
            raise InputError(
                f"the out-of-fold probabilities of the folds differ in {'; '.join(changed)}: run "
                "02_train.py and 03_infer.py for all folds with the same settings"
            )
    return first


def _evidence(cells: list[Counted], head: bool) -> Evidence:
    return Evidence(
        np.stack([cell.pixels for cell in cells]),
        np.stack([cell.true for cell in cells]),
        np.array([cell.presence for cell in cells]),
        head,
    )


def unseen_table(folds: Folds, config: Config) -> pd.DataFrame:
    """The rows of folds.csv that are scored."""
    tables = [unseen_rows(folds.table, fold, config) for fold in config.fold_numbers]
    return pd.concat(tables, ignore_index=True)


@contextmanager
def open_all(
    table: pd.DataFrame, folds: Folds, config: Config
) -> Iterator[dict[int, Probabilities]]:
    """The probability file of each fold; InputError where one is of other models or images."""
    with ExitStack() as stack:
        yield {
            int(fold): stack.enter_context(
                open_current(Run.of(config).oof(fold), config, [fold], rows, folds)
            )
            for fold, rows in table.groupby("fold", sort=False)
        }


def counted(truth: Mask, probability: Probability, presence: float, config: Config) -> Counted:
    return Counted(
        levels_of(probability),
        levels_of(probability, truth),
        presence,
        loss_of(probability, truth, config),
    )


def loss_of(probability: Probability, truth: Mask, config: Config) -> float:
    """The loss of a stored probability, its 0 and 255 read as the middle of their steps."""
    step = 2 if probability.size > LOSS_PIXELS else 1
    probability, truth = (np.ascontiguousarray(a[::step, ::step]) for a in (probability, truth))
    steps = torch.from_numpy(probability).float().clamp(0.25, 254.75) / 255
    logits, masks = steps.logit()[None, None], torch.from_numpy(truth)[None, None]
    return float(loss_per_image(config.loss_function, logits, masks, config.dice_weight))
