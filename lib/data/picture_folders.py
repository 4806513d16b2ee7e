"""Folders of pictures and masks: which are which, told by what the pictures hold.

    images/a.png masks/a.png · imgs/train/a.png annotations/train/a.png · p01/a.png p01/a_mask.png

A mask holds few values, a picture many. Names of folders are asked for nothing but the test set.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from os.path import commonpath
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lib.data.mask_values import MOST_VALUES, drawn
from lib.data.pairs import beside, paired
from lib.data.pictures import ImageFile, UnusableImage, images_of_file, is_picture, stem_of
from lib.data.tree import Tree

NAME = "folders of pictures and masks"
LOOKED_AT = 5  # pictures of a folder
TEST = re.compile(r"(?<![a-z])test(ing|s|set)?(?![a-z])|Ts$", re.IGNORECASE)


class Sorted(NamedTuple):
    """The pictures below a folder."""

    images: list[Path]
    masks: list[Path]


def find(tree: Tree, one_reading: bool = True) -> dict[str, str]:
    """The data settings of a folder that holds images and their masks; {} where it does not.

    Raises ValueError where two folders of masks fit the same images, if only `one_reading` will do.
    """
    images, masks = sorted_out(tree)
    test = [path for path in images if is_of_test(path, tree.root)]
    images = [path for path in images if path not in set(test)]
    of_test = [path for path in masks if is_of_test(path, tree.root)]
    masks = [path for path in masks if path not in set(of_test)]
    if not images or not masks:
        return {}
    by_path = {str(path): ImageFile(path) for path in images}
    used = set(masks) - set(paired(by_path, map(ImageFile, masks)).unused)
    if len(used) * 2 < len(masks):
        return {}
    if one_reading:
        _require_one_reading(by_path, masks, tree.root)
    found = {"data_folder": _common(images), "mask_folder": _common(used)}
    if test:
        found["data_folder_test"] = _common(test)
    if test and of_test and _common(of_test) != _common(test):
        found["mask_folder_test"] = _common(of_test)
    return {name: str(folder) for name, folder in found.items()}


def sorted_out(tree: Tree) -> Sorted:
    """The pictures of a tree, images and masks apart."""
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in tree.files:
        if is_picture(path):
            by_folder[path.parent].append(path)
    images: list[Path] = []
    masks: list[Path] = []
    for paths in by_folder.values():
        added = beside([stem_of(ImageFile(path)) for path in paths])
        own = [path for path in paths if stem_of(ImageFile(path)) in added]
        rest = [path for path in paths if stem_of(ImageFile(path)) not in added]
        own_are_masks = bool(own) and _are_masks(own)
        for group, known in ((rest, False), (own, own_are_masks)):
            (masks if known or _are_masks(group) else images).extend(group)
    return Sorted(images, masks)


def is_of_test(path: Path, root: Path) -> bool:
    """Whether a folder of the path says so: test, testing, imagesTs."""
    parts = path.parent.relative_to(root).parts
    return any(TEST.search(part) for part in parts)


def _are_masks(paths: Sequence[Path]) -> bool:
    """Whether most of those looked at hold few values, and one of them a shape."""
    step = max(1, len(paths) // LOOKED_AT)
    values = [_values(path, path.stat().st_mtime_ns) for path in paths[::step][:LOOKED_AT]]
    return sum(0 < count <= MOST_VALUES for count in values) * 2 > len(values)


@lru_cache(maxsize=4096)
def _values(path: Path, _modified: int) -> int:
    """How many values a mask file holds; 0 for a picture that is no mask."""
    try:
        mask = drawn(images_of_file(path)[0])
    except UnusableImage:
        return 0
    covered = sum(sum(map(int, text.split()[1::2])) for text in mask.runs.values())
    return 0 if mask.soft and covered > 0.98 * np.prod(mask.shape) else 1 + len(mask.runs)


def _require_one_reading(
    images: Mapping[str, ImageFile], masks: Iterable[Path], root: Path
) -> None:
    """ValueError where folders that stand side by side at the top both hold every image's mask."""
    by_top: dict[str, list[Path]] = defaultdict(list)
    for path in masks:
        parts = path.relative_to(root).parts
        by_top[parts[0] if len(parts) > 1 else ""].append(path)
    taken: dict[str, str] = {}
    for top, paths in by_top.items():
        for name in paired(images, map(ImageFile, paths)).by_image:
            if other := taken.get(name):
                raise ValueError(
                    f"{root / other} and {root / top} both hold masks of {Path(name).name}: set "
                    f"mask_folder={root / other} or mask_folder={root / top}"
                )
            taken[name] = top


def _common(paths: Iterable[Path]) -> Path:
    return Path(commonpath([path.parent for path in paths]))
