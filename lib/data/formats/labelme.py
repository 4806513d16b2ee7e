"""LabelMe's .json file an image -> the labels of each image.

Format: https://github.com/wkentaro/labelme, labelme/_label_file.py.
"""

import base64
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lib.config.fields import Config
from lib.data.formats.collect import draw, enter, errors_of, joined, json_of, jsons_with, no_mask
from lib.data.formats.images import image_of, size_of
from lib.data.formats.polygon import ellipse, filled
from lib.data.label import Label, Labels
from lib.data.pictures.arrays import ImageFile
from lib.data.pictures.rasters import DAMAGED
from lib.data.pictures.tree import Tree, tree_of
from lib.rle import Mask

NAME = "LabelMe"


def find(tree: Tree) -> Path | None:
    found = jsons_with(tree, "shapes", "imagePath")
    return tree.root if any(_is_labelme(content) for _, content in found) else None


def read(path: Path, files: dict[str, ImageFile], config: Config) -> Labels:
    """Polygons, circles and masks; an image without shapes has an empty mask."""
    by_image: dict[str, Label] = {}
    for file in tree_of(path).ending(".json"):
        content = json_of(file)
        if not _is_labelme(content):
            continue
        label = Label(ours=True)
        image = image_of(str(file.parent / content["imagePath"]), files)
        enter(by_image, image, label)
        with errors_of(label):
            if size := _size(content, files.get(image)):
                label.size = size
                for shape in content["shapes"]:
                    draw(label, str(shape["label"]), _mask(shape, size))
    return joined(by_image, path)


def _is_labelme(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and isinstance(content.get("shapes"), list)
        and isinstance(content.get("imagePath"), str)
    )


def _size(content: dict[str, Any], file: ImageFile | None) -> tuple[int, int] | None:
    """None where neither LabelMe tells it, as old ones do not, nor the picture is there."""
    if content.get("imageHeight") and content.get("imageWidth"):
        return int(content["imageHeight"]), int(content["imageWidth"])
    return size_of(file) if file else None


def _mask(shape: dict[str, Any], size: tuple[int, int]) -> Mask:
    kind = shape.get("shape_type") or "polygon"  # the oldest had no other
    points = shape["points"]
    if kind == "polygon":
        return filled(points, size)
    if kind == "circle":
        (x, y), on_it = points
        radius = math.dist((x, y), on_it)
        return filled(ellipse(x, y, radius, radius), size)
    if kind == "mask":
        return _pasted(shape["mask"], points[0], size)
    raise no_mask("box" if kind == "rectangle" else kind)


def _pasted(picture: str, corner: list[float], size: tuple[int, int]) -> Mask:
    """A mask's PNG, whose first pixel is the image's pixel at `corner`."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
            part = np.asarray(image) > 0
    except DAMAGED as error:
        raise ValueError(f"its mask is no PNG: {error}") from None
    left, top = int(corner[0]), int(corner[1])
    mask = np.zeros(size, dtype=np.uint8)
    place = mask[top : top + part.shape[0], left : left + part.shape[1]]
    if min(left, top) < 0 or place.shape != part.shape:
        raise ValueError("its mask leaves the image")
    place[:] = part
    return mask
