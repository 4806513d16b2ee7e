"""BCE, Dice and their sum: one value an image, the mean over its classes.

A mask may be soft, 0..1, as Mixup leaves it: each is then least where the probability equals it.
"""

import torch
from torch import Tensor
from torch.nn import functional

# Added to both sides of the Dice fraction, as a share of the image's pixels: a thirtieth of a
# usual nerve. It makes the loss of an empty image fall smoothly to 0 as the predicted area shrinks
# through that size, at any resolution; one pixel, the usual choice, leaves its gradient at about 0.
SMOOTH = 1e-3


def bce_per_image(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross-entropy, mean over all pixels: (n, classes, height, width) -> (n,)."""
    pixels = functional.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    return pixels.flatten(1).mean(1)


def dice_per_image(logits: Tensor, masks: Tensor) -> Tensor:
    """1 - soft Dice of each image (Milletari et al. 2016, sums not squared), smoothed by SMOOTH.

    Logits and masks 0..1, (n, classes, height, width) -> (n,) in 0..1. An empty mask is defined: 0
    where no probability is spent, and its gradient pushes probabilities down.
    """
    both, predicted, true = areas(logits, masks)
    smooth = SMOOTH * logits[0, 0].numel()
    dice = (2 * both + smooth) / (predicted + true + smooth)
    return 1 - dice.mean(1)


def areas(logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels common to both, predicted, true: (n, classes) each.

    What is common to a pixel's probability and mask is the lesser of them. It is their product
    where the mask is 0 or 1; at a soft one the product would be best at 0 or 1 (Wang et al. 2023).
    """
    probability, truth = logits.sigmoid().flatten(2), masks.flatten(2)
    return torch.minimum(probability, truth).sum(2), probability.sum(2), truth.sum(2)
