"""VGG Image Annotator: a project, or the regions as JSON or CSV -> the labels of each image.

Format: https://www.robots.ox.ac.uk/~vgg/software/via/.
"""

import math
from pathlib import Path
from typing import Any

from lib.config.fields import Config
from lib.data.formats.parts import collect
from lib.data.formats.parts.classes import joined
from lib.data.formats.parts.images import image_of, size_of
from lib.data.formats.parts.polygon import ellipse, filled
from lib.data.formats.parts.via_entries import Entry, entries_of, files_of
from lib.data.label import Label, Labels
from lib.data.pictures.arrays import ImageFile
from lib.data.pictures.tree import Tree, tree_of
from lib.rle import Mask
from lib.runtime.errors import InputError

NAME = "VGG Image Annotator"


def find(tree: Tree) -> Path | None:
    return collect.one_or_root(tree, files_of(tree))


def read(path: Path, files: dict[str, ImageFile], config: Config) -> Labels:
    """Polygons, ellipses and circles; an image without regions has an empty mask.

    The class is the regions' one attribute, or that which class_name_column names.
    """
    by_image: dict[str, Label] = {}
    for file in files_of(tree_of(path)) if path.is_dir() else [path]:
        entries = entries_of(file)
        if entries is None:
            raise InputError(f"{file}: not a project or an export of regions of {NAME}")
        attribute = _attribute(entries, file, config)
        for entry in entries:
            label = Label(ours=True)
            image = image_of(str(file.parent / str(entry["filename"])), files)
            collect.enter(by_image, image, label)
            if image not in files:  # and with it its size
                continue
            with collect.errors_of(label):
                label.size = size_of(files[image])
                for region in _regions(entry):
                    mask = _mask(region["shape_attributes"], label.size)
                    for name in _classes(_attributes(region).get(attribute)):
                        collect.draw(label, name, mask)
    return joined(by_image, path)


def _regions(entry: Entry) -> list[dict[str, Any]]:
    """Version 1 numbered them."""
    regions = entry["regions"] or []
    return list(regions.values()) if isinstance(regions, dict) else regions


def _attributes(region: dict[str, Any]) -> dict[str, Any]:
    return region.get("region_attributes") or {}


def _attribute(entries: list[Entry], path: Path, config: Config) -> str:
    """The attribute that tells the class of a region; "" where regions have none."""
    told = [_attributes(region) for entry in entries for region in _regions(entry)]
    names = sorted({name for attributes in told for name, value in attributes.items() if value})
    if config.class_name_column in names:
        return config.class_name_column
    if len(names) > 1:
        raise InputError(
            f"{path}: its regions have the attributes {', '.join(names)}: set class_name_column to "
            "the one that tells the class"
        )
    return names[0] if names else ""


def _classes(value: Any) -> list[str]:
    """A checkbox tells several, as {name: true}; "" where nothing is told."""
    if isinstance(value, dict):
        return [name for name, ticked in value.items() if ticked] or [""]
    return [str(value or "")]


def _mask(shape: dict[str, Any], size: tuple[int, int]) -> Mask:
    kind = shape["name"]
    if kind == "polygon":
        return filled(list(zip(shape["all_points_x"], shape["all_points_y"], strict=True)), size)
    if kind == "circle":
        return filled(ellipse(shape["cx"], shape["cy"], shape["r"], shape["r"]), size)
    if kind == "ellipse":
        turned = math.degrees(shape.get("theta", 0))
        x, y, across, down = (float(shape[key]) for key in ("cx", "cy", "rx", "ry"))
        return filled(ellipse(x, y, across, down, turned), size)
    raise collect.no_mask("box" if kind == "rect" else kind)
