"""The training loop of one fold."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from lib.artifacts.folds import Folds, training_rows, unseen_rows
from lib.artifacts.log import save_log
from lib.artifacts.model import save_model
from lib.artifacts.run import Run
from lib.artifacts.state import delete_state_before, save_state
from lib.config.fields import Config
from lib.dataset import Batch
from lib.runtime.device import describe, device_of, set_up
from lib.runtime.errors import InputError
from lib.runtime.interrupt import stop_wished
from lib.runtime.processes import any_says, gathered, number_of_processes, rank
from lib.runtime.progress import Progress, progress
from lib.runtime.versions import code_version
from lib.training.batches import training_loader
from lib.training.learner import Learner, MicroBatch
from lib.training.pretrained import sha_of_weights
from lib.training.resume import ENCODER, identity, state_to_go_on_from
from lib.training.validation import Row, Validation, require_finite
from lib.training.watch import Watch, Watched, unwatched
from lib.unet import require_repeatable


class Trainer:
    """Trains the network of one fold on the images of the others, and scores it on its own.

    `table` is that of `folds` with a column file; `flags` are words that every score carries;
    `watched` opens what a person can look at meanwhile.
    """

    def __init__(
        self,
        folds: Folds,
        table: pd.DataFrame,
        fold: int,
        config: Config,
        flags: str = "",
        watched: Watched = unwatched,
    ) -> None:
        self.config, self.fold, self.folds, self.flags = config, fold, folds, flags
        self.watched = watched
        self.training = training_rows(table, fold, config)
        unseen = unseen_rows(table, fold, config)
        self.device = device_of(config.gpus)
        set_up(self.device, config.deterministic)
        require_repeatable(self.device, config)
        self.learner = Learner(fold, len(folds.classes), self._presence_head(), config, self.device)
        self.validation = Validation(unseen, folds, fold, config, self.device)
        self.loader, self.order = training_loader(self.training, config)
        self.updates = math.ceil(len(self.loader) / config.grad_accumulation)  # an epoch
        self.done, self.seconds = 0, 0.0  # updates; time spent on them
        self.unscored = False  # whether a validation is due after the last of them
        self.began = self.saved = 0.0  # when: less the seconds before; the last state
        self.pending: list[tuple[Callable[[], Tensor], MicroBatch]] = []  # scores on their way here
        self.latest: list[MicroBatch] = []  # of the last update whose scores have come
        self.sums = [0.0] * (len(self.learner.scored) + 1)  # since the last row; and the images
        self.rows: list[Row] = []
        self.best: dict[str, Tensor] = {}  # the weights that scored best, if they are wanted
        print(
            f"fold {fold}: {len(self.training)} training images, {len(unseen)} to validate; "
            f"encoder from {self.learner.origin}; on "
            f"{describe(self.device, config.mixed_precision_training)}",
            flush=True,
        )
        begins_with = sha_of_weights(config)
        self.identity = identity(config, folds.sha, code_version(__name__), begins_with)
        if state := state_to_go_on_from(config, fold, self.identity):
            self._take_up(state)

    def _presence_head(self) -> bool:
        there = self.training[self.folds.masks] != ""
        if self.config.presence_head and there.all(axis=None):
            print(f"fold {self.fold}: no presence head, as every training image has a nerve")
        return self.config.presence_head > 0 and not there.all(axis=None)

    def fit(self) -> None:
        """Trains all epochs; leaves fold{k}/log.csv and, last of all, fold{k}/model.pt."""
        with stop_wished(patient=number_of_processes() > 1) as wished:
            if not self.finished:
                with self.watched(self.config, self.fold, self.device, self.done) as watch:
                    self._fit(wished, watch)
        with self.learner.to_score() as model:
            weights = self.best or model.state_dict()
            self._require_numbers(weights)
            if rank() == 0:
                self._keep(weights)

    def _fit(self, wished: Callable[[], bool], watch: Watch) -> None:
        total = self.updates * self.config.epochs
        self.began, self.saved = time.monotonic() - self.seconds, time.monotonic()
        shown = rank() == 0
        with progress(total=total, initial=self.done, unit="updates", shown=shown) as bar:
            if self.unscored:  # it was cut off in a validation
                self._score_fold(bar, watch, wished)
            for group in () if self.finished else self._groups():
                self._step(group, bar, watch)
                now = time.monotonic()
                self.seconds = now - self.began
                late = now - self.saved > 60 * self.config.checkpoint_minutes
                stop, late, over = any_says(wished(), late, self._over_budget(self.seconds))
                self.unscored = over or self._evaluation_due()
                if self.unscored or late or stop:
                    self._save(bar)
                if stop:
                    raise KeyboardInterrupt
                if self.unscored:
                    self._score_fold(bar, watch, wished)
                if self.finished:
                    break

    def _score_fold(self, bar: Progress, watch: Watch, wished: Callable[[], bool]) -> None:
        """The validation that is due, and a state after it."""
        self._evaluate(bar, watch)
        self.seconds = max(gathered(time.monotonic() - self.began))  # all end together
        self.unscored = False
        self._save(bar)
        if any_says(wished())[0]:
            raise KeyboardInterrupt

    @property
    def finished(self) -> bool:
        """Whether the last epoch is done, the time is over, or the score stopped rising."""
        done = self.done == self.updates * self.config.epochs
        ended = done or self._over_budget(self.seconds) or self._stalled()
        return ended and not self.unscored

    def _over_budget(self, seconds: float) -> bool:
        return 0 < 60 * self.config.time_budget_minutes <= seconds

    def _stalled(self) -> bool:
        """Whether the best score is early_stopping_epochs old."""
        if not self.config.early_stopping_epochs or not self.rows:
            return False
        best = max(self.rows, key=self._score)  # the first of equals
        return self.rows[-1]["epoch"] - best["epoch"] >= self.config.early_stopping_epochs

    def _score(self, row: Row) -> float:
        return row[f"validation_{self.config.metric.lower()}"]

    def _keep(self, weights: dict[str, Tensor]) -> None:
        """As model.pt."""
        epochs = self.done / self.updates
        if epochs < self.config.epochs:
            why = "the score stopped rising" if self._stalled() else "time_budget_minutes are over"
            print(f"fold {self.fold}: ends after epoch {epochs:.2f}: {why}")
        save_model(
            self.config,
            self.fold,
            self.folds,
            weights,
            self.rows,
            code_version(__name__),
            self.identity[ENCODER],
        )
        delete_state_before(self.config, self.fold)
        print(f"{Run.of(self.config).model(self.fold)}, {Run.of(self.config).log(self.fold).name}")

    def _groups(self) -> Iterator[list[Batch]]:
        """The batches of each update that is left, epoch by epoch."""
        for epoch in range(self.done // self.updates, self.config.epochs):
            self.order.epoch = epoch
            self.order.done = self._first_batch()
            yield from _groups(self.loader, self.config.grad_accumulation)

    def _first_batch(self) -> int:
        """The number, in its epoch, of the first batch of the update that is next."""
        return self.done % self.updates * self.config.grad_accumulation

    def _step(self, group: list[Batch], bar: Progress, watch: Watch) -> None:
        if self.done == 0:
            self._show(group[0], watch)
        numbers = range(self._first_batch(), self._first_batch() + len(group))
        images = sum(map(self.order.images_in, numbers))  # of the update, in all processes
        batches = [
            MicroBatch(batch, copies, number_of_processes() / copies / images)
            for batch, copies in zip(group, map(self.order.copies_of, numbers), strict=True)
        ]
        scores = self.learner.update(batches, self.done, self.updates)
        self._settle(bar)  # a GPU works on this update while the one before is looked at
        self.pending = list(zip(map(on_its_way, scores), batches, strict=True))
        self.done += 1
        watch.trained(images)

    def _show(self, batch: Batch, watch: Watch) -> None:
        images, masks, _ = self.learner.prepared(batch, (0, 0))
        names = self.training["image"].iloc[batch.rows.tolist()].tolist()
        watch.first_batch(names, images, masks, self.folds.classes)

    def _settle(self, bar: Progress) -> None:
        """Reads the scores of the last update: into the sums, and into the bar."""
        for arrived, micro_batch in self.pending:
            scores = arrived()
            when = f", update {self.done}"
            require_finite(scores[:, 0], micro_batch.batch, self.training, self.fold, when)
            values = [*scores.sum(0).tolist(), len(scores)]
            self.sums = [a + b / micro_batch.copies for a, b in zip(self.sums, values, strict=True)]
            bar.set_postfix(loss=f"{values[0] / len(scores):.4f}", refresh=False)
        if self.pending:
            self.latest = [batch for _, batch in self.pending]
            epoch = (self.done - 1) // self.updates + 1
            bar.set_description_str(f"fold {self.fold} epoch {epoch}/{self.config.epochs}", False)
            bar.update()
        self.pending = []

    def _evaluation_due(self) -> bool:
        """Every `evaluation_epochs`, less or more than one, and after the last update."""
        every = self.updates * self.config.evaluation_epochs
        last = self.done == self.updates * self.config.epochs
        return last or self.done // every > (self.done - 1) // every

    def _evaluate(self, bar: Progress, watch: Watch) -> None:
        """A row of the log: means of training since the last one, and the scores of the fold."""
        self._settle(bar)
        watch.validating()
        began = time.monotonic()
        with self.learner.to_score() as model:
            row = self._training_means() | self.validation.scores(model, self.done)
            if self.config.save_best_checkpoint and self._is_best(row):
                self.best = {name: v.cpu().clone() for name, v in model.state_dict().items()}
        self.sums, self.learner.skipped = [0.0] * len(self.sums), 0
        self.rows.append(row)
        if rank() == 0:
            save_log(self.config, self.fold, self.rows)
        watch.evaluated(row, self.done)
        bar.write(f"{self._line(row)}  validated in {time.monotonic() - began:.0f} s")

    def _training_means(self) -> Row:
        *sums, images = (sum(values) for values in zip(*gathered(self.sums), strict=True))
        return {
            "epoch": self.done / self.updates,
            "learning_rate": self.learner.optimizer.param_groups[-1]["lr"],
            **{name: total / images for name, total in zip(self.learner.scored, sums, strict=True)},
            **self.learner.overflows(),
        }

    def _is_best(self, row: Row) -> bool:
        return all(self._score(row) > self._score(other) for other in self.rows)

    def _save(self, bar: Progress) -> None:
        """fold{k}/state.pt: whoever goes on from it ends with the same bytes."""
        self._settle(bar)
        self._require_numbers(self.learner.model.state_dict())
        sums, self.saved = gathered(self.sums), time.monotonic()
        if rank():
            return
        state = {
            **self.identity,
            **self.learner.state(),
            "done": self.done,
            "unscored": self.unscored,
            "finished": self.finished,
            "seconds": self.seconds,
            "sums": sums,
            "rows": self.rows,
            "best": self.best,
        }
        save_state(self.config, self.fold, state)

    def _require_numbers(self, weights: dict[str, Tensor]) -> None:
        """InputError where some are none: no state would go on from them, however it was set."""
        wrong = [name for name, tensor in weights.items() if not tensor.isfinite().all()]
        if wrong:
            rows = [row for one in self.latest for row in one.batch.rows.tolist()]
            names = ", ".join(self.training["image"].iloc[rows])
            raise InputError(
                f"fold {self.fold}: after update {self.done}, on {names}, {wrong[0]} and "
                f"{len(wrong) - 1} other weights are no numbers: lower learning_rate, or set "
                "gradient_clip. The last state that was saved is kept."
            )

    def _take_up(self, state: dict[str, Any]) -> None:
        """Goes on from what `_save` wrote."""
        self.done, self.seconds, self.rows = state["done"], state["seconds"], state["rows"]
        self.best, self.unscored = state["best"], state["unscored"]
        self.learner.take_up(state)
        if len(state["sums"]) == number_of_processes():
            self.sums = state["sums"][rank()]
        elif rank() == 0:
            print(f"fold {self.fold}: was begun by {len(state['sums'])} processes")
            self.sums = [sum(values) for values in zip(*state["sums"], strict=True)]
        print(f"fold {self.fold}: goes on after epoch {self.done / self.updates:.2f}")

    def _line(self, row: Row) -> str:
        auc, skipped = row["validation_auc"], row.get("skipped_updates", 0)
        return (
            f"fold {self.fold}  epoch {row['epoch']:g}/{self.config.epochs}  "
            f"train loss {row['train_loss']:.4f}  validation loss {row['validation_loss']:.4f}  "
            f"IoU {row['validation_iou']:.4f}  with a mask: IoU {row['validation_iou_nerve']:.4f} "
            f"Dice {row['validation_dice_nerve']:.4f}"
            f"{'' if math.isnan(auc) else f'  presence AUC {auc:.3f}'}"
            f"{f'  {skipped:g} updates skipped (beyond float16)' if skipped else ''}{self.flags}"
        )


def on_its_way(values: Tensor) -> Callable[[], Tensor]:
    """Copies them from a GPU without a wait; the answer waits for the copy, for no later work."""
    if values.device.type == "cpu":
        return lambda: values
    copy, copied = values.to("cpu", non_blocking=True), torch.cuda.Event()
    copied.record()

    def arrived() -> Tensor:
        copied.synchronize()
        return copy

    return arrived


def _groups(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """`size` batches at a time, and those left over at the end."""
    iterator = iter(batches)
    while group := list(islice(iterator, size)):
        yield group
