"""Scoring a network on the images of one fold while it is trained."""

import math
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lib.artifacts.folds import Folds, true_mask
from lib.config.fields import Config
from lib.dataset import Batch, plain_loader
from lib.decision.rule import compared
from lib.inference.predict import Unfinished, answer_of, outputs_of_batch, unfinished
from lib.losses import training_loss
from lib.metric import area_under_curve, dice, iou
from lib.runtime.errors import InputError
from lib.runtime.processes import gathered, number_of_processes, rank
from lib.runtime.progress import progress
from lib.runtime.threads import in_order

Row = dict[str, float]
COLUMNS = ["image", "class", "loss", "iou", "dice", "nerve", "presence"]


class Validation:
    """The images of one fold; each process has its share of them, and all get the same scores."""

    def __init__(
        self, table: pd.DataFrame, folds: Folds, fold: int, config: Config, device: torch.device
    ) -> None:
        self.table = table
        self._own = table.iloc[rank() :: number_of_processes()].reset_index(drop=True)
        self._loader = plain_loader(self._own, config)
        self._folds, self._fold, self._config, self._device = folds, fold, config, device

    def scores(self, model: nn.Module, after: int) -> Row:
        """The row of a validation after so many updates.

        Loss at the network's size, IoU and Dice at the images' own, presence AUC.

        Means over images, and classes where there are several; of those with a mask too. NaN where
        no image has one, and for the AUC where all have.
        """
        model.eval()
        batches = progress(self._loader, "validating", unit="batches", shown=rank() == 0)
        when = f", in the validation after update {after}"
        answers = (self._answer(model, batch, when) for batch in batches)
        own = list(chain.from_iterable(in_order(self._scores_of, answers, ahead=4)))
        every = sorted(score for scores in gathered(own) for score in scores)
        table = pd.DataFrame(every, columns=COLUMNS)
        nerve = table[table["nerve"]]
        means = {
            "validation_loss": table["loss"].mean(),
            "validation_iou": table["iou"].mean(),
            "validation_dice": table["dice"].mean(),
            "validation_iou_nerve": nerve["iou"].mean(),
            "validation_dice_nerve": nerve["dice"].mean(),
            "validation_auc": presence_auc(table),
        }
        return {name: float(value) for name, value in means.items()}  # NumPy's are not saved

    def _answer(
        self, model: nn.Module, batch: Batch, when: str
    ) -> tuple[list[float], list[Unfinished]]:
        """The loss and the answer of each image."""
        outputs = outputs_of_batch(model, batch, self._config, self._device)
        losses = training_loss(outputs, batch.masks.to(self._device), self._config)
        require_finite(losses, batch, self._own, self._fold, when)
        return losses.tolist(), list(unfinished(answer_of(outputs), batch))

    def _scores_of(self, answers: tuple[list[float], list[Unfinished]]) -> list[tuple[Any, ...]]:
        """A row of COLUMNS for each image and class; in a thread, while the network goes on."""
        scores = []
        losses, predictions = answers[0], (answer.finished() for answer in answers[1])
        for loss, prediction in zip(losses, predictions, strict=True):
            row = self._own.iloc[prediction.row]
            number = prediction.row * number_of_processes() + rank()
            planes = zip(
                self._folds.masks, prediction.probability, prediction.presence, strict=True
            )
            for column, probability, presence in planes:
                truth = true_mask(row, column)
                counts = compared(truth, probability, self._config.probability_threshold)
                nerve = counts.truth > 0
                values = loss, iou(counts), dice(counts), nerve, float(presence)
                scores.append((number, column, *values))
        return scores


def presence_auc(table: pd.DataFrame) -> float:
    """The mean over classes, of those that some images have and some have not; NaN without any.

    Needs columns class, nerve and presence.
    """
    found = [_area(rows) for _, rows in table.groupby("class")]
    areas = [area for area in found if area is not None]
    return float(np.mean(areas)) if areas else math.nan


def _area(table: pd.DataFrame) -> float | None:
    return area_under_curve(table["nerve"].to_numpy(dtype=bool), table["presence"].to_numpy())


def require_finite(losses: Tensor, batch: Batch, table: pd.DataFrame, fold: int, when: str) -> None:
    """InputError that names the images of the batch, rows of the table, whose loss is not."""
    wrong = ~losses.isfinite().cpu()
    if wrong.any():
        names = table["image"].iloc[batch.rows[wrong].tolist()]
        raise InputError(
            f"fold {fold}{when}: the loss is not finite on {', '.join(names)}. Where these are "
            "all of a batch, the weights have grown without limit: lower learning_rate, set "
            "gradient_clip, or mixed_precision_training=false (and "
            "mixed_precision_inference=false)."
        )
