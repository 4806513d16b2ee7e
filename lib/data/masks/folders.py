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

from lib.data.masks.extras import Extras, copies_among, extras_among
from lib.data.masks.pairs import beside, paired
from lib.data.masks.values import MOST_VALUES, drawn
from lib.data.pictures.arrays import ImageFile, UnusableImage, images_of_file, is_picture, stem_of
from lib.data.pictures.tree import Tree, require_printable

NAME = "folders of pictures and masks"
LOOKED_AT = 5  # pictures of a folder
MOST_KINDS = 4  # of pictures in one folder
# Folders of pictures that are made of images and masks, and Pascal VOC's second kind of masks.
SHOWN = re.compile(
    r"overlay|preview|visuali[sz]|thumb|blend|SegmentationObject|SegmentationClassNpy",
    re.IGNORECASE,
)
TEST = re.compile(r"(?<![a-z])test(ing|s|set)?(?![a-z])|Ts$", re.IGNORECASE)


class Sorted(NamedTuple):
    """The pictures below a folder."""

    images: list[Path]
    masks: list[Path]
    extras: Extras  # pictures that are neither


def find(tree: Tree, one_reading: bool = True) -> dict[str, str]:
    """The data settings of a folder that holds images and their masks; {} where it does not.

    Raises ValueError where two folders of masks fit the same images, if only `one_reading` will do.
    """
    images, masks, _ = sorted_out(tree)
    test = [path for path in images if is_of_test(path, tree.root)]
    of_test = [path for path in masks if is_of_test(path, tree.root)]
    if len(test) < len(images):  # else the folder that is called so is all there is
        images = sorted(set(images) - set(test))
        masks = sorted(set(masks) - set(of_test))
    else:
        test, of_test = [], []
    if not images or not masks:
        return {}
    by_path = {str(path): ImageFile(path) for path in images}
    pairs = paired(by_path, map(ImageFile, masks))
    used = set(masks) - set(pairs.unused)
    if len(used) * 2 < len(masks):
        return {}
    if one_reading:
        _require_one_reading(by_path, masks)
    with_masks = {Path(name).parent for name in pairs.by_image}
    images = [path for path in images if path.parent in with_masks]
    found = {"data_folder": _common(images), "mask_folder": _common(used)}
    if test:
        found["data_folder_test"] = _common(test)
    if test and of_test:
        found["mask_folder_test"] = _common(of_test)
    return {name: str(folder) for name, folder in found.items()}


def sorted_out(tree: Tree) -> Sorted:
    """The pictures of a tree, images and masks apart."""
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in tree.files:
        if is_picture(path):
            require_printable(path)
            by_folder[path.parent].append(path)
    shown = {folder for folder in by_folder if SHOWN.search(folder.name)}
    images: list[Path] = []
    masks: list[Path] = []
    for folder in by_folder.keys() - (shown if len(shown) < len(by_folder) else set()):
        for group in _kinds(by_folder[folder]):
            (masks if _are_masks(group) else images).extend(group)
    copies = copies_among(masks)
    masks = sorted(set(masks) - copies.keys())
    extras = extras_among(sorted(images), masks)
    return Sorted(
        sorted(set(images) - extras.all),
        masks,
        extras._replace(copies=copies | extras.copies),
    )


def _kinds(paths: Sequence[Path]) -> list[list[Path]]:
    """The pictures of one folder, those named in another way apart: a.png and a_mask.png."""
    stems = {stem_of(ImageFile(path)): path for path in paths}
    added = beside(stems)
    if added:
        rest = [path for stem, path in stems.items() if stem not in added]
        return [rest, [stems[stem] for stem in added]]
    by_form: dict[str, list[Path]] = defaultdict(list)
    for stem, path in stems.items():
        by_form[_form(stem)].append(path)
    return list(by_form.values()) if 1 < len(by_form) <= MOST_KINDS else [list(paths)]


def _form(stem: str) -> str:
    """img of img_1, mask of 1_2-mask: the words around the numbers."""
    first, *_, last = re.split(r"\d+", stem) if re.search(r"\d", stem) else ("", stem)
    word = re.split(r"[^A-Za-z]+", last)[-1] if last else ""
    return f"{first}#{word}"


def is_of_test(path: Path, root: Path) -> bool:
    """Whether a folder of the path says so: test, testing, imagesTs."""
    parts = path.parent.relative_to(root).parts
    return any(TEST.search(part) for part in parts)


def _are_masks(paths: Sequence[Path]) -> bool:
    """Whether most of those looked at hold few values, and one of them a shape."""
    step = max(1, len(paths) // LOOKED_AT)
    looked_at = [path for path in paths[::step][:LOOKED_AT] if path.is_file()]
    values = [_values(path, path.stat().st_mtime_ns) for path in looked_at]
    return sum(0 < count <= MOST_VALUES for count in values) * 2 > len(values)


@lru_cache(maxsize=4096)
def _values(path: Path, _modified: int) -> int:
    """How many values a mask file holds; 0 for a picture that is no mask."""
    try:
        frames = images_of_file(path)
        mask = drawn(frames[len(frames) // 2])
    except UnusableImage:
        return 0
    covered = sum(sum(map(int, text.split()[1::2])) for text in mask.runs.values())
    return 0 if mask.soft and covered > 0.98 * np.prod(mask.shape) else 1 + len(mask.runs)


def _require_one_reading(images: Mapping[str, ImageFile], masks: Iterable[Path]) -> None:
    """ValueError where two folders of masks fit the same images and are no folders of classes.

    Those stand in a folder that holds masks alone.
    """
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in masks:
        by_folder[path.parent].append(path)
    places = [file.path for file in images.values()]
    taken: dict[str, Path] = {}
    for folder, paths in by_folder.items():
        for name in paired(images, map(ImageFile, paths)).by_image:
            other = taken.setdefault(name, folder)
            above = _common([folder / "_", other / "_"])
            if other != folder and any(above in place.parents for place in places):
                raise ValueError(
                    f"{other} and {folder} both hold masks of {Path(name).name}: set "
                    f"mask_folder={other} or mask_folder={folder}"
                )


def _common(paths: Iterable[Path]) -> Path:
    return Path(commonpath([path.parent for path in paths]))
