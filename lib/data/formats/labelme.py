"""LabelMe's .json file an image -> the labels of each image.

Format: https://github.com/wkentaro/labelme, labelme/_label_file.py.
"""

import base64
import math
from pathlib import Path
from typing import Any

import numpy as np

from lib.config.fields import Config
from lib.data.formats.parts.classes import is_no_class, joined
from lib.data.formats.parts.collect import draw, enter, errors_of, json_of, jsons_with, no_mask
from lib.data.formats.parts.images import image_of, size_of
from lib.data.formats.parts.pasted import pasted, picture_mask
from lib.data.formats.parts.polygon import ellipse, filled
from lib.data.label import Label, Labels
from lib.data.pictures.arrays import ImageFile
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
                _draw_all(label, content["shapes"], size)
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


def _draw_all(label: Label, shapes: list[dict[str, Any]], size: tuple[int, int]) -> None:
    """Later shapes lie above: one named _background_ is a hole in those before it."""
    masks: dict[str, Mask] = {}
    for shape in shapes:
        name, mask = str(shape["label"]).strip(), _mask(shape, size)
        if is_no_class(name):
            for other in masks.values():
                other[mask > 0] = 0
        else:
            masks[name] = np.maximum(mask, masks.get(name, mask))
    for name, mask in masks.items():
        draw(label, name, mask)


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
        part = picture_mask(base64.b64decode(shape["mask"]))
        return pasted(part, int(points[0][0]), int(points[0][1]), size)
    raise no_mask("box" if kind == "rectangle" else kind)
