"""Networks and images -> probabilities at each image's own size, an image at a time."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

from lib.artifacts.model import load_model
from lib.artifacts.npz import packed_image
from lib.artifacts.probabilities import Looks, Probability
from lib.config.fields import Config
from lib.dataset import Batch, plain_loader
from lib.inference.pieces import Member
from lib.inference.tta import View, views_of
from lib.runtime.device import precision, side_by_side
from lib.runtime.errors import InputError
from lib.runtime.threads import in_order
from lib.unet import Outputs, build_model, placed, seen_by, to_input

CHUNK = 4  # images that a single core predicts at once

Features = npt.NDArray[np.float32]  # (networks, channels)


class Prediction(NamedTuple):
    row: int  # of the table
    probability: Probability  # uint8 (classes, height, width) of the image, 0..255 = 0..1
    presence: npt.NDArray[np.float32]  # (classes,) 0..1: of the head, else the largest pixel's
    features: Features | None


class Answer(NamedTuple):
    pixels: Tensor  # float32 (n, classes, height, width), 0..1, at the size the network sees
    presence: Tensor | None  # (n, classes), 0..1: of the presence head, where there is one
    features: Tensor | None = None  # (n, networks, channels) of the image as it is


class Unfinished(NamedTuple):
    """The answer to one image, at the size the network sees."""

    row: int  # of the table
    pixels: npt.NDArray[np.float32]  # (classes, height, width), 0..1
    presence: npt.NDArray[np.float32] | None
    size: tuple[int, int]  # (height, width) of the image's file
    features: Features | None

    def finished(self) -> Prediction:
        """Stretched to the size of the file. Any thread may do it; most of it is OpenCV's work."""
        width_first = self.size[::-1]
        planes = [cv2.resize(p, width_first, interpolation=cv2.INTER_LINEAR) for p in self.pixels]
        probability = to_bytes(np.stack(planes))
        presence = presence_of(probability) if self.presence is None else self.presence
        return Prediction(self.row, probability, presence, self.features)


class Trained(NamedTuple):
    network: nn.Module
    sha: str  # of its model.pt
    presence_head: bool
    settings: Config  # of its training


def trained_network(config: Config, fold: int, folds_sha: str, device: torch.device) -> Trained:
    """The network of fold{k}/model.pt, ready to predict."""
    trained = loaded_network(config, fold, folds_sha)
    return trained._replace(network=placed(trained.network, device))


def loaded_network(config: Config, fold: int, folds_sha: str) -> Trained:
    """That of fold{k}/model.pt, on the processor and as PyTorch has it."""
    model = load_model(config, fold, folds_sha)
    head = any(name.startswith("classification_head") for name in model.weights)
    network = build_model(config, len(model.classes), head)
    network.load_state_dict(model.weights)
    return Trained(network.eval(), model.sha, head, model.config)


def predict(
    models: Sequence[nn.Module], table: pd.DataFrame, config: Config, device: torch.device
) -> Iterator[Unfinished]:
    """The mean probability over models and views of each image of the table, in its order.

    The table has columns image and file; memory does not grow with its length.
    """
    views = views_of(config)

    def answers(batch: Batch) -> list[Unfinished]:
        found = list(unfinished(mean_answer(models, views, batch, config, device), batch))
        require_numbers(found, table, config)
        return found

    batches = plain_loader(table, config)
    if device.type != "cpu":
        yield from chain.from_iterable(map(answers, batches))
        return
    with side_by_side() as threads:
        chunks = (chunk for batch in batches for chunk in chunks_of(batch))
        yield from chain.from_iterable(in_order(answers, chunks, threads, threads))


def require_numbers(answers: Sequence[Unfinished], table: pd.DataFrame, config: Config) -> None:
    """InputError that names the images, rows of the table, with a probability that is none."""
    wrong = [answer.row for answer in answers if np.isnan(answer.pixels).any()]
    if wrong:
        way_out = "is a network damaged? Train it again"
        if config.mixed_precision_inference:
            way_out = "set mixed_precision_inference=false"
        names = ", ".join(table["image"].iloc[wrong])
        raise InputError(f"the networks give no number as the probability of {names}: {way_out}")


def chunks_of(batch: Batch) -> Iterator[Batch]:
    """Batches of CHUNK images at most."""
    return (Batch(*tensors) for tensors in zip(*(t.split(CHUNK) for t in batch), strict=True))


def packed_predictions(
    models: Sequence[nn.Module],
    config: Config,
    device: torch.device,
    looks_of: Callable[[Features], Looks | None],
    images: pd.DataFrame,
) -> Iterator[Member]:
    """What `predict` says of each image, as a member of a probability file.

    Answers are stretched to the image's own size and compressed in threads, while the next batches
    are predicted. `looks_of` makes of the features what the file keeps of them.
    """

    def member(answer: Unfinished) -> Member:
        prediction = answer.finished()
        image = images["image"].iloc[prediction.row]
        looks = None if prediction.features is None else looks_of(prediction.features)
        packed = packed_image(image, prediction.probability)
        return Member(packed, prediction.presence, looks)

    answers = predict(models, images, config, device)
    return in_order(member, answers, ahead=2 * config.batch_size)


def mean_answer(
    models: Sequence[nn.Module],
    views: Sequence[View],
    batch: Batch,
    config: Config,
    device: torch.device,
) -> Answer:
    """Over the models and the views that see a pixel; a presence only where all models have one."""
    images = to_input(batch.images.to(device, non_blocking=True), config)
    size = (images.shape[2], images.shape[3])
    total, times = torch.zeros((), device=device), torch.zeros((), device=device)
    presences, features = [], []
    for view in views:
        shown, seen = view.shown(images), view.seen(size, device)
        for model in models:
            outputs = outputs_to(model, shown, config, device)
            answer = answer_of(outputs)
            if view is views[0] and outputs.features is not None:
                features.append(outputs.features)
            total = total + view.undone(answer.pixels, size) * seen
            times = times + seen
            presences.append(answer.presence)
    heads = [presence for presence in presences if presence is not None]
    whole = len(heads) == len(presences)
    presence = torch.stack(heads).mean(0) if whole else None
    told = len(features) == len(models)
    return Answer(total / times, presence, torch.stack(features, 1) if told else None)


def outputs_of_batch(
    model: nn.Module, batch: Batch, config: Config, device: torch.device
) -> Outputs:
    """float32, at the size the network sees, on its device."""
    images = to_input(batch.images.to(device, non_blocking=True), config)
    return outputs_to(model, images, config, device)


def outputs_to(model: nn.Module, images: Tensor, config: Config, device: torch.device) -> Outputs:
    """To what to_input made of images, or a view of it; float32.

    Where the memory of a GPU does not suffice, to one half of them and then to the other.
    """
    try:
        with torch.inference_mode(), precision(device, config.mixed_precision_inference):
            found = seen_by(model, images)
        return Outputs(found.logits.float(), *map(in_float32, found[1:]))
    except torch.OutOfMemoryError as error:
        if len(images) == 1:
            raise InputError(
                "the memory of the GPU is too small for one image: lower image_height and "
                "image_width, or set mixed_precision_inference=true"
            ) from error
    # Not while the error is handled: it holds on to what the network had made so far.
    torch.cuda.empty_cache()
    halves = [outputs_to(model, half, config, device) for half in images.tensor_split(2)]
    logits, *others = zip(*halves, strict=True)
    return Outputs(
        torch.cat(logits), *(None if half[0] is None else torch.cat(half) for half in others)
    )


def in_float32(values: Tensor | None) -> Tensor | None:
    return None if values is None else values.float()


def answer_of(outputs: Outputs) -> Answer:
    presence = outputs.presence
    return Answer(outputs.logits.sigmoid(), None if presence is None else presence.sigmoid())


def at_own_size(answer: Answer, batch: Batch) -> Iterator[Prediction]:
    """One prediction an image, stretched to the size of its file."""
    return (one.finished() for one in unfinished(answer, batch))


def unfinished(answer: Answer, batch: Batch) -> Iterator[Unfinished]:
    """The answer to a batch, taken from the device and apart."""
    arrays = answer.pixels.cpu().numpy()
    nothing = [None] * len(arrays)
    presences = nothing if answer.presence is None else answer.presence.cpu().numpy()
    features = nothing if answer.features is None else answer.features.cpu().numpy()
    sizes = [(height, width) for height, width in batch.sizes.tolist()]
    yield from map(Unfinished, batch.rows.tolist(), arrays, presences, sizes, features)


def to_bytes(probability: npt.NDArray[np.float32]) -> Probability:
    """0..1 -> 0..255, rounded."""
    return np.rint(probability * 255).astype(np.uint8)


def presence_of(probability: Probability) -> npt.NDArray[np.float32]:
    """(classes,) 0..1, where no head tells it: that of the largest pixel."""
    return (probability.max(axis=(1, 2)) / 255).astype(np.float32)
