"""YOLO segmentation: a .txt file an image, and a data.yaml or classes.txt -> the labels of each.

Format: https://docs.ultralytics.com/datasets/segment/. A line an outline: the number of its class,
then x and y of each point as shares of the image's width and height.
"""

import os
from collections import Counter
from pathlib import Path

import numpy as np

from lib.config.fields import Config
from lib.data.formats.parts.classes import joined
from lib.data.formats.parts.collect import draw, errors_of
from lib.data.formats.parts.images import image_of, name_of, size_of
from lib.data.formats.parts.polygon import filled
from lib.data.formats.parts.yolo_names import class_names, files_of_names
from lib.data.label import Label, Labels
from lib.data.pictures.arrays import ImageFile, composed, stem_of
from lib.data.pictures.tree import Tree, tree_of

NAME = "YOLO segmentation"
SLACK = 0.01  # of the image, for points that a tool rounded past its edge
NO_FILE = "has no .txt file (where that says that it shows nothing, set missing_mask=empty)"


def find(tree: Tree) -> Path | None:
    return tree.root if files_of_names(tree) and any(map(is_label, tree.ending(".txt"))) else None


def read(path: Path, files: dict[str, ImageFile], config: Config) -> Labels:
    """An empty .txt file is an empty mask, and none at all an error.

    But images of a folder in which none has a .txt file, such as those of the test set, are no part
    of the labels.
    """
    tree = tree_of(path if path.is_dir() else path.parent)
    names, texts = class_names(tree), [text.absolute() for text in tree.ending(".txt")]
    told = _told(files, texts)
    labelled = {file.path.parent for file, text in told.items() if text}
    other = {file: name for name, file in files.items()}
    by_image: dict[str, Label] = {}
    for file, text in told.items():
        if file.path.parent in labelled:
            label = by_image[name_of(file, files, other[file])] = Label(ours=True)
            with errors_of(label):
                _tell(label, text, size_of(file), names, config)
    for text in sorted(set(texts) - set(told.values())):
        if is_label(text):
            image = image_of(text.stem, files)
            label = by_image.setdefault(image, Label(ours=True))
            if image in files:
                label.error = f"{text} is named as the image too: keep one .txt file"
    return joined(by_image, path, names[min(names)])


def _told(files: dict[str, ImageFile], texts: list[Path]) -> dict[ImageFile, Path | None]:
    """The .txt file of each: in labels/ where it is in images/, beside it, or the one so named."""
    named = Counter(composed(text.stem) for text in texts)
    alike = Counter(stem_of(file) for file in set(files.values()))
    alone = {
        stem: text for text in texts if named[stem := composed(text.stem)] == 1 and alike[stem] <= 1
    }
    there = set(texts)
    told: dict[ImageFile, Path | None] = {}
    for file in files.values():
        beside = file.path.absolute().with_name(f"{stem_of(file)}.txt")
        head, images, tail = str(beside).rpartition(f"{os.sep}images{os.sep}")
        parallel = Path(f"{head}{os.sep}labels{os.sep}{tail}" if images else beside)
        found = [text for text in (parallel, beside) if text in there]
        told[file] = found[0] if found else alone.get(stem_of(file))
    return told


def _tell(
    label: Label, text: Path | None, size: tuple[int, int], names: dict[int, str], config: Config
) -> None:
    label.size = size
    if text is None:
        if config.missing_mask != "empty":
            label.error = NO_FILE
        return
    for line in filter(str.strip, text.read_text(encoding="utf-8-sig").splitlines()):
        number, *values = map(float, line.split())
        if len(values) == 4:
            raise ValueError("a line of 5 numbers is a box, and a box is no mask")
        if number not in names:
            raise ValueError(f"class {number:g} has no name in the data.yaml or classes.txt")
        points = np.reshape(values, (-1, 2))
        if points.size and not (points.min() >= -SLACK and points.max() <= 1 + SLACK):
            raise ValueError("its points are not shares of the image's size, from 0 to 1")
        draw(label, names[int(number)], filled(points * size[::-1], size))


def is_label(path: Path) -> bool:
    """By its first line: a class, and shares of a size."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            number, *values = map(float, file.readline().split())
    except (OSError, ValueError):
        return False
    return number.is_integer() and len(values) >= 4 and all(-1 <= value <= 2 for value in values)
