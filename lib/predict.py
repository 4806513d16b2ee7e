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
from lib.model import build_model, placed, precision, to_input


class Prediction(NamedTuple):
    row: int  # of the table
    probability: Probability  # uint8 (classes, height, width) of the image, 0..255 = 0..1
    presence: npt.NDArray[np.float32]  # (classes,) 0..1: the largest pixel probability of each


class Trained(NamedTuple):
    network: nn.Module
    sha: str  # of its model.pt


def trained_network(config: Config, fold: int, folds_sha: str, device: torch.device) -> Trained:
    """The network of fold{k}/model.pt, ready to predict."""
    model = load_model(config, fold, folds_sha)
    network = build_model(config, len(model.classes))
    network.load_state_dict(model.weights)
    return Trained(placed(network, device).eval(), model.sha)


def predict(
    models: Sequence[nn.Module], table: pd.DataFrame, config: Config, device: torch.device
) -> Iterator[Prediction]:
    """The mean probability over the models of each image of the table, in its order.

    The table has columns image and file; memory does not grow with its length.
    """
    for batch in plain_loader(table, config):
        probabilities = [logits_of(model, batch, config, device).sigmoid() for model in models]
        yield from at_own_size(torch.stack(probabilities).mean(0), batch)


def logits_of(model: nn.Module, batch: Batch, config: Config, device: torch.device) -> Tensor:
    """float32 (n, classes, height, width) at the size the network sees, on its device."""
    images = to_input(batch.images.to(device, non_blocking=True), config.image_channels)
    with torch.inference_mode(), precision(device, config.mixed_precision_inference):
        return model(images).float()


def at_own_size(probability: Tensor, batch: Batch) -> Iterator[Prediction]:
    """float32 (n, classes, height, width) -> one prediction an image, stretched to its file's."""
    arrays = probability.cpu().numpy()
    for row, size, array in zip(batch.rows.tolist(), batch.sizes.tolist(), arrays, strict=True):
        planes = [cv2.resize(p, size[::-1], interpolation=cv2.INTER_LINEAR) for p in array]
        pixels = np.rint(np.stack(planes) * 255).astype(np.uint8)
        yield Prediction(row, pixels, (pixels.max(axis=(1, 2)) / 255).astype(np.float32))
