"""Which mask files are of which image: by their names and folders."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from lib.data.pictures.arrays import ImageFile, composed, stem_of, stem_of_path

CHANNEL = "_0000"  # nnU-Net's end of an image's name, which its mask lacks
SEPARATORS = r"[^0-9A-Za-z]+"
# Words that say "this is a mask" and name no class.
MASK_WORDS = {
    *("mask", "masks", "m", "label", "labels", "lab", "seg", "segm", "segs", "segmentation"),
    *("gt", "truth", "groundtruth", "ground", "annotation", "annotations", "anno", "annot"),
    *("manual", "roi", "binary", "bin", "target", "lesion", "class", "object", "tumor"),
}


class Paired(NamedTuple):
    by_image: dict[str, dict[str, list[ImageFile]]]  # image, class ("": the only): its mask files
    classes_from: str  # what tells them, for a person
    unused: list[Path]  # masks of no image


def paired(images: Mapping[str, ImageFile], masks: Iterable[ImageFile]) -> Paired:
    """Each mask goes to the image of its name, or of its name without what is added to it.

    Added may be words before or after, such as mask_1.png, 1_mask.png, 1_mask_2.png. Where images
    of one name lie in several folders, the folders must agree but for those of masks alone, such
    as p01/images/1.png and p01/masks/1.png. Folders of masks, or the words that are added, are the
    classes where one image has masks in several.
    """
    masks = list(masks)
    index = _Index(images)
    found: dict[str, list[tuple[ImageFile, str, str]]] = defaultdict(list)  # mask, folder, word
    unused = []
    own = _folders(masks) - index.folders
    for mask in masks:
        if match := index.image_of(mask):
            name, added = match
            folder = "/".join(part for part in mask.path.parent.parts if part in own)
            found[name].append((mask, folder, _word(added)))
        else:
            unused.append(mask.path)
    by_folder, by_word = (_several(found, place) for place in (1, 2))
    place = 1 if by_folder else 2 if by_word else 0
    by_image: dict[str, dict[str, list[ImageFile]]] = {}
    for name, entries in found.items():
        classes = by_image.setdefault(name, {})
        for entry in entries:
            told = str(entry[place]).rpartition("/")[2] if place else ""
            classes.setdefault(told, []).append(entry[0])
    told_by = {0: "", 1: "the folders of the masks", 2: "the names of the mask files"}[place]
    return Paired(by_image, told_by, unused)


class _Index:
    """Images by their stem, and by how a mask may write it."""

    def __init__(self, images: Mapping[str, ImageFile]) -> None:
        self._by_stem: dict[str, list[tuple[str, set[str]]]] = defaultdict(list)
        self._by_part: dict[str, set[str]] = defaultdict(set)
        self._by_place: dict[Path, list[str]] = defaultdict(list)
        for name, file in images.items():
            stem = stem_of(file)
            folders = set(file.path.parent.parts)
            self._by_stem[stem].append((name, folders))
            if stem.endswith(CHANNEL):
                self._by_stem[stem.removesuffix(CHANNEL)].append((name, folders))
            for part in _parts(stem):
                self._by_part[part].add(stem)
            self._by_place[file.path.parent.parent].append(name)
        self.folders = _folders(images.values())

    def image_of(self, mask: ImageFile) -> tuple[str, str] | None:
        """The image's name, and what the mask's name has beside it."""
        frame = "" if mask.frame is None else f"_{mask.frame + 1}"
        whole = stem_of_path(mask.path)
        for name in (whole + frame, whole):  # pages of a mask may all be of one image
            if image := self._in_folder(name, mask.path):
                return image, ""
        for cut, added in _cut(whole):
            if image := self._in_folder(cut + frame, mask.path):
                return image, added
        for part in _parts(stem_of(mask)):
            stems = self._by_part[part]
            if len(stems) == 1 and (image := self._in_folder(next(iter(stems)), mask.path)):
                return image, ""
        beside = self._by_place.get(mask.path.parent.parent, [])
        a_folder_each = len(self._by_place) > 1 and len(beside) == 1
        return (beside[0], "") if a_folder_each else None

    def _in_folder(self, stem: str, mask: Path) -> str:
        candidates = self._by_stem.get(stem, [])
        if not candidates:
            return ""
        wanted = self.folders.intersection(mask.parent.parts)
        fits = [name for name, parts in candidates if wanted <= parts]
        return fits[0] if len(fits) == 1 else ""


def _parts(stem: str) -> list[str]:
    """What tells an image where the words around it differ: 0001-l of bus_0001-l and mask_0001-l.

    The name without zeros ahead of numbers; from its first digit on; up to its last; its first
    part.
    """
    plain = unpadded(stem)
    digits = [place for place, letter in enumerate(plain) if letter.isdigit()]
    parts = [plain]
    if digits:
        parts += [plain[digits[0] :], plain[: digits[-1] + 1]]
    return [*parts, re.split(SEPARATORS, plain)[0]]


def unpadded(name: str) -> str:
    """loop_0001 -> loop_1: numbers without leading zeros."""
    return re.sub(r"\d+", lambda number: str(int(number[0])), name)


def _folders(files: Iterable[ImageFile]) -> set[str]:
    return {part for file in files for part in file.path.parent.parts}


def _cut(stem: str) -> Iterator[tuple[str, str]]:
    """The stem, then shorter ones: without words at its end, then without words at its start."""
    yield stem, ""
    cuts = [match.span() for match in re.finditer(SEPARATORS, stem)]
    for begin, end in reversed(cuts):
        if stem[begin] in ")]}":
            yield stem[: begin + 1], stem[end:]  # of "benign (1)_mask"
        if begin:
            yield stem[:begin], stem[end:]
    for begin, end in cuts:
        yield stem[end:], stem[:begin]


def named_after(stem: str) -> Iterator[tuple[str, str]]:
    """What may be an image's name in a stem, and the words beside it: a, overlay of a_overlay."""
    for image, added in _cut(stem):
        word = "_".join(re.findall("[A-Za-z]+", added))
        if word and not re.search(r"\d", added):
            yield image, word


def _word(added: str) -> str:
    """What is added to a name, without numbers and words that any mask has."""
    words = [word for word in re.split(r"[^A-Za-z]+", added) if word]
    return "_".join(word for word in words if word.casefold() not in MASK_WORDS)


def _several(found: Mapping[str, list[tuple[ImageFile, str, str]]], place: int) -> bool:
    """Whether an image has masks that this tells apart, and each tells one for no image twice."""
    return any(len({entry[place] for entry in entries}) > 1 for entries in found.values())


def beside(stems: Collection[str]) -> set[str]:
    """The stems that are another one with a word of masks added, such as 1_1_mask beside 1_1."""
    return {
        stem
        for stem in map(composed, stems)
        for image, added in _cut(stem)
        if added and image in stems and not _word(added) and re.search("[A-Za-z]", added)
    }
