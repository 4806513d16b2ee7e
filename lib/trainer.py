"""The training loop of one fold."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from lib.artifacts import (
    Folds,
    delete_state_before,
    load_state,
    log_path,
    model_path,
    save_log,
    save_model,
    save_state,
    sha_of,
    state_path,
    true_mask,
)
from lib.augment import stable_hash
from lib.config import TRAINING_SETTINGS, Config, InputError
from lib.dataset import Batch, plain_loader, training_loader
from lib.decision import compared
from lib.folds import training_part, unseen_part
from lib.interrupt import stop_wished
from lib.loss import loss_per_image
from lib.metric import dice, iou
from lib.mix import mixed
from lib.model import build_model, describe, device_of, load_pretrained, placed, precision, to_input
from lib.optim import build_optimizer, set_learning_rate
from lib.predict import at_own_size, logits_of

Row = dict[str, float]
# The modules of lib that decide what a training ends with: its model and its log.
CODE = (
    "augment",
    "dataset",
    "decision",
    "exact",
    "images",
    "loss",
    "metric",
    "mix",
    "model",
    "optim",
    "predict",
    "rle",
    "trainer",
)


class LossSum(NamedTuple):
    """Over the images trained on since the last row of the log."""

    loss: float
    images: int


class Trainer:
    """Trains the network of one fold on the images of the others, and scores it on its own.

    `table` is that of `folds` with a column file; where the folds `leak`, every score says so.
    """

    def __init__(
        self, folds: Folds, table: pd.DataFrame, fold: int, config: Config, leak: bool = False
    ) -> None:
        self.config, self.fold, self.folds, self.leak = config, fold, folds, leak
        self.training = training_part(table, fold, config)
        self.validation = unseen_part(table, fold, config)
        self.device = device_of(config)
        torch.manual_seed(stable_hash(config.seed, fold))
        model = build_model(config, len(folds.classes))
        origin = load_pretrained(model, config) if config.pretrained else "random weights"
        self.model = placed(model, self.device)
        self.loader, self.order = training_loader(self.training, config)
        self.validation_loader = plain_loader(self.validation, config)
        self.updates = math.ceil(len(self.loader) / config.grad_accumulation)
        self.optimizer = build_optimizer(self.model, config, self.device)
        self.done, self.since = 0, time.monotonic()  # updates; when the last evaluation ended
        self.sum = LossSum(0.0, 0)
        self.rows: list[Row] = []
        where = describe(self.device, config.mixed_precision_training)
        print(
            f"fold {fold}: {len(self.training)} training images, {len(self.validation)} to "
            f"validate; encoder from {origin}; on {where}",
            flush=True,
        )
        self._go_on()

    def fit(self) -> None:
        """Trains all epochs; leaves fold{k}/log.csv and, last of all, fold{k}/model.pt."""
        try:
            with stop_wished() as wished:
                self._fit(wished)
        except torch.OutOfMemoryError as error:
            raise InputError(
                f"batch_size {self.config.batch_size} is too much for the memory of the GPU: halve "
                "it, and double grad_accumulation for updates of the same size"
            ) from error

    def _fit(self, wished: Callable[[], bool]) -> None:
        total = self.updates * self.config.epochs
        saved = time.monotonic()
        with tqdm(total=total, initial=self.done, unit="step", disable=None, leave=False) as bar:
            for group in self._groups():
                self._step(group, bar)
                evaluated = self._evaluation_due()
                if evaluated:
                    self._evaluate(bar)
                late = time.monotonic() - saved > 60 * self.config.checkpoint_minutes
                if evaluated or late or wished():
                    self._save()
                    saved = time.monotonic()
                if wished():
                    raise KeyboardInterrupt
        weights = self.model.state_dict()
        save_model(self.config, self.fold, self.folds, weights, self.rows)
        delete_state_before(self.config, self.fold)
        print(f"{model_path(self.config, self.fold)}, {log_path(self.config, self.fold).name}")

    def _groups(self) -> Iterator[list[Batch]]:
        """The batches of each update that is left, epoch by epoch."""
        for epoch in range(self.done // self.updates, self.config.epochs):
            self.model.train()
            self.order.epoch = epoch
            self.order.done = self.done % self.updates * self.config.grad_accumulation
            yield from _groups(self.loader, self.config.grad_accumulation)

    def _step(self, group: list[Batch], bar: tqdm) -> None:
        set_learning_rate(self.optimizer, self.config, self.done, self.updates)
        losses = self._update(group)
        self.done += 1
        self.sum = LossSum(self.sum.loss + float(losses.sum()), self.sum.images + len(losses))
        epoch = (self.done - 1) // self.updates + 1
        bar.set_description(f"fold {self.fold} epoch {epoch}/{self.config.epochs}")
        bar.set_postfix(loss=f"{float(losses.mean()):.4f}")
        bar.update()

    def _evaluation_due(self) -> bool:
        """Every `evaluation_epochs`, be they parts of one or several, and after the last update."""
        every = self.updates * self.config.evaluation_epochs
        last = self.done == self.updates * self.config.epochs
        return last or self.done // every > (self.done - 1) // every

    def _evaluate(self, bar: tqdm) -> None:
        """A row of the log: the mean loss since the last one, and the scores of the fold."""
        row = {
            "epoch": self.done / self.updates,
            "learning_rate": self.optimizer.param_groups[-1]["lr"],
            "train_loss": self.sum.loss / self.sum.images,
            **self._validate(),
        }
        self.model.train()
        self.sum = LossSum(0.0, 0)
        self.rows.append(row)
        save_log(self.config, self.fold, self.rows)
        bar.write(f"{self._line(row)}  {time.monotonic() - self.since:.0f} s")
        self.since = time.monotonic()

    def _save(self) -> None:
        """fold{k}/state.pt: whoever goes on from it ends with the same bytes."""
        state = self._identity() | {
            "done": self.done,
            "finished": self.done == self.updates * self.config.epochs,
            "sum": tuple(self.sum),
            "rows": self.rows,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "cuda_random": torch.cuda.get_rng_state_all(),  # of each GPU, [] without any
        }
        save_state(self.config, self.fold, state)

    def _identity(self) -> dict[str, Any]:
        """What a training's result depends on."""
        settings = {name: getattr(self.config, name) for name in sorted(TRAINING_SETTINGS)}
        return {
            "settings": settings,
            "folds.csv": self.folds.sha,
            "code": code_version(),
            "torch": str(torch.__version__),
        }

    def _go_on(self) -> None:
        """Takes up the state that a training of this fold left; InputError for one of another."""
        state = load_state(self.config, self.fold)
        if state is None:
            return
        if changed := self._changes(state):
            if state["finished"]:
                return
            raise InputError(
                f"{state_path(self.config, self.fold)} is of a training that was cut off, by other "
                f"settings, data or code (now, then): {'; '.join(changed)}. Go back to those to go "
                "on, or delete the file to train anew."
            )
        self.done, self.sum, self.rows = state["done"], LossSum(*state["sum"]), state["rows"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        torch.cuda.set_rng_state_all(state["cuda_random"])
        print(f"fold {self.fold}: goes on after epoch {self.done / self.updates:.2f}")

    def _changes(self, state: dict[str, Any]) -> list[str]:
        """What is other now than when the state was written; `epochs` may have been raised."""
        now, settings = self._identity(), state["settings"]
        changed = [
            f"{name}: {value!r}, {settings.get(name)!r}"
            for name, value in now["settings"].items()
            if value != settings.get(name) and (name != "epochs" or value < settings[name])
        ]
        others = ("folds.csv", "code", "torch")
        return changed + [f"{name} is another" for name in others if now[name] != state[name]]

    def _update(self, group: list[Batch]) -> Tensor:
        """One step of the optimizer on the mean loss over all images of the batches: (n,)."""
        images = sum(len(batch.rows) for batch in group)
        losses = []
        for number, batch in enumerate(group):
            loss, weights = self._losses(batch, number)
            losses.append(loss)
            ((loss * weights).sum() / images).backward()
            self._require_finite(loss, batch, self.training)
        if self.config.gradient_clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return torch.cat(losses).detach()

    def _losses(self, batch: Batch, number: int) -> tuple[Tensor, Tensor]:
        """The loss of each image, with gradients, and its weight: both (n,).

        `number` is that of the batch among those of its update.
        """
        images, masks, weights = (
            part.to(self.device, non_blocking=True)
            for part in (batch.images, batch.masks, batch.weights)
        )
        key = (self.config.seed, self.done, number)
        images, masks, weights = mixed(images, masks, weights, key, self.config)
        with precision(self.device, self.config.mixed_precision_training):
            logits = self.model(to_input(images, self.config.image_channels))
        return self._loss(logits, masks), weights

    def _loss(self, logits: Tensor, masks: Tensor) -> Tensor:
        return loss_per_image(self.config.loss_function, logits, masks, self.config.dice_weight)

    def _require_finite(self, losses: Tensor, batch: Batch, table: pd.DataFrame) -> None:
        wrong = ~losses.isfinite().cpu()
        if wrong.any():
            names = table["image"].iloc[batch.rows[wrong].tolist()]
            raise InputError(
                f"fold {self.fold}: the loss is not finite on {', '.join(names)}. Where these are "
                "all of a batch, the weights have grown without limit: lower learning_rate, set "
                "gradient_clip, or mixed_precision_training=false."
            )

    def _validate(self) -> Row:
        """Loss at the network's size, IoU and Dice at the images' own, each a mean over images."""
        self.model.eval()
        scores = []
        for batch in self.validation_loader:
            logits = logits_of(self.model, batch, self.config, self.device)
            masks = batch.masks.to(self.device)
            losses = self._loss(logits, masks)
            self._require_finite(losses, batch, self.validation)
            predictions = at_own_size(logits.sigmoid(), batch)
            for loss, prediction in zip(losses.tolist(), predictions, strict=True):
                row = self.validation.iloc[prediction.row]
                parts = zip(self.folds.masks, prediction.probability, strict=True)
                for column, probability in parts:
                    truth = true_mask(row, column)
                    counts = compared(truth, probability, self.config.probability_threshold)
                    scores.append((loss, iou(counts), dice(counts), counts.truth > 0))
        table = pd.DataFrame(scores, columns=["loss", "iou", "dice", "nerve"])
        means, nerve = table.mean().to_dict(), table[table["nerve"]].mean().to_dict()
        return {
            "validation_loss": means["loss"],
            "validation_iou": means["iou"],
            "validation_dice": means["dice"],
            "validation_iou_nerve": nerve["iou"],
            "validation_dice_nerve": nerve["dice"],
        }

    def _line(self, row: Row) -> str:
        return (
            f"fold {self.fold}  epoch {row['epoch']:g}/{self.config.epochs}  "
            f"train loss {row['train_loss']:.4f}  validation loss {row['validation_loss']:.4f}  "
            f"IoU {row['validation_iou']:.4f}  with a mask: IoU {row['validation_iou_nerve']:.4f} "
            f"Dice {row['validation_dice_nerve']:.4f}{'  LEAK' if self.leak else ''}"
        )


def code_version() -> str:
    """Of the sources that a training's result depends on."""
    return sha_of(b"".join(Path(__file__).with_name(f"{name}.py").read_bytes() for name in CODE))


def _groups(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """`size` batches at a time, and those left over at the end."""
    iterator = iter(batches)
    while group := list(islice(iterator, size)):
        yield group
