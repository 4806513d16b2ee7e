"""LabelMe's folders a_json/, one an image, as labelme_export_json writes them -> the labels.

Each holds img.png, label.png with a number a class, and label_names.txt with a name a line, of
number 0 the first. The numbers of one folder may mean other classes than those of the next.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from lib.config.fields import Config
from lib.data.formats import labelme
from lib.data.formats.parts.classes import is_no_class, joined
from lib.data.formats.parts.collect import draw, enter, errors_of
from lib.data.formats.parts.images import image_of
from lib.data.label import Label, Labels, require_size
from lib.data.pictures.arrays import ImageFile
from lib.data.pictures.rasters import DAMAGED
from lib.data.pictures.tree import Tree, tree_of

NAME = "LabelMe's folders"
NAMES, NUMBERS, PICTURE = "label_names.txt", "label.png", "img.png"


def find(tree: Tree) -> Path | None:
    """None where LabelMe's own files, of which the folders are made, are there too."""
    return tree.root if _folders(tree) and not labelme.find(tree) else None


def read(path: Path, files: dict[str, ImageFile], config: Config) -> Labels:
    """The image is img.png in the folder or, where there is none, that which the folder names."""
    by_image: dict[str, Label] = {}
    for folder in _folders(tree_of(path)):
        inside = folder / PICTURE
        told = inside if inside.is_file() else folder.with_name(folder.name.removesuffix("_json"))
        label = Label(ours=True)
        enter(by_image, image_of(str(told), files), label)
        with errors_of(label):
            _draw_all(label, folder)
    return joined(by_image, path)


def _folders(tree: Tree) -> list[Path]:
    there = set(tree.files)
    return [
        path.parent
        for path in tree.files
        if path.name == NAMES and path.with_name(NUMBERS) in there
    ]


def _draw_all(label: Label, folder: Path) -> None:
    names = (folder / NAMES).read_text(encoding="utf-8-sig").splitlines()
    try:
        with Image.open(folder / NUMBERS) as image:
            require_size((image.height, image.width))
            values = np.asarray(image)  # not the colours of its palette
    except DAMAGED as error:
        raise ValueError(f"{NUMBERS} is no picture: {error}") from None
    height, width = values.shape
    label.size = (height, width)
    if values.max() >= len(names):
        raise ValueError(f"{NUMBERS} has the number {values.max()}, {NAMES} {len(names)} names")
    for number, name in enumerate(names):
        if not is_no_class(name) and (mask := values == number).any():
            draw(label, name, mask)
