"""Losses of logits and masks, one value an image: the mean over its classes.

A mask may be soft, 0..1, as Mixup leaves it: each loss is then least where the probability equals
it, but for Lovasz, which is least beyond it (see there).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from lib.config.fields import Config

if TYPE_CHECKING:
    from lib.unet import Outputs  # slow to load, which 04 does without
from lib.bce_dice import SMOOTH, areas, bce_per_image, dice_per_image

FOCAL_GAMMA = 2.0  # Lin et al.'s best; without their alpha, as segmentation_models_pytorch has it

TVERSKY_ALPHA, TVERSKY_BETA = 0.3, 0.7  # Salehi et al.'s best: a missed pixel costs more

Loss = Callable[[Tensor, Tensor], Tensor]


def focal_per_image(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross-entropy, each pixel times (1 - the probability of its truth)^2, mean over all.

    Lin et al. 2017. (n, classes, height, width) -> (n,), not below 0; the easy pixels, most of an
    empty image's, count little.
    """
    import segmentation_models_pytorch as smp  # slow to load

    focal = smp.losses.FocalLoss("binary", gamma=FOCAL_GAMMA, reduction="none")
    pixels: Tensor = focal(logits, masks).view_as(logits)
    return pixels.flatten(1).mean(1)


def jaccard_per_image(logits: Tensor, masks: Tensor) -> Tensor:
    """1 - soft IoU of each image; shapes, range and the empty mask are those of Dice."""
    return _tversky(logits, masks, alpha=1.0, beta=1.0)


def tversky_per_image(logits: Tensor, masks: Tensor) -> Tensor:
    """1 - the Tversky index: Dice whose false positives weigh .6 and whose misses weigh 1.4.

    Salehi et al. 2017. Shapes, range and the empty mask are those of Dice.
    """
    return _tversky(logits, masks, TVERSKY_ALPHA, TVERSKY_BETA)


def lovasz_per_image(logits: Tensor, masks: Tensor) -> Tensor:
    """The Lovasz hinge (Berman et al. 2018) of the nerve, that of what is not nerve, their mean.

    (n, classes, height, width) -> (n,), not below 0: 0 where every logit is beyond +-1 on its
    mask's side. Of an empty mask only that of what is not nerve, and of a full one only that of the
    nerve: the other would be the error of the worst pixel alone. That one pixel would weigh as much
    as all of a nerve, and the network would learn to mark nothing. A soft pixel asks for a logit of
    1 / (2 mask - 1), thus for nothing at .5.
    """
    errors, order = (1 - logits * (2 * masks - 1)).flatten(2).sort(dim=2, descending=True)
    nerve = masks.flatten(2).gather(2, order)  # the hinges differ in sign twice, so not in errors
    kinds = torch.stack([nerve, 1 - nerve])
    there = (kinds.sum(3, keepdim=True) > 0).float()
    gradients = torch.stack([_jaccard_gradient(truth) for truth in kinds])
    gradient = (gradients * there).sum(0) / there.sum(0)
    return (errors.relu() * gradient).sum(2).mean(1)


def _jaccard_gradient(truth: Tensor) -> Tensor:
    """What each pixel adds to 1 - IoU when it, too, is taken for wrong (their Algorithm 1).

    (n, classes, pixels), the worst error first -> the same, none below 0, adding up to 1.
    """
    total = truth.sum(2, keepdim=True)
    loss = 1 - (total - truth.cumsum(2)) / (total + (1 - truth).cumsum(2))
    return loss.diff(dim=2, prepend=torch.zeros_like(total))


def _tversky(logits: Tensor, masks: Tensor, alpha: float, beta: float) -> Tensor:
    """Of each image; with alpha, the weight of false positives, and beta of .5 it is Dice."""
    both, predicted, true = areas(logits, masks)
    hits = both + SMOOTH / 2 * logits[0, 0].numel()
    index = hits / (hits + alpha * (predicted - both) + beta * (true - both))
    return 1 - index.mean(1)


LOSSES: dict[str, Loss] = {
    "BCE": bce_per_image,
    "Dice": dice_per_image,
    "Focal": focal_per_image,
    "Jaccard": jaccard_per_image,
    "Lovasz": lovasz_per_image,
    "Tversky": tversky_per_image,
}

# What Dice is added to.
SUMS: dict[str, Loss] = {"BCEDice": bce_per_image, "FocalDice": focal_per_image}


def training_loss(outputs: "Outputs", masks: Tensor, config: Config) -> Tensor:
    """What the network is trained on: the loss of its masks, and of its presence head: (n,)."""
    loss = loss_per_image(config.loss_function, outputs.logits, masks, config.dice_weight)
    if outputs.presence is None:
        return loss
    return loss + config.presence_head * presence_per_image(outputs.presence, masks)


def presence_per_image(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross-entropy of whether the mask has any pixel: (n, classes) -> (n,).

    Masks (n, classes, height, width); of a soft one its largest value counts.
    """
    there = masks.to(torch.float32).amax((2, 3))
    errors = functional.binary_cross_entropy_with_logits(logits.float(), there, reduction="none")
    return errors.mean(1)


def loss_per_image(name: str, logits: Tensor, masks: Tensor, dice_weight: float = 1.0) -> Tensor:
    """The loss called `name` of each image, in float32: (n, classes, height, width) -> (n,).

    `masks` are 0..1 of any dtype. `dice_weight` is that of Dice in BCEDice and FocalDice, whose
    other part weighs 1: the sum as Hydrogen Torch has it, unless it is set.
    """
    logits, masks = logits.float(), masks.to(torch.float32)
    if name in LOSSES:
        return LOSSES[name](logits, masks)
    return SUMS[name](logits, masks) + dice_weight * dice_per_image(logits, masks)
