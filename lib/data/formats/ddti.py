"""DDTI's .xml file a patient -> the labels of each image.

Format: of the Digital Database of Thyroid Ultrasound Images. Patient 12 has 12.xml, and the images
12_1.jpg, 12_2.jpg, ...; each <mark> has the number of an image and, as JSON, its outlines.
"""

import json
from pathlib import Path
from xml.etree.ElementTree import Element

from lib.config.fields import Config
from lib.data.formats.parts.classes import joined
from lib.data.formats.parts.collect import draw, errors_of, no_mask
from lib.data.formats.parts.images import image_of, size_of
from lib.data.formats.parts.polygon import filled
from lib.data.formats.parts.xml_in import XmlError, root_of
from lib.data.label import ONE_CLASS, Label, Labels
from lib.data.pictures.arrays import ImageFile
from lib.data.pictures.tree import Tree, tree_of

NAME = "DDTI"


def find(tree: Tree) -> Path | None:
    return tree.root if any(_case(path) is not None for path in tree.ending(".xml")) else None


def read(path: Path, files: dict[str, ImageFile], config: Config) -> Labels:
    """Outlines drawn by hand; a mark without one is an error, as nobody outlined the nodule."""
    by_image: dict[str, Label] = {}
    for file in tree_of(path).ending(".xml"):
        if (case := _case(file)) is None:
            continue
        for mark in case.iter("mark"):
            name = f"{file.stem}_{mark.findtext('image', '').strip()}"
            image = image_of(str(file.with_name(name)), files)
            label = by_image.setdefault(image, Label(subject=file.stem, ours=True))
            if image in files:
                with errors_of(label):
                    _outline(label, mark.findtext("svg", "").strip(), size_of(files[image]))
    return joined(by_image, path)


def _case(path: Path) -> Element | None:
    try:
        root = root_of(path)
    except XmlError:
        return None
    return root if root.tag == "case" and root.find("mark") is not None else None


def _outline(label: Label, svg: str, size: tuple[int, int]) -> None:
    label.size = size
    if not (shapes := json.loads(svg or "[]")):
        raise ValueError("a mark of it has no outline")
    for shape in shapes:
        if (kind := shape.get("regionType", "freehand")) not in ("freehand", "polygon"):
            raise no_mask(kind)
        points = [(point["x"], point["y"]) for point in shape["points"]]
        draw(label, ONE_CLASS, filled(points, size))
