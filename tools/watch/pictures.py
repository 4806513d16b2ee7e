"""fold{k}/first_batch.png: what the network is trained on, as it gets it."""

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.runtime.files import written_whole

Plane = npt.NDArray[np.float32]
Colour = tuple[int, int, int]  # red, green, blue

# Of Okabe and Ito 2008, whom people of any colour vision tell apart; one a class.
COLOURS: list[Colour] = [(230, 159, 0), (86, 180, 233), (204, 121, 167), (0, 158, 115)]

IMAGES_DRAWN = 16
# Pixels: the longer side of an image, the space around it, a line of text, a character of it.
PANEL, GAP, LINE, CHARACTER = 240, 8, 18, 6


def save_first_batch(
    config: Config,
    fold: int,
    names: Sequence[str],
    images: Tensor,
    masks: Tensor,
    classes: list[str],
) -> Path:
    """The path of a picture: a batch's first images as the network gets them, masks in outline.

    Images (n, channels, height, width) 0..255, of which the first channel is drawn, and masks (n,
    classes, height, width) 0..1; uint8, or float after mixing; on any device. A label's share in a
    mixture is the strength of its outline. The same input gives the same bytes.
    """
    grey, layers = (t[:IMAGES_DRAWN].float().cpu().numpy() for t in (images[:, 0], masks))
    shown = [outlined(image, mask) for image, mask in zip(grey, layers, strict=True)]
    height, width = shown[0].shape[:2]
    columns = math.ceil(math.sqrt(len(shown)))
    rows = math.ceil(len(shown) / columns)
    size = (columns * (width + GAP) + GAP, LINE + rows * (height + LINE + GAP) + LINE)
    page = Image.new("RGB", (max(size[0], 3 * PANEL // 2), size[1]), "white")
    more = f": {len(shown)} of {len(images)} images" if len(images) > len(shown) else ""
    _write(page, GAP, 0, f"fold {fold}, first training batch{more}")
    for number, (name, picture) in enumerate(zip(names, shown, strict=False)):
        row, column = divmod(number, columns)
        left, top = GAP + column * (width + GAP), LINE + row * (height + LINE + GAP)
        page.paste(Image.fromarray(picture), (left, top))
        _write(page, left, top + height, _shortened(name, max(width // CHARACTER, 8)))
    if len(classes) > 1:
        for number, name in enumerate(classes):
            _write(page, GAP + number * PANEL // 3, size[1] - LINE, name, _of_class(number))
    path = Run.of(config).first_batch(fold)
    with written_whole(path) as file:
        page.save(file, format="png", compress_level=3)  # speckle hardly gets smaller with more
    return path


def outlined(image: Plane, masks: Plane) -> npt.NDArray[np.uint8]:
    """RGB, its longer side PANEL. Image (height, width) 0..255, masks (classes, height, width)."""
    scale = PANEL / max(image.shape)
    size = max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST_EXACT
    grey = cv2.resize(image.round().astype(np.uint8), size, interpolation=how)
    picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    for number, mask in enumerate(masks):
        shares = cv2.resize(mask.round(1), size, interpolation=cv2.INTER_NEAREST_EXACT)
        for share in np.unique(shares[shares > 0]).tolist():
            lines, _ = cv2.findContours(
                (shares >= share).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
            )
            drawn = cv2.drawContours(picture.copy(), lines, -1, _of_class(number), 1)
            picture = cv2.addWeighted(drawn, share, picture, 1 - share, 0)
    return np.asarray(picture, dtype=np.uint8)


def _of_class(number: int) -> Colour:
    return COLOURS[number % len(COLOURS)]


def _shortened(name: str, room: int) -> str:
    return name if len(name) <= room else f"…{name[1 - room :]}"


def _write(page: Image.Image, left: int, top: int, words: str, ink: Colour = (0, 0, 0)) -> None:
    ImageDraw.Draw(page).text((left, top + 2), words, ink, ImageFont.load_default(11))
