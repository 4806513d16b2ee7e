"""Mixup and Cutmix: each image of a batch with another one of it, masks and weights likewise."""

import math

import numpy as np
import torch
from torch import Tensor

from lib.config.fields import Config
from lib.runtime.files import stable_hash

Mixed = tuple[Tensor, Tensor, Tensor]
Box = tuple[slice, slice]


def mixed(
    images: Tensor, masks: Tensor, weights: Tensor, key: tuple[int, ...], config: Config
) -> Mixed:
    """A batch on its device, before normalization, mixed as the settings and the key decide.

    Images (n, channels, height, width), masks (n, classes, height, width), uint8 or float; weights
    (n,) float32. The key is (seed, update, batch of it): all that is drawn follows from it, on
    every device. Where no mixing is due the tensors come back as they are. Cutmix keeps their
    dtype; Mixup makes them float32, images in their own range, masks 0..1.
    """
    random = np.random.default_rng(stable_hash("mix", *key))
    if config.mix_image == "Disabled" or random.random() >= config.mix_probability:
        return images, masks, weights
    for _ in range(config.mix_iterations):
        others = torch.from_numpy(random.permutation(len(images))).to(images.device)
        share = random.beta(config.mix_concentration, config.mix_concentration)
        if config.mix_image == "Mixup":
            images, masks, weights = mixup(images, masks, weights, others, share)
        else:
            box = draw_box(images.shape[2:], share, config.cutmix_corner, random)
            images, masks, weights = cutmix(images, masks, weights, others, box)
    return images, masks, weights


def mixup(images: Tensor, masks: Tensor, weights: Tensor, others: Tensor, share: float) -> Mixed:
    """`share` of each image, the rest of the image that `others`, (n,) int64, names for it.

    Zhang et al. 2018, one share for the batch, as in their code.
    """
    return (
        _blend(images, others, share),
        _blend(masks, others, share),
        _blend(weights, others, share),
    )


def cutmix(images: Tensor, masks: Tensor, weights: Tensor, others: Tensor, box: Box) -> Mixed:
    """Each image with the box of another one; its weight, with that of the other by their pixels.

    Yun et al. 2019, one box for the batch, as in their code; the labels of pixels move with them.
    """
    kept = 1 - images[0, 0][box].numel() / images[0, 0].numel()
    return _paste(images, others, box), _paste(masks, others, box), _blend(weights, others, kept)


def draw_box(
    shape: tuple[int, ...], share: float, corner: bool, random: np.random.Generator
) -> Box:
    """A box of 1 - share of the pixels, its sides in the ratio of those of (height, width).

    Its centre is any pixel, and what lies outside the image is cut off; with `corner` it lies whole
    in one of the four corners.
    """
    rows, columns = (_span(length, math.sqrt(1 - share), corner, random) for length in shape)
    return rows, columns


def _span(length: int, share: float, corner: bool, random: np.random.Generator) -> slice:
    size = round(length * share)
    if corner:
        start = int(random.integers(2)) * (length - size)
    else:
        start = int(random.integers(length)) - size // 2
    return slice(max(start, 0), min(start + size, length))


def _blend(values: Tensor, others: Tensor, share: float) -> Tensor:
    values = values.float()
    return torch.lerp(values[others], values, share)


def _paste(values: Tensor, others: Tensor, box: Box) -> Tensor:
    pasted = values.clone()
    pasted[..., *box] = values[..., *box][others]
    return pasted
