"""Supervisely's .json file an image -> the labels of each image.

Format: https://docs.supervisely.com/customization-and-integration/00_ann_format_navi. The image of
DATASET/ann/a.png.json is DATASET/img/a.png.
"""

import base64
import zlib
from pathlib import Path
from typing import Any

from lib.config.fields import Config
from lib.data.formats.parts.classes import joined
from lib.data.formats.parts.collect import draw, enter, errors_of, json_of, jsons_with, no_mask
from lib.data.formats.parts.images import image_of
from lib.data.formats.parts.pasted import pasted, picture_mask
from lib.data.formats.parts.polygon import filled
from lib.data.label import Label, Labels
from lib.data.pictures.arrays import ImageFile
from lib.data.pictures.dicom import MOST_PIXELS
from lib.data.pictures.tree import Tree, tree_of
from lib.rle import Mask

NAME = "Supervisely"
IMAGES = "img"


def find(tree: Tree) -> Path | None:
    found = jsons_with(tree, "objects", "size")
    return tree.root if any(_is_supervisely(content) for _, content in found) else None


def read(path: Path, files: dict[str, ImageFile], config: Config) -> Labels:
    """Polygons with their holes, and bitmaps; an image without objects has an empty mask."""
    by_image: dict[str, Label] = {}
    for file in tree_of(path).ending(".json"):
        content = json_of(file)
        if not _is_supervisely(content):
            continue
        label = Label(ours=True)
        enter(by_image, image_of(str(file.parent.parent / IMAGES / file.stem), files), label)
        with errors_of(label):
            size = int(content["size"]["height"]), int(content["size"]["width"])
            label.size = size
            for one in content["objects"]:
                draw(label, str(one["classTitle"]), _mask(one, size))
    return joined(by_image, path)


def _is_supervisely(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and isinstance(content.get("objects"), list)
        and isinstance(content.get("size"), dict)
        and {"height", "width"} <= content["size"].keys()
    )


def _mask(one: dict[str, Any], size: tuple[int, int]) -> Mask:
    kind = one.get("geometryType") or ("bitmap" if one.get("bitmap") else "polygon")
    if kind == "polygon":
        mask = filled(one["points"]["exterior"], size)
        for hole in one["points"].get("interior", []):
            mask &= 1 - filled(hole, size)
        return mask
    if kind == "bitmap":
        return _bitmap(one["bitmap"], size)
    raise no_mask("box" if kind == "rectangle" else kind)


def _bitmap(told: dict[str, Any], size: tuple[int, int]) -> Mask:
    try:
        picture = zlib.decompressobj().decompress(base64.b64decode(told["data"]), MOST_PIXELS)
    except zlib.error as error:
        raise ValueError(f"its bitmap cannot be unpacked: {error}") from None
    left, top = map(int, told["origin"])
    return pasted(picture_mask(picture), left, top, size)
