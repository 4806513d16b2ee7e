"""The training loop of one fold."""

import math
import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice

import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from lib import rle
from lib.artifacts import Folds, log_path, model_path, save_log, save_model
from lib.augment import stable_hash
from lib.config import Config, InputError
from lib.dataset import Batch, plain_loader, training_loader
from lib.decision import decide
from lib.folds import training_part, unseen_part
from lib.loss import loss_per_image
from lib.metric import dice, iou, overlap
from lib.model import build_model, describe, device_of, load_pretrained, placed, precision, to_input
from lib.predict import at_own_size, logits_of

Row = dict[str, float]


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
        self.optimizer = AdamW(
            self.model.parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            fused=self.device.type == "cuda",
        )
        total, warmup = self.updates * config.epochs, self.updates * config.warmup_epochs
        rate = partial(learning_rate_share, updates=total, warmup=warmup)
        self.schedule = LambdaLR(self.optimizer, rate)
        where = describe(self.device, config.mixed_precision_training)
        print(
            f"fold {fold}: {len(self.training)} training images, {len(self.validation)} to "
            f"validate; encoder from {origin}; on {where}",
            flush=True,
        )

    def fit(self) -> None:
        """Trains all epochs; leaves fold{k}/log.csv and, last of all, fold{k}/model.pt."""
        try:
            self._fit()
        except torch.OutOfMemoryError as error:
            raise InputError(
                f"batch_size {self.config.batch_size} is too much for the memory of the GPU: halve "
                "it, and double grad_accumulation for updates of the same size"
            ) from error

    def _fit(self) -> None:
        rows: list[Row] = []
        total = self.updates * self.config.epochs
        with tqdm(total=total, unit="step", disable=None, leave=False) as bar:
            for epoch in range(self.config.epochs):
                start = time.monotonic()
                row = {"epoch": epoch + 1.0, "learning_rate": self.optimizer.param_groups[0]["lr"]}
                row |= {"train_loss": self._train_epoch(epoch, bar)} | self._validate()
                rows.append(row)
                save_log(self.config, self.fold, rows)
                bar.write(f"{self._line(row)}  {time.monotonic() - start:.0f} s")
        weights = self.model.state_dict()
        save_model(self.config, self.fold, self.folds, weights, rows)
        print(f"{model_path(self.config, self.fold)}, {log_path(self.config, self.fold).name}")

    def _train_epoch(self, epoch: int, bar: tqdm) -> float:
        """One pass over the training images; the mean of their losses."""
        self.model.train()
        self.order.epoch = epoch
        total, images = 0.0, 0
        for group in _groups(self.loader, self.config.grad_accumulation):
            losses = self._update(group)
            total, images = total + float(losses.sum()), images + len(losses)
            bar.set_description(f"fold {self.fold} epoch {epoch + 1}/{self.config.epochs}")
            bar.set_postfix(loss=f"{float(losses.mean()):.4f}")
            bar.update()
        return total / images

    def _update(self, group: list[Batch]) -> Tensor:
        """One step of the optimizer on the mean loss over all images of the batches: (n,)."""
        images = sum(len(batch.rows) for batch in group)
        losses = []
        for batch in group:
            losses.append(self._losses(batch))
            weights = batch.weights.to(self.device, non_blocking=True)
            ((losses[-1] * weights).sum() / images).backward()
            self._require_finite(losses[-1], batch, self.training)
        if self.config.gradient_clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.schedule.step()
        return torch.cat(losses).detach()

    def _losses(self, batch: Batch) -> Tensor:
        """The loss of each image: (n,), with gradients."""
        images = to_input(
            batch.images.to(self.device, non_blocking=True), self.config.image_channels
        )
        with precision(self.device, self.config.mixed_precision_training):
            logits = self.model(images)
        masks = batch.masks.to(self.device, non_blocking=True)
        return loss_per_image(self.config.loss_function, logits, masks)

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
            losses = loss_per_image(self.config.loss_function, logits, masks)
            self._require_finite(losses, batch, self.validation)
            predictions = at_own_size(logits.sigmoid(), batch)
            for loss, prediction in zip(losses.tolist(), predictions, strict=True):
                row = self.validation.iloc[prediction.row]
                for column, probability in zip(
                    self.folds.masks, prediction.probability, strict=True
                ):
                    truth = rle.decode(row[column], (row["height"], row["width"]), row["image"])
                    mask = decide(probability, self.config.probability_threshold)
                    counts = overlap(truth, mask)
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
            f"fold {self.fold}  epoch {row['epoch']:.0f}/{self.config.epochs}  "
            f"train loss {row['train_loss']:.4f}  validation loss {row['validation_loss']:.4f}  "
            f"IoU {row['validation_iou']:.4f}  with a mask: IoU {row['validation_iou_nerve']:.4f} "
            f"Dice {row['validation_dice_nerve']:.4f}{'  LEAK' if self.leak else ''}"
        )


def learning_rate_share(update: int, updates: int, warmup: float) -> float:
    """Share 0..1 of the peak rate at an update: a line up over `warmup` updates, times half a
    cosine over all, which is 0 after the last (Loshchilov and Hutter 2017, without restarts)."""
    climb = min(1.0, (update + 1) / warmup) if warmup else 1.0
    return climb * (1 + math.cos(math.pi * min(update / updates, 1.0))) / 2


def _groups(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """`size` batches at a time, and those left over at the end."""
    iterator = iter(batches)
    while group := list(islice(iterator, size)):
        yield group
