"""Pictures that are made of images, told by what they hold: overlays, heat maps, previews, copies.

    a_superpixels.png, a_overlay.png beside a.jpg · contours/a.png of images/a.png · TIF/a.tif

Such a picture has no mask of its own, and the name of an image in its own. It is passed over where
it is a copy of the image, drawn on or not, or a small one; where it colours a grey image; or where
it is a map of plain areas. A picture of no such kind stays an image.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from lib.data.masks.pairs import named_after, paired
from lib.data.pictures.arrays import Grey, ImageFile, UnusableImage, read_image, stem_of_path
from lib.data.pictures.greys import colours_of
from lib.data.pictures.rasters import opened

LOOKED_AT = 5  # pictures of a kind
MOST_ALIKE = 4  # folders that hold a picture of one name; people's folders are more
ROUNDED = 2  # values by which two files of one picture differ at most
LOSSY = 10.0  # in the mean where one is a JPEG
JPEG = (".jpg", ".jpeg")
NEAR = 12  # grey values
KEPT = 0.5  # of the image's pixels, without its background, are as they were
COLOURED = 32  # between the channels of a pixel that is not grey
PLAIN = 0.8  # of neighbours have one value, in a map of areas


class Extras(NamedTuple):
    """Pictures to pass over, each with the image that it is made of."""

    copies: dict[Path, Path]
    made: dict[Path, Path]

    @property
    def all(self) -> set[Path]:
        return {*self.copies, *self.made}

    def lines(self, without: str | None = None) -> list[str]:
        """What is passed over, for a person; of files not below the folder `without`."""
        said = []
        for what, found in (("copies in another format", self.copies), ("made", self.made)):
            told = [p for p in found if without is None or not p.is_relative_to(without)]
            if told:
                said.append(
                    f"passed over    {len(told)} pictures that are {what} of images, such as "
                    f"{told[0]} of {found[told[0]]}"
                )
        return said


def extras_among(images: Sequence[Path], masks: Collection[Path]) -> Extras:
    """Those of the pictures that are no images of their own; `masks` are the mask files."""
    copies = copies_among(images)
    rest = [path for path in images if path not in copies]
    return Extras(copies, dict(_made(rest, masks)))


def copies_among(paths: Iterable[Path]) -> dict[Path, Path]:
    """Files that hold the picture of another one, by their stem, in another format.

    All of a folder's pictures that share their name with one of another folder must be copies: two
    masks of nothing are alike by chance.
    """
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        by_stem[stem_of_path(path)].append(path)
    kinds: dict[tuple[Path, str, Path, str], dict[Path, Path]] = defaultdict(dict)
    for alike in by_stem.values():
        if not 1 < len(alike) <= MOST_ALIKE or len({path.suffix.lower() for path in alike}) == 1:
            continue
        first, *others = sorted(alike, key=lambda path: (path.suffix.lower() in JPEG, path))
        for path in others:
            if path.suffix.lower() != first.suffix.lower():
                kinds[first.parent, first.suffix, path.parent, path.suffix][path] = first
    return {
        path: first
        for pairs in kinds.values()
        if all(_same(first, path) for path, first in pairs.items())
        for path, first in pairs.items()
    }


@lru_cache(maxsize=1 << 16)
def _same(first: Path, second: Path) -> bool:
    one, other = _colours(first), _colours(second)
    if one is None or other is None or one.shape != other.shape:
        return False
    differ = np.abs(one.astype(np.int16) - other)
    if any(path.suffix.lower() in JPEG for path in (first, second)):
        return float(differ.mean()) <= LOSSY
    return int(differ.max()) <= ROUNDED


def _made(images: Sequence[Path], masks: Collection[Path]) -> Iterator[tuple[Path, Path]]:
    """Pictures named after an image, kind by kind, where those looked at are made of theirs."""
    with_mask = paired({str(p): ImageFile(p) for p in images}, map(ImageFile, masks)).by_image
    bare = [path for path in images if str(path) not in with_mask]
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in images:
        by_stem[stem_of_path(path)].append(path)
    kinds: dict[tuple[Path, str, Path], list[tuple[Path, Path]]] = defaultdict(list)
    for path in bare:
        for image, word in _images_in_name(path, by_stem):
            kinds[path.parent, word, image.parent].append((path, image))
    for pairs in kinds.values():
        step = max(1, len(pairs) // LOOKED_AT)
        if all(_is_made_of(*pair) for pair in pairs[::step][:LOOKED_AT]):
            yield from pairs


def _images_in_name(path: Path, by_stem: dict[str, list[Path]]) -> list[tuple[Path, str]]:
    """Images of its name in other folders; else those of its folder that it adds a word to."""
    stem = stem_of_path(path)
    alike = [other for other in by_stem[stem] if other.parent != path.parent]
    if alike:
        return [(other, "") for other in alike] if len(alike) < MOST_ALIKE else []
    for image, word in named_after(stem):
        near = [other for other in by_stem.get(image, []) if other.parent == path.parent]
        if word and near:
            return [(near[0], word)]
    return []


@lru_cache(maxsize=1 << 12)
def _is_made_of(path: Path, image: Path) -> bool:
    """Whether the picture is a drawing on the image, a small or a coloured one, or a map of it."""
    picture, own = _colours(path), _colours(image)
    if picture is None or own is None:
        return False
    (high, wide), (rows, columns) = picture.shape[:2], own.shape[:2]
    if abs(high / rows - wide / columns) > 0.05 * max(high / rows, wide / columns):
        return False
    if _plain(picture) >= max(PLAIN, _plain(own) + 0.2):
        return True
    size = (min(wide, columns), min(high, rows))
    picture, own = (cv2.resize(of, size, interpolation=cv2.INTER_AREA) for of in (picture, own))
    coloured, before = _coloured(picture), _coloured(own)
    grey, base = (cv2.cvtColor(of, cv2.COLOR_RGB2GRAY).astype(np.int16) for of in (picture, own))
    content = base != np.bincount(base.ravel()).argmax()
    kept = float((np.abs(grey - base) <= NEAR)[content].mean()) if content.any() else 0.0
    if kept >= KEPT:
        word = path.parent == image.parent
        return word or coloured > before or high < rows
    return before < 0.05 and coloured > 0.3


def _plain(picture: npt.NDArray[np.uint8]) -> float:
    """Share of the pixels whose neighbour is the same."""
    return float((picture[:, 1:] == picture[:, :-1]).all(axis=2).mean())


def _coloured(picture: npt.NDArray[np.uint8]) -> float:
    spread = picture.max(axis=2).astype(np.int16) - picture.min(axis=2)
    return float((spread > COLOURED).mean())


def _grey(path: Path) -> Grey | None:
    try:
        return read_image(ImageFile(path))
    except UnusableImage:
        return None


def _colours(path: Path) -> Any:
    """RGB, of grey and other pictures too."""
    try:
        return opened(path, colours_of)
    except UnusableImage:
        grey = _grey(path)
        return None if grey is None else cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
