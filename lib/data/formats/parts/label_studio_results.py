"""What Label Studio tells about one picture: its name, and the regions drawn in it.

All lengths are in percent of the picture's size.
"""

import base64
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from lib.data.formats.parts import collect
from lib.data.formats.parts.brush import unpacked
from lib.data.formats.parts.images import image_of
from lib.data.formats.parts.pasted import pasted, picture_mask
from lib.data.formats.parts.polygon import ellipse, filled
from lib.data.label import Label
from lib.data.pictures.arrays import PICTURE_SUFFIXES, ImageFile
from lib.data.pictures.volumes import suffix_of
from lib.rle import Mask

OF_THE_WHOLE_IMAGE = {"choices", "textarea", "rating", "number", "datetime", "taxonomy", "labels"}
ASKED_FOR = re.compile(r"\?(?:d|filepath)=")  # how its addresses of local files go on


def image_told(data: dict[str, Any], files: dict[str, ImageFile]) -> tuple[str, str]:
    """The image that a task's values name, and what is wrong where they name several that exist."""
    values = [value for told in data.values() for value in (told if type(told) is list else [told])]
    names = [_name_in(value) for value in values if isinstance(value, str)]
    pictures = [name for name in names if suffix_of(Path(name)) in PICTURE_SUFFIXES] or names
    images = list(dict.fromkeys(image_of(name, files) for name in pictures)) or [""]
    there = [image for image in images if image in files] or images
    if len(there) == 1 or there[0] not in files:
        return there[0], ""
    return there[0], f"its task names {there[1]} too: make a task for each image"


def _name_in(address: str) -> str:
    """A path, of an address without what else it asks for."""
    if hidden := re.search(r"[?&]fileuri=([\w-]+)", address):
        address = base64.urlsafe_b64decode(hidden[1] + "==").decode()
    return ASKED_FOR.split(unquote(address))[-1].partition("?")[0]


def draw_regions(label: Label, results: list[dict[str, Any]]) -> None:
    """Adds what was drawn to the label. Raises what `collect.errors_of` catches."""
    classes = {r["id"]: _classes(r) for r in results if "id" in r and _classes(r)}
    for result in results:
        if result["type"] in OF_THE_WHOLE_IMAGE or "value" not in result:  # such as a relation
            continue
        size = int(result["original_height"]), int(result["original_width"])
        if result.get("image_rotation") or label.size not in (None, size):
            raise ValueError("it was drawn on a turned picture, or on one of another size")
        if result.get("item_index"):
            raise ValueError("it was drawn on the second of several pictures")
        label.size = size
        mask = _mask(result, size)
        for name in _classes(result) or classes.get(result.get("id"), [""]):
            collect.draw(label, name, mask)


def _classes(result: dict[str, Any]) -> list[str]:
    """In a value such as `polygonlabels`, or `labels` in a result of its own of the same id."""
    value = result.get("value", {})
    return [name for key, names in value.items() if key.endswith("labels") for name in names]


def _mask(result: dict[str, Any], size: tuple[int, int]) -> Mask:
    value, kind = result["value"], result["type"].removesuffix("labels")
    percent = np.array(size[::-1]) / 100
    if kind == "polygon":
        return filled(np.asarray(value["points"], dtype=np.float64) * percent, size)
    if kind == "ellipse":
        x, y = (value["x"], value["y"]) * percent
        across, down = (value["radiusX"], value["radiusY"]) * percent
        return filled(ellipse(x, y, across, down, value.get("rotation", 0)), size)
    if kind == "brush":
        return unpacked(value["rle"], size)
    if kind == "bitmask":
        part = picture_mask(base64.b64decode(value["imageDataURL"].partition(",")[2]))
        if part.shape != size:
            raise ValueError(f"its mask has {part.shape} pixels, and not {size}")
        return pasted(part, 0, 0, size)
    raise collect.no_mask("box" if kind == "rectangle" else kind)
