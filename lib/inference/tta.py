"""Test-time augmentation: an image shown to a network in several ways, each answer brought back.

A view is undone on the probabilities, in the place of the image, before they are averaged. Places
are those of pixel centres, as in OpenCV and with PyTorch's align_corners=False.
"""

import math
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.config.fields import Config

Size = tuple[int, int]  # (height, width)

FLIPS = {"Horizontal flip": 3, "Vertical flip": 2}  # the axis of (n, channels, height, width)
SCALES = (0.85, 1.15)
DEGREES = (-6.0, 6.0)
STEP = 32  # of the sizes that every network takes


class View(NamedTuple):
    """One way to show an image: flipped along axes, at another size, or rotated."""

    axes: tuple[int, ...] = ()
    size: Size | None = None  # None: that of the image
    degrees: float = 0.0

    def shown(self, images: Tensor) -> Tensor:
        """Images (n, channels, height, width) as the network is to see them."""
        if self.axes:
            images = images.flip(self.axes)
        if self.size:
            images = _resized(images, self.size)
        if self.degrees:
            images = _rotated(images, self.degrees)
        return images.contiguous(memory_format=torch.channels_last)

    def undone(self, pixels: Tensor, size: Size) -> Tensor:
        """What a network said of `shown`, in the place and at the size of the image."""
        if self.degrees:
            pixels = _rotated(pixels, -self.degrees)
        if self.size:
            pixels = _resized(pixels, size)
        return pixels.flip(self.axes) if self.axes else pixels

    def seen(self, size: Size, device: torch.device) -> Tensor:
        """1 for the pixels of the image that the view shows, 0 for those rotated out of it.

        (height, width), or the one number 1.
        """
        if not self.degrees:
            return torch.ones((), device=device)
        margin = 1 - 1 / torch.tensor(size[::-1], device=device)  # (x, y) of the outer pixels
        inside = (_places(size, -self.degrees, device)[0].abs() <= margin + 1e-4).all(-1)
        return inside.float()


def views_of(config: Config) -> list[View]:
    """The views that test_time_augmentations asks for; the first is the image as it is.

    Flips lose nothing and are combined: both together are four views. Scale and Rotation blur a
    little, since they interpolate, and are two views more each, unflipped: all with all would cost
    36 times the work where all four cost 8 times.
    """
    wished = config.test_time_augmentations
    single = [((), (axis,)) for name, axis in FLIPS.items() if name in wished]
    views = [View(axes=sum(axes, ())) for axes in product(*single)]
    if "Scale" in wished:
        views += [View(size=size) for size in _sizes((config.image_height, config.image_width))]
    if "Rotation" in wished:
        views += [View(degrees=degrees) for degrees in DEGREES]
    return views


def _sizes(size: Size) -> Iterator[Size]:
    """A smaller and a larger one: the multiples of 32 nearest to SCALES, but not the size itself.

    Of 32 pixels there is no smaller one.
    """
    for scale in SCALES:
        away = -1 if scale < 1 else 1
        steps = [max(1, round(away * length * (scale - 1) / STEP)) for length in size]
        height, width = (max(STEP, n + away * STEP * k) for n, k in zip(size, steps, strict=True))
        if (height, width) != size:
            yield height, width


def _resized(images: Tensor, size: Size) -> Tensor:
    smaller = size[0] < images.shape[2] or size[1] < images.shape[3]
    return F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=smaller)


def _rotated(images: Tensor, degrees: float) -> Tensor:
    """Counter-clockwise by so many degrees about the centre; beyond the border its last pixels."""
    size = (images.shape[2], images.shape[3])
    places = _places(size, degrees, images.device).expand(len(images), -1, -1, -1)
    return F.grid_sample(images, places, "bilinear", "border", align_corners=False)


def _places(size: Size, degrees: float, device: torch.device) -> Tensor:
    """Where each pixel of the rotated image comes from: (1, height, width, 2), x and y in -1..1.

    The angle is one of pixels: the sides, which are 2 in these units, differ in length.
    """
    (height, width), angle = size, math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    rows = [[cosine, -sine * height / width, 0.0], [sine * width / height, cosine, 0.0]]
    matrix = torch.tensor([rows], device=device)
    return F.affine_grid(matrix, [1, 1, height, width], align_corners=False)
