"""Networks and images -> probabilities at each image's own size, an image at a time."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

from lib.artifacts import Probability, load_model
from lib.config import Config
from lib.dataset import Batch, plain_loader
from lib.model import Outputs, build_model, outputs_of, placed, precision, to_input


class Prediction(NamedTuple):
    row: int  # of the table
    probability: Probability  # uint8 (classes, height, width) of the image, 0..255 = 0..1
    presence: npt.NDArray[np.float32]  # (classes,) 0..1: of the head, else the largest pixel's


class Answer(NamedTuple):
    pixels: Tensor  # float32 (n, classes, height, width), 0..1, at the size the network sees
    presence: Tensor | None  # (n, classes), 0..1: of the presence head, where there is one


class Trained(NamedTuple):
    network: nn.Module
    sha: str  # of its model.pt
    presence_head: bool


def trained_network(config: Config, fold: int, folds_sha: str, device: torch.device) -> Trained:
    """The network of fold{k}/model.pt, ready to predict."""
    model = load_model(config, fold, folds_sha)
    head = any(name.startswith("classification_head") for name in model.weights)
    network = build_model(config, len(model.classes), head)
    network.load_state_dict(model.weights)
    return Trained(placed(network, device).eval(), model.sha, head)


def predict(
    models: Sequence[nn.Module], table: pd.DataFrame, config: Config, device: torch.device
) -> Iterator[Prediction]:
    """The mean probability over the models of each image of the table, in its order.

    The table has columns image and file; memory does not grow with its length.
    """
    for batch in plain_loader(table, config):
        answers = [answer_of(outputs_of_batch(model, batch, config, device)) for model in models]
        yield from at_own_size(mean_of(answers), batch)


def outputs_of_batch(
    model: nn.Module, batch: Batch, config: Config, device: torch.device
) -> Outputs:
    """float32, at the size the network sees, on its device."""
    images = to_input(batch.images.to(device, non_blocking=True), config)
    with torch.inference_mode(), precision(device, config.mixed_precision_inference):
        logits, presence = outputs_of(model, images)
    return Outputs(logits.float(), None if presence is None else presence.float())


def answer_of(outputs: Outputs) -> Answer:
    presence = outputs.presence
    return Answer(outputs.logits.sigmoid(), None if presence is None else presence.sigmoid())


def mean_of(answers: Sequence[Answer]) -> Answer:
    """Of several networks; a presence only where all of them have one."""
    pixels = torch.stack([answer.pixels for answer in answers]).mean(0)
    presences = [answer.presence for answer in answers if answer.presence is not None]
    whole = len(presences) == len(answers)
    return Answer(pixels, torch.stack(presences).mean(0) if whole else None)


def at_own_size(answer: Answer, batch: Batch) -> Iterator[Prediction]:
    """One prediction an image, stretched to the size of its file."""
    arrays = answer.pixels.cpu().numpy()
    presences = [None] * len(arrays) if answer.presence is None else answer.presence.cpu().numpy()
    parts = zip(batch.rows.tolist(), batch.sizes.tolist(), arrays, presences, strict=True)
    for row, size, array, presence in parts:
        planes = [cv2.resize(p, size[::-1], interpolation=cv2.INTER_LINEAR) for p in array]
        pixels = np.rint(np.stack(planes) * 255).astype(np.uint8)
        if presence is None:
            presence = (pixels.max(axis=(1, 2)) / 255).astype(np.float32)
        yield Prediction(row, pixels, presence)
