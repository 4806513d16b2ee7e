"""BCE, Dice and their sum, one value an image: the mean over its classes."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

# Added to both sides of the Dice fraction, as a share of the image's pixels: a thirtieth of a
# usual nerve. It makes the loss of an empty image fall smoothly to 0 as the predicted area shrinks
# through that size, at any resolution; one pixel, the usual choice, leaves its gradient at about 0.
SMOOTH = 1e-3

Loss = Callable[[Tensor, Tensor], Tensor]


def bce_per_image(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross-entropy, mean over all pixels: (n, classes, height, width) -> (n,)."""
    pixels = functional.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    return pixels.flatten(1).mean(1)


def dice_per_image(logits: Tensor, masks: Tensor) -> Tensor:
    """1 - soft Dice of each image (Milletari et al. 2016, sums not squared), smoothed by SMOOTH.

    Logits and masks 0..1, (n, classes, height, width) -> (n,) in 0..1. An empty mask is defined: 0
    where no probability is spent, and its gradient pushes probabilities down.
    """
    probability, truth = logits.sigmoid().flatten(2), masks.flatten(2)
    smooth = SMOOTH * truth.shape[2]
    both = (probability * truth).sum(2)
    dice = (2 * both + smooth) / (probability.sum(2) + truth.sum(2) + smooth)
    return 1 - dice.mean(1)


def bce_dice_per_image(logits: Tensor, masks: Tensor) -> Tensor:
    """The sum of both, unweighted, as in Hydrogen Torch: (n, classes, height, width) -> (n,)."""
    return bce_per_image(logits, masks) + dice_per_image(logits, masks)


LOSSES: dict[str, Loss] = {
    "BCE": bce_per_image,
    "Dice": dice_per_image,
    "BCEDice": bce_dice_per_image,
}


def loss_per_image(name: str, logits: Tensor, masks: Tensor) -> Tensor:
    """The loss called `name` of each image, in float32: (n, classes, height, width) -> (n,)."""
    return LOSSES[name](logits.float(), masks.to(torch.float32))
