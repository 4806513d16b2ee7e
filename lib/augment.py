"""Augmentations of training images, each drawn from (seed, epoch, image) and nothing else."""

import hashlib
import os

import numpy as np
import numpy.typing as npt

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else importing it asks the network

import albumentations as A

Pixels = npt.NDArray[np.uint8]


def soft() -> A.Compose:
    """Horizontal flip: what Hydrogen Torch's Soft shows in its pictures of training images."""
    return A.Compose([A.HorizontalFlip(p=0.5)])


def augment(
    transform: A.Compose, image: Pixels, masks: list[Pixels], key: tuple[int, int, str]
) -> tuple[Pixels, list[Pixels]]:
    """Image and masks (height, width), changed alike, as (seed, epoch, image name) decides.

    Seeded for every sample, so worker processes neither repeat each other nor change the result.
    """
    transform.set_random_seed(stable_hash(*key))
    changed = transform(image=image, masks=np.stack(masks))
    return changed["image"], list(changed["masks"])


def stable_hash(*parts: object) -> int:
    """32 bits that depend on the parts alone (Python's own hash differs from run to run)."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")
