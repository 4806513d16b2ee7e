"""The network of one fold, and the updates that change its weights."""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from timm.layers import convert_sync_batchnorm
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lib.config.fields import Config
from lib.dataset import Batch
from lib.losses import training_loss
from lib.runtime.device import gradient_scaler, precision
from lib.runtime.errors import InputError
from lib.runtime.files import stable_hash
from lib.runtime.processes import number_of_processes, rank, take_over_from_first
from lib.training.ema import WeightAverage
from lib.training.mixup import mixed
from lib.training.optimizer import build_optimizer, set_learning_rate
from lib.training.pretrained import load_pretrained
from lib.unet import (
    Outputs,
    build_model,
    needs_two_images,
    outputs_of,
    placed_to_train,
    to_input,
)


class MicroBatch(NamedTuple):
    """The images of a batch that one process has."""

    batch: Batch
    copies: int  # processes that have these same images
    share: float  # what an image counts in the mean loss of the update


class Learner:
    """A network, its optimizer and, with ema_decay, the moving average of its weights.

    With `presence_head` it has one, for as many classes. Of several processes each has the same.
    """

    def __init__(
        self, fold: int, classes: int, presence_head: bool, config: Config, device: torch.device
    ) -> None:
        self.config, self.device = config, device
        torch.manual_seed(stable_hash(config.seed, fold))
        model = build_model(config, classes, presence_head)
        self.origin = load_pretrained(model, config) if config.pretrained else "random weights"
        self.model = placed_to_train(model, device)
        if number_of_processes() > 1 and device.type == "cuda":
            self.model = convert_sync_batchnorm(self.model)
        self.network = self._shared_out()
        self.optimizer = build_optimizer(self.model, config, device)
        self.scaler = gradient_scaler(device, config.mixed_precision_training)
        self.skipped = 0  # updates left out since the last row of the log
        self.average = WeightAverage(self.model, config.ema_decay) if config.ema_decay else None
        self.at_once = config.batch_size  # images whose activations are in memory together

    def _shared_out(self) -> nn.Module:
        """The network as training calls it: compiled, and in step with the other processes."""
        network: nn.Module = self.model
        if number_of_processes() > 1:
            network = DistributedDataParallel(
                self.model,
                device_ids=None if self.device.type == "cpu" else [self.device],
                find_unused_parameters=has_unused_weights(self.config),
            )
            self._settle_order_of_sums(network)
        if self.config.compile:
            self.model.compile()
        return network

    def _settle_order_of_sums(self, network: nn.Module) -> None:
        """Two passes that change no weight, after which gradients are summed in their last order.

        PyTorch chooses it anew once, after the first pass of a process. So a training that goes on
        in new processes would sum its first gradients in another order than one that was not
        stopped, and of three or more processes another order rounds otherwise.
        """
        grey = torch.zeros(1, 1, self.config.image_height, self.config.image_width)
        images = to_input(grey.to(self.device), self.config)
        network.eval()  # batch statistics stay as they are, and nothing is drawn at random
        for _ in range(2):
            logits, presence, _ = outputs_of(network, images)
            (logits.sum() + (0 if presence is None else presence.sum())).backward()
        self.model.zero_grad(set_to_none=True)
        network.train()

    @property
    def scored(self) -> list[str]:
        """What `update` tells of each image."""
        more = ["train_iou", "train_dice"] if self.config.calculate_train_metric else []
        return ["train_loss", *more]

    def update(self, batches: Sequence[MicroBatch], number: int, updates: int) -> list[Tensor]:
        """One step of the optimizer on the mean loss of the images of `batches`, in all processes.

        It is number `number` of the training, from 0; an epoch has `updates`. Returns for each
        micro-batch what `scored` names of its images: (n, 1 or 3), on the device. Where the memory
        does not suffice it begins again, with fewer images at once.
        """
        set_learning_rate(self.optimizer, self.config, number, updates)
        while True:
            try:
                scores = [self._add_gradients(batches, at, number) for at in range(len(batches))]
                break
            except torch.OutOfMemoryError as error:
                self._halve(error)
        self.scaler.unscale_(self.optimizer)
        if self.config.gradient_clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
        try:
            self.scaler.step(self.optimizer)
        except torch.OutOfMemoryError as error:  # some weights may have moved: it cannot go on
            raise InputError(
                "the memory of the GPU has no room for the optimizer's own state: end what else "
                "runs on this GPU, or choose a smaller backbone or optimizer=SGD. Start the same "
                "command again to go on from the last state that was saved."
            ) from error
        self.optimizer.zero_grad(set_to_none=True)
        if self._overflowed():
            self.skipped += 1
        elif self.average:
            self.average.update(self.model, number + 1)
        return scores

    def _overflowed(self) -> bool:
        """Whether gradients left the range of float16, so that the scaler left the step out.

        The same in all processes, which have the same gradients. InputError where no factor helps.
        """
        before = self.scaler.get_scale()
        self.scaler.update()
        factor = self.scaler.get_scale()
        if factor < 1:
            raise InputError(
                "the gradients are not finite in float16, however small a factor they are scaled "
                "by: lower learning_rate, or set mixed_precision_training=false"
            )
        return factor < before

    def overflows(self) -> dict[str, float]:
        """Of a training in float16, the updates skipped since the last row of the log."""
        return {"skipped_updates": float(self.skipped)} if self.scaler.is_enabled() else {}

    def prepared(self, batch: Batch, key: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """Images, masks and weights of a batch on the device, mixed as the key decides.

        The key is the number of the update in the training and of the batch in the update.
        """
        images, masks, weights = (
            tensor.to(self.device, non_blocking=True)
            for tensor in (batch.images, batch.masks, batch.weights)
        )
        return mixed(images, masks, weights, (self.config.seed, *key), self.config)

    def _add_gradients(self, batches: Sequence[MicroBatch], at: int, number: int) -> Tensor:
        """Those of micro-batch number `at`."""
        torch.manual_seed(stable_hash("dropout", self.config.seed, number, at, rank()))
        prepared, scores = self.prepared(batches[at].batch, (number, at)), []
        chunks = math.ceil(len(prepared[0]) / self.at_once)
        split = (tensor.tensor_split(chunks) for tensor in prepared)
        for images, masks, weights in zip(*split, strict=True):
            self._require_enough(len(images))
            with self._in_step(last=at == len(batches) - 1):
                with precision(self.device, self.config.mixed_precision_training):
                    outputs = outputs_of(self.network, to_input(images, self.config))
                losses = training_loss(outputs, masks, self.config)
                self.scaler.scale((losses * weights).sum() * batches[at].share).backward()
            scores.append(self._scores_of(losses.detach(), outputs, masks))
        return torch.cat(scores)

    def _require_enough(self, images: int) -> None:
        """InputError for one image where batch statistics need two."""
        if images > 1 or not needs_two_images(self.config):
            return
        way_out = "set drop_last_batch=true, or another batch_size"
        if self.at_once == 1 < self.config.batch_size:
            way_out = "the memory of the GPU has room for no more: lower the image's size"
        raise InputError(
            f"{self.config.architecture} cannot train on one image alone in a batch: {way_out}"
        )

    def _in_step(self, last: bool) -> AbstractContextManager[None]:
        """The last micro-batch of an update takes the mean of all gradients over the processes."""
        if isinstance(self.network, DistributedDataParallel) and not last:
            return self.network.no_sync()
        return nullcontext()

    def _scores_of(self, losses: Tensor, outputs: Outputs, masks: Tensor) -> Tensor:
        """(n, 1 or 3): what `scored` names."""
        if not self.config.calculate_train_metric:
            return losses[:, None]
        scores = batch_scores(outputs.logits.detach(), masks, self.config.probability_threshold)
        return torch.cat([losses[:, None], scores], dim=1)

    def _halve(self, error: torch.OutOfMemoryError) -> None:
        """Fewer images at once, or the InputError that tells what to do."""
        self.optimizer.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()
        if self.config.automatically_adjust_batch_size and number_of_processes() > 1:
            raise InputError(
                "the memory of a GPU is too small, and automatically_adjust_batch_size acts with "
                "one process only: halve batch_size and double grad_accumulation"
            ) from error
        if not self.config.automatically_adjust_batch_size or self.at_once == 1:
            raise InputError(
                f"{self.at_once} images at once are too much for the memory of the GPU: halve "
                "batch_size and double grad_accumulation, which keeps an update's size, or set "
                "automatically_adjust_batch_size=true"
            ) from error
        self.at_once = math.ceil(self.at_once / 2)
        print(f"memory is short: {self.at_once} images at once from here on, accumulated")

    @contextmanager
    def to_score(self) -> Iterator[nn.Module]:
        """The model with the weights to score and to keep: the average, where there is one."""
        with self.average.in_place_of(self.model) if self.average else nullcontext():
            take_over_from_first(self.model.buffers())
            yield self.model
        self.model.train()

    def state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "average": self.average.weights if self.average else {},
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "skipped": self.skipped,
        }

    def take_up(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.skipped = state["skipped"]
        if state["scaler"]:  # empty where it was begun in another precision
            self.scaler.load_state_dict(state["scaler"])
        if self.average:
            self.average.take_up(state["average"])


def has_unused_weights(config: Config) -> bool:
    """Whether no answer depends on some: PSPNet's deeper stages, EfficientNets' last layer.

    That is in their authors' encoders, not in timm's.
    """
    authors = "efficientnet" in config.backbone and not config.backbone.startswith("tu-")
    return config.architecture == "PSPNet" or authors


def batch_scores(logits: Tensor, masks: Tensor, threshold: float) -> Tensor:
    """IoU and Dice of each image, its classes' mean, at the size the network sees: (n, 2).

    Logits and masks (n, classes, height, width); a mask 0..1 is read as nerve from .5 on.
    """
    prediction, truth = logits.sigmoid() > threshold, masks >= 0.5
    both = (prediction & truth).sum((2, 3)).float()
    areas = prediction.sum((2, 3)) + truth.sum((2, 3))
    scores = torch.stack([both / (areas - both), 2 * both / areas], dim=2)
    return torch.where(areas[..., None] > 0, scores, 1.0).mean(1)
