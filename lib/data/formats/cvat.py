"""CVAT for images 1.1 -> the labels of each image.

Format: https://docs.cvat.ai/docs/other/xml_format.
"""

from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from lib.config.fields import Config
from lib.data.formats.parts.classes import joined
from lib.data.formats.parts.collect import draw, enter, errors_of, no_mask, one_or_root
from lib.data.formats.parts.images import image_of
from lib.data.formats.parts.pasted import pasted
from lib.data.formats.parts.polygon import ellipse, filled
from lib.data.formats.parts.xml_in import XmlError, root_of
from lib.data.label import Label, Labels, require_size
from lib.data.pictures.arrays import ImageFile
from lib.data.pictures.tree import Tree, tree_of
from lib.rle import Mask
from lib.runtime.errors import InputError

NAME = "CVAT for images"
OF_THE_WHOLE_IMAGE = "tag"
BEGINNING = 1_000_000  # bytes of a file that are looked at


def find(tree: Tree) -> Path | None:
    return one_or_root(tree, _files(tree))


def read(path: Path, files: dict[str, ImageFile], config: Config) -> Labels:
    """Polygons, ellipses and masks; an image without shapes has an empty mask."""
    by_image: dict[str, Label] = {}
    for file in _files(tree_of(path)) if path.is_dir() else [path]:
        for element in _images(file):
            label = Label(ours=True)
            told = f"{element.get('subset', '')}/{element.get('name', '')}"  # as images/ holds them
            enter(by_image, image_of(str(file.parent / told.strip("/")), files), label)
            with errors_of(label):
                size = int(element.attrib["height"]), int(element.attrib["width"])
                label.size = size
                for shape in element:
                    if shape.tag != OF_THE_WHOLE_IMAGE:
                        draw(label, shape.attrib["label"], _mask(shape, size))
    return joined(by_image, path)


def _files(tree: Tree) -> list[Path]:
    return [path for path in tree.ending(".xml") if _is_cvat(path)]


def _is_cvat(path: Path) -> bool:
    """By the words ahead; _images tells what is wrong with the rest."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        beginning = file.read(BEGINNING)
    if b"<annotations" not in beginning and b"\0" not in beginning:
        return False
    try:
        root = root_of(path)
    except XmlError:
        return any(word in beginning for word in (b"<image ", b"<track "))
    return root.tag == "annotations" and any(one.tag in ("image", "track") for one in root)


def _images(path: Path) -> list[Element]:
    try:
        root = root_of(path)
    except XmlError as error:
        raise InputError(str(error)) from None
    if root.find("track") is not None:
        raise InputError(f"{path}: holds a video's tracks: export it as CVAT for images 1.1")
    return root.findall("image")


def _mask(shape: Element, size: tuple[int, int]) -> Mask:
    told = shape.attrib
    if shape.tag == "polygon":
        return filled([pair.split(",") for pair in told["points"].split(";")], size)
    if shape.tag == "ellipse":
        x, y, radius_x, radius_y = (float(told[key]) for key in ("cx", "cy", "rx", "ry"))
        return filled(ellipse(x, y, radius_x, radius_y, float(told.get("rotation", 0))), size)
    if shape.tag == "mask":
        return _unrolled(told, size)
    raise no_mask(shape.tag)


def _unrolled(told: dict[str, str], size: tuple[int, int]) -> Mask:
    """Run lengths, row by row in a box of its own, in turn of pixels outside and inside."""
    left, top, width, height = (int(told[key]) for key in ("left", "top", "width", "height"))
    require_size((height, width))
    lengths = [int(word) for word in told["rle"].split(",")]
    if min(lengths) < 0:
        raise ValueError("one of its run lengths is below 0")
    if sum(lengths) != width * height:
        raise ValueError(f"its run lengths cover {sum(lengths)} of {width * height} pixels")
    part = np.repeat(np.arange(len(lengths)) % 2, lengths).reshape(height, width)
    return pasted(part, left, top, size)
