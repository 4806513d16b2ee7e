"""oof_masks.npz, test_masks.npz: the masks that 04 drew, an image a member, named as the image."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lib import rle
from lib.artifacts.npz import MemberWriter, Packed, packed_image
from lib.runtime.files import written_whole
from lib.runtime.threads import with_bar


class Drawn(NamedTuple):
    """The masks of an image, kept small."""

    shape: tuple[int, int]
    runs: list[str]  # run lengths, one a class
    believed: Sequence[float]  # lib.quality.expected.believed of each


def save_masks(path: Path, drawn: Mapping[str, Drawn]) -> None:
    """uint8 0/1 (height, width) of each image; (classes, height, width) where there are several.

    The same masks give the same bytes.
    """

    def packed(item: tuple[str, Drawn]) -> Packed:
        image, masks = item
        planes = [rle.decode(text, masks.shape, image) for text in masks.runs]
        return packed_image(image, np.stack(planes))

    with written_whole(path, summed=True) as file:
        writer = MemberWriter(file)
        for member in with_bar(packed, list(drawn.items()), "keeping masks"):
            writer.add(member)
        writer.close()
